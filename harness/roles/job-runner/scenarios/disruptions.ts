import type { V1Pod } from '@kubernetes/client-node';
import { HarnessError } from '../../../core/errors.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import { type LaunchedRunner, withReadyJobRunner } from '../launch.ts';
import {
  allOver,
  jobsOf,
  LAST_OUTPUT_SECONDS,
  podsOf,
  type RunnerRecord,
  runsOrIsOver,
  SECOND_REPORT_SECONDS,
  SLACK_SECONDS,
  type SubmittedTask,
  secondsText,
  sigtermSeconds,
  summarise,
  TASK_SECONDS,
} from '../record.ts';
import { jobRunnerTarget } from '../target.ts';
import { logRequestsOf } from './logs.ts';
import type { OutputRecord } from './output.ts';
import { createBystanders } from './tasks.ts';

const OUTLIVING_LINES = 30;

/** When, in seconds from the first fault, what begins. */
const DISRUPTIONS = { cutWatches: 0, expired: 2, outage: 5, submit: 8, busy: 16, end: 19 };
const OUTAGE_SECONDS = 10;

/**
 * A task that prints for half a minute, and one that is submitted in the midst of it, while watches are cut, versions
 * expire, the API server is away for ten seconds and is busy after that.
 */
export async function observeDisruptions(t: RequirementContext): Promise<OutputRecord> {
  const record = await t.shared('job runner: disruptions', () =>
    withReadyJobRunner(t, { purpose: 'disruptions' }, async (runner) => {
      const outlives = await runner.submit('outlives', {
        env: { WORKLOAD_LINES: String(OUTLIVING_LINES), WORKLOAD_RATE: '1' },
      });
      await runner.until(() => runsOrIsOver(runner, outlives), TASK_SECONDS);
      await runner.access.setFaults([
        { kind: 'cut-watch', afterSeconds: DISRUPTIONS.cutWatches, forSeconds: 1 },
        { kind: 'expired', verbs: ['watch'], afterSeconds: DISRUPTIONS.expired, forSeconds: 2 },
        { kind: 'outage', afterSeconds: DISRUPTIONS.outage, forSeconds: OUTAGE_SECONDS },
        {
          kind: 'too-many-requests',
          afterSeconds: DISRUPTIONS.busy,
          forSeconds: DISRUPTIONS.end - DISRUPTIONS.busy,
          seconds: 1,
        },
      ]);
      await runner.watchFor(DISRUPTIONS.submit);
      await runner.submit('amid', { env: { WORKLOAD_LINES: '3' } });
      await runner.until(() => allOver(runner), TASK_SECONDS);
      await runner.watchFor(LAST_OUTPUT_SECONDS);
      await runner.access.setFaults([]);
      return { ...runner.record(), lines: OUTLIVING_LINES, logs: await logRequestsOf(runner) };
    }),
  );
  t.evidence('runners', [summarise(record)]);
  return record;
}

export interface SignalRecord extends RunnerRecord {
  bystanders: string[];
  signalledAt: number;
  /** What was there when the runner had ended and some seconds had passed. */
  exitedAt?: number;
  lookedAt: number;
  restarted?: { ready: boolean; at: number };
}

/** Seconds that the agent works on after the runner's SIGTERM. */
const WORKS_ON_SECONDS = 12;
const AFTER_EXIT_SECONDS = 4;

/**
 * When the agent of a task had worked to its own end, in milliseconds since the epoch, by the node's clock; undefined
 * where it was ended before, or works on.
 */
function ownEndOf(runner: LaunchedRunner, task: SubmittedTask): number | undefined {
  for (const { last } of podsOf(runner, task)) {
    const ended = (last as V1Pod).status?.containerStatuses?.find(({ name }) => name === runner.target.container)?.state
      ?.terminated;
    const [from, to] = [ended?.startedAt, ended?.finishedAt].map((at) => new Date(at ?? Number.NaN).getTime());
    // Times of a status are in whole seconds.
    if (from !== undefined && to !== undefined && to - from >= (WORKS_ON_SECONDS - 1) * 1000) {
      return to;
    }
  }
  return undefined;
}

