import type { TestProject } from 'vitest/node';
import { redact } from '../../core/redact.ts';
import { stopOnSignal } from '../../core/signals.ts';
import { currentSession, DEFAULT_OPTIONS, Session, setCurrentSession } from '../session.ts';

/**
 * Gives the suites their environment. The CLI has made a session before; where Vitest is started by hand
 * (`npx vitest run suites/token-rotation`) the session is the default one: the references, with all suites planned.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const existing = currentSession();
  const session =
    existing ?? new Session(DEFAULT_OPTIONS, (part, message) => console.error(redact(`${part}: ${message}`)));
  if (existing === undefined) {
    setCurrentSession(session);
    stopOnSignal(() => session.stop());
  }
  project.provide('conformance', await session.start());
  return async () => {
    if (existing === undefined) {
      setCurrentSession(undefined);
      await session.stop();
    }
  };
}
