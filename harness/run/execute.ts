import { fileURLToPath } from 'node:url';
import { createVitest } from 'vitest/node';
import { HarnessError } from './errors.ts';
import type { RequirementResult } from './protocol.ts';
import { ResultCollector } from './reporter.ts';
import { type Session, setCurrentSession } from './session.ts';
import { stopOnSignal } from './signals.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface Execution {
  /** What went wrong outside of any requirement. */
  faults: string[];
  /** What the environment says of itself, taken before clean-up. */
  environment: Record<string, unknown>;
}

/**
 * Runs the suites of a session through Vitest and stops the environment, whatever happens.
 */
export async function execute(session: Session, onResult: (result: RequirementResult) => void): Promise<Execution> {
  setCurrentSession(session);
  let interrupted = false;
  // What fails because its environment is being taken away is no result.
  const collector = new ResultCollector(session, (result) => interrupted || onResult(result));
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= session.stop();
    return stopping;
  };
  let release = (): void => undefined;
  const environment: Record<string, unknown> = {};
  try {
    const vitest = await createVitest({
      root: ROOT,
      project: ['suites'],
      run: true,
      watch: false,
      reporters: [collector],
      silent: true,
    });
    release = stopOnSignal(() => {
      interrupted = true;
      return stop();
    });
    session.onBroken((why) => {
      collector.faults.push(why);
      void vitest.cancelCurrentRun('test-failure');
    });
    await vitest.start(session.plannedSuites.map((suite) => `suites/${suite}/`));
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
    release();
    setCurrentSession(undefined);
  }
  return { faults: collector.faults, environment };
}
