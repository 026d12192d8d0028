import { fileURLToPath } from 'node:url';
import { createVitest } from 'vitest/node';
import { HarnessError } from '../core/errors.ts';
import { stopOnSignal } from '../core/signals.ts';
import type { RequirementResult } from '../rpc/protocol.ts';
import type { Requests } from '../rpc/requests.ts';
import { ResultCollector } from './reporter.ts';
import { type PlannedRow, type Session, setCurrentSession } from './session.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface Execution {
  /** What went wrong outside of any requirement. */
  faults: string[];
  /** What the environment says of itself, taken before clean-up. */
  environment: Record<string, unknown>;
  /** Requests to each part of it. */
  requests: Requests[];
}

/** More rows than this, or than this share of all, that the harness could not judge are no accident. */
const JUDGED_AGAIN_AT_MOST = { rows: 20, share: 0.1 };

export interface Progress {
  onResult(result: RequirementResult): void;
  /** Told before rows are judged a second time. */
  onAgain(rows: PlannedRow[]): void;
}

/**
 * Runs the suites of a session. What the harness could not judge (a machine that stood still, a part of the environment that did not
 * answer), and what it called red while the machine was short of processors, is judged once more in an environment of its own, with nothing else
 * beside it, and its result says so. What else was judged is not judged again, whatever came of it.
 */
export async function executeAndMend(session: Session, { onResult, onAgain }: Progress): Promise<Execution> {
  const first = await execute(session, onResult);
  const { doubtful, planned, options } = session;
  // What a live cluster lacks it lacks the second time, too: there only what this machine disturbed is worth another try.
  const spoilt = options.cluster === 'kubeconfig' ? session.disturbed : session.spoilt;
  const most = Math.max(JUDGED_AGAIN_AT_MOST.rows, planned.length * JUDGED_AGAIN_AT_MOST.share);
  // A target that is red in so many rows is: no machine would have to be blamed.
  const rows = spoilt.length + doubtful.length > most ? spoilt : [...spoilt, ...doubtful];
  if (first.faults.length > 0 || rows.length === 0 || rows.length > most || options.keep) return first;
  onAgain(rows);
  const again = session.again(rows);
  const { faults } = await execute(again, onResult);
  session.adopt(again.results);
  return { ...first, faults };
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
  const requests: Requests[] = [];
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
      requests.push(...(await session.environment.requests()));
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
  if (interrupted) collector.faults.push('the run was aborted');
  return { faults: collector.faults, environment, requests };
}
