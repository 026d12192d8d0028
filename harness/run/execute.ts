import { fileURLToPath } from 'node:url';
import { startVitest } from 'vitest/node';
import { HarnessError } from './errors.ts';
import type { RequirementResult } from './protocol.ts';
import { ResultCollector } from './reporter.ts';
import { type Session, setCurrentSession } from './session.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface Execution {
  /** What went wrong outside of any requirement. */
  faults: string[];
  /** What the environment says of itself, taken before clean-up. */
  environment: Record<string, unknown>;
}

/** Signals that end a run early, with the exit code that a shell gives them (128 + number). */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/**
 * Runs the suites of a session through Vitest and stops the environment, whatever happens.
 * After a signal everything is stopped and the process ends with 128 + its number; a second one ends it at once.
 */
export async function execute(session: Session, onResult: (result: RequirementResult) => void): Promise<Execution> {
  setCurrentSession(session);
  const collector = new ResultCollector(session, onResult);
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= session.stop();
    return stopping;
  };
  const onSignal = (signal: keyof typeof SIGNALS): void => {
    if (stopping !== undefined) {
      process.exit(SIGNALS[signal]);
    }
    process.stderr.write(`\n${signal}: stopping everything that this run started (again to leave at once)\n`);
    stop().then(
      () => process.exit(SIGNALS[signal]),
      (error: unknown) => {
        process.stderr.write(`${String(error)}\n`);
        process.exit(SIGNALS[signal]);
      },
    );
  };
  for (const signal of Object.keys(SIGNALS) as (keyof typeof SIGNALS)[]) {
    process.on(signal, onSignal);
  }
  const environment: Record<string, unknown> = {};
  try {
    const vitest = await startVitest(
      session.plannedSuites.map((suite) => `suites/${suite}/`),
      { root: ROOT, project: ['suites'], run: true, watch: false, reporters: [collector], silent: true },
    );
    try {
      Object.assign(environment, await session.environment.discover());
      await session.environment.assertAlive();
    } catch (error) {
      collector.faults.push(error instanceof Error ? error.message : String(error));
    }
    await vitest.close();
    // Vitest marks failed tests by the exit code; ours says more and is set by the caller.
    process.exitCode = 0;
  } catch (error) {
    throw new HarnessError('the suites could not be run', { cause: error });
  } finally {
    await stop();
    setCurrentSession(undefined);
  }
  return { faults: collector.faults, environment };
}