/** {@link shareSignal}, with how its task went as evidence. */
export async function observeSignal(t: RequirementContext): Promise<SignalRecord> {
  const record = await shareSignal(t);
  const { jobs } = record.target.documented.onSigterm;
  t.evidence('SIGTERM', { documented: jobs, itsOwnJobs: fatesOfJobs(record) });
  t.evidence('runners', [summarise(record)]);
  return record;
}

/** What became of each Job of the runner's own by the time that the harness looked. */
function fatesOfJobs({ objects, tasks, lookedAt }: SignalRecord): Record<string, 'deleted' | 'kept'> {
  const jobs = tasks.flatMap((task) => jobsOf({ objects: objects.filter(({ at }) => at <= lookedAt) }, task));
  return Object.fromEntries(
    jobs.map(({ name, goneAt, last }) => [
      name,
      goneAt !== undefined || last.metadata?.deletionTimestamp !== undefined ? 'deleted' : 'kept',
    ]),
  );
}

/** The same, where the next runner takes up what this one preserved. */
export async function observeRestart(t: RequirementContext): Promise<SignalRecord> {
  const { onSigterm, reattaches } = jobRunnerTarget(t).documented;
  if (onSigterm.jobs !== 'preserve') {
    const what = onSigterm.jobs === 'delete' ? 'nothing is preserved' : 'nothing is promised';
    t.notApplicable(`the target file documents \`onSigterm.jobs: ${onSigterm.jobs}\`: ${what}`);
  }
  if (!reattaches) {
    t.notApplicable('the target file documents `reattaches: false`');
  }
  return observeSignal(t);
}

/**
 * A runner with a running task, and a Job of somebody else's, is told to end; it is started again where it documents to
 * preserve.
 */
function shareSignal(t: RequirementContext): Promise<SignalRecord> {
  return t.shared('job runner: signal', () =>
    withReadyJobRunner(t, { purpose: 'signal' }, async (runner) => {
      const { onSigterm, reattaches } = runner.target.documented;
      const task = await runner.submit('goes-on', {
        env: { WORKLOAD_LINES: '2', WORKLOAD_SLEEP_SECONDS: String(WORKS_ON_SECONDS) },
      });
      await runner.until(() => runsOrIsOver(runner, task), TASK_SECONDS);
      const job = runner.objects.find(({ kind, markers }) => kind === 'Job' && markers.includes(task.marker));
      const bystanders = job === undefined ? [] : await createBystanders(runner, job.object);
      const signalledAt = Date.now();
      runner.started.signal('SIGTERM');
      const exit = await runner.find(() => runner.record().exit, sigtermSeconds(runner.target) + SLACK_SECONDS);
      await runner.watchFor(AFTER_EXIT_SECONDS);
      const lookedAt = Date.now();
      const ran = ownEndOf(runner, task);
      if (
        exit !== undefined &&
        ran !== undefined &&
        ran <= exit.at &&
        exit.at - signalledAt < WORKS_ON_SECONDS * 1000
      ) {
        throw new HarnessError(
          `the task ended by itself ${secondsText(exit.at - ran)} before the runner did, ` +
            'which got its signal too late: nothing can be said of it',
        );
      }
      let restarted: SignalRecord['restarted'];
      if (onSigterm.jobs === 'preserve' && reattaches && exit !== undefined) {
        const readiness = await runner.restart();
        restarted = { ready: readiness?.ready === true, at: Date.now() };
        await runner.until(() => allOver(runner), TASK_SECONDS);
        await runner.watchFor(SECOND_REPORT_SECONDS);
      }
      return {
        ...runner.record(),
        bystanders,
        signalledAt,
        ...(exit === undefined ? {} : { exitedAt: exit.at }),
        lookedAt,
        ...(restarted === undefined ? {} : { restarted }),
      };
    }),
  );
}
