import { fileURLToPath } from 'node:url';
import { createVitest } from 'vitest/node';
import { describeError, HarnessError } from '../core/errors.ts';
import type { Role } from '../role-data/index.ts';
import type { RequirementResult } from '../rpc/protocol.ts';
import type { Requests } from '../rpc/requests.ts';
import { EnvironmentOwner } from './environment-owner.ts';
import { ResultCollector } from './reporter.ts';
import { type PlannedRow, type Session, setCurrentSession } from './session.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The Vitest project of a role, see vitest.config.ts. */
function projectOf(role: Role): string {
  return `role ${role}`;
}

export interface Execution {
  /** What went wrong outside of any requirement. */
  faults: string[];
  /** What the environment says of itself, taken before clean-up. */
  environment: Record<string, unknown>;
  /** Requests to each part of it. */
  requests: Requests[];
}

/** More rows than this, or than this share of all, that the harness could not evaluate are no accident. */
const RERUN_AT_MOST = { rows: 20, share: 0.1 };

/** Of more observations in doubt than this, so many are made again first: they show whether it was the machine. */
const DOUBTED_AT_FIRST = 12;

export interface Progress {
  onResult(result: RequirementResult): void;
  /** Told before rows are evaluated a second time. */
  onRerun(rows: PlannedRow[]): void;
}

/**
 * Runs the suites of a session, and stops its environment, whatever happens. What the harness could not evaluate (a
 * machine that stalled, a part of the environment that did not answer), and what was late or missing while the machine
 * was busy, is evaluated once more, with nothing alongside, and its result says so: in the same environment, or in a
 * new one where a part of that is broken. What was seen is not evaluated again, whatever came of it.
 */
export async function executeWithRerun(session: Session, progress: Progress): Promise<Execution> {
  const owner = new EnvironmentOwner(session);
  try {
    const execution = await evaluateTwice(session, owner, progress);
    return { ...execution, faults: [...execution.faults, ...(await owner.end())] };
  } catch (error) {
    await owner.end();
    throw error;
  }
}

async function evaluateTwice(
  session: Session,
  owner: EnvironmentOwner,
  { onResult, onRerun }: Progress,
): Promise<Execution> {
  const first = await runSuites(session, owner, onResult);
  const { rows, held } = rowsToRerun(session, first);
  if (rows.length === 0) {
    return executionOf(first, owner);
  }
  const faults: string[] = [];
  if (!first.isBroken) {
    for (const some of [rows, held]) {
      // The others are red for what the target does where it was red in all of the first ones once more.
      if (some.length === 0 || (some === held && !session.wasInDoubtForNothing(rows))) {
        continue;
      }
      onRerun(some);
      const again = session.rerun(some, 'here');
      faults.push(...(await runSuites(again, owner, onResult)).faults);
      session.mergeRerun(again.results);
    }
    return executionOf({ ...first, faults }, owner);
  }
  onRerun(rows);
  // Of an environment that is broken something may be left: its own end tells it.
  await owner.stop();
  const again = session.rerun(rows, 'anew');
  const second = new EnvironmentOwner(again);
  try {
    faults.push(...(await runSuites(again, second, onResult)).faults);
    session.mergeRerun(again.results);
  } finally {
    faults.push(...(await second.end()));
  }
  return executionOf({ ...first, faults }, second);
}

function executionOf({ faults, environment, requests }: SuiteRun, owner: EnvironmentOwner): Execution {
  return { faults: owner.isInterrupted ? [...faults, 'the run was aborted'] : faults, environment, requests };
}

/**
 * Rows that say nothing yet, and that another try can settle.
 *
 * @returns those to evaluate again, and further ones that are in doubt only as far as the first ones come out otherwise
 */
function rowsToRerun(session: Session, { faults, isBroken }: SuiteRun): { rows: PlannedRow[]; held: PlannedRow[] } {
  const { planned, options } = session;
  // What a live cluster lacks it lacks the second time, too: there only what this machine disturbed is worth another
  // try.
  const unevaluated = options.cluster === 'kubeconfig' ? session.disturbed : session.unevaluated;
  const most = Math.max(RERUN_AT_MOST.rows, planned.length * RERUN_AT_MOST.share);
  const hasFault = isBroken ? faults.length > 1 : faults.length > 0;
  if (hasFault || unevaluated.length > most || options.keep) {
    return { rows: [], held: [] };
  }
  const observations = session.suspectByObservation;
  return {
    rows: [...unevaluated, ...observations.slice(0, DOUBTED_AT_FIRST).flat()],
    held: observations.slice(DOUBTED_AT_FIRST).flat(),
  };
}

interface SuiteRun extends Execution {
  /** A part of the environment was gone at the end. */
  isBroken: boolean;
}

/** Runs the suites of a session through Vitest. */
async function runSuites(
  session: Session,
  owner: EnvironmentOwner,
  onResult: (result: RequirementResult) => void,
): Promise<SuiteRun> {
  setCurrentSession(session);
  // What fails because its environment is being taken away is no result.
  const collector = new ResultCollector(session, (result) => owner.isInterrupted || onResult(result));
  const run: SuiteRun = { faults: collector.faults, environment: {}, requests: [], isBroken: false };
  const broken = (why: string): void => {
    run.isBroken = true;
    collector.faults.push(why);
  };
  try {
    const vitest = await createVitest({
      root: ROOT,
      project: session.plannedRoles.map(projectOf),
      run: true,
      watch: false,
      reporters: [collector],
      silent: true,
      // A pod cannot write to its own package: nothing is bundled into it, and nothing is kept there.
      configLoader: 'native',
      cache: false,
    });
    owner.listen();
    session.onBroken((why) => {
      broken(why);
      void vitest.cancelCurrentRun('test-failure');
    });
    await vitest.start(['harness/run/worker/suites.ts']);
    try {
      Object.assign(run.environment, await session.environment.discover());
      run.requests.push(...(await session.environment.requests()));
      await session.environment.assertAlive();
    } catch (error) {
      broken(describeError(error));
    }
    await vitest.close();
    // Vitest marks failed tests by the exit code; ours says more and is set by the caller.
    process.exitCode = 0;
  } catch (error) {
    throw new HarnessError('the suites could not be run', { cause: error });
  } finally {
    await session.closeControl();
    setCurrentSession(undefined);
  }
  return run;
}
