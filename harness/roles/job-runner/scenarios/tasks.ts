/** Some tasks of one runner, from its start to the end of its clean-up: most requirements are evaluated from them. */

import { randomBytes } from 'node:crypto';
import type { KubernetesObject } from '@kubernetes/client-node';
import type { ApiRecord } from '../../../kubernetes/api-record.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { Target } from '../../../targets/load.ts';
import { type LaunchedRunner, withReadyJobRunner } from '../launch.ts';
import {
  allOver,
  endsOf,
  FAULT_SECONDS,
  isOver,
  leftOvers,
  nothingRuns,
  podsOf,
  type RunnerRecord,
  type RunnersRecord,
  runsOrIsOver,
  SLACK_SECONDS,
  specOf,
  summarise,
  TASK_SECONDS,
  together,
} from '../record.ts';

export const TIME_LIMIT_SECONDS = 5;

/** Seconds for which is looked on for what must not happen. */
const AFTERMATH_SECONDS = 3;

/** An agent that goes on until it is told to end. */
export const ENDLESS = { WORKLOAD_LINES: '1', WORKLOAD_SLEEP_SECONDS: '600' };

/** What a resource override asks for: one value alone, so that all others keep their defaults. */
export const OVERRIDE = { limits: { memory: '128Mi' } };

/** Image of a Job that belongs to somebody else and runs nothing. */
const BYSTANDER_IMAGE = 'bystander.invalid/none:1';

/** A secret that is searched for wherever it must not be. */
export interface Canary {
  variable: string;
  value: string;
}

export interface TasksRecord extends RunnerRecord {
  canary: Canary;
  /** Names of the Jobs of others. */
  bystanders: string[];
  /** What it asked of the API server. */
  requests: ApiRecord[];
  /** Audiences that the cluster's API server takes. */
  apiAudiences: string[];
}

/** {@link shareTasks}, with how each task went as evidence. */
export async function observeTasks(t: RequirementContext): Promise<TasksRecord> {
  const record = await shareTasks(t);
  t.evidence('tasks', summarise(record));
  return record;
}

/** The same, with the number of requests to the API server as evidence. */
export async function observeRequests(t: RequirementContext): Promise<TasksRecord> {
  const record = await observeTasks(t);
  t.evidence('requests', record.requests.length);
  return record;
}

/** The same, with the specification of a pod as evidence. */
export async function observePods(t: RequirementContext): Promise<TasksRecord> {
  const record = await shareTasks(t);
  const specs = record.tasks.flatMap((task) => podsOf(record, task).map(specOf));
  t.evidence('pods', { tasks: summarise(record), first: specs[0] });
  return record;
}

/** Keeps how the tasks of each runner went as evidence. */
export function withEvidence<R extends RunnerRecord>(
  t: RequirementContext,
  target: Target<'job-runner'>,
  runners: R[],
): RunnersRecord<R> {
  t.evidence('runners', runners.map(summarise));
  return together(target, runners);
}

/**
 * Two tasks that are the same and succeed, one that fails, and, as far as the runner declares them, one that is
 * cancelled and one that runs out of time. A Job of somebody else lies alongside them.
 */
export function shareTasks(t: RequirementContext): Promise<TasksRecord> {
  return t.sharedByAllFiles('job runner: tasks', () =>
    withReadyJobRunner(t, { purpose: 'tasks' }, async (runner) => {
      const canary = { variable: 'CONFORMANCE_CANARY', value: `canary-${randomBytes(12).toString('hex')}` };
      const bystanders = await submitTasks(runner, canary);
      await untilOver(runner);
      await untilCleanedUp(runner, bystanders);
      const { apiAudiences } = runner.cluster;
      return { ...runner.record(), canary, bystanders, requests: await runner.access.records(), apiAudiences };
    }),
  );
}

const VARIABLES = {
  ZETA: 'last',
  // It runs for longer than a runner may take to learn that it does: what is asked about it then is about a healthy
  // pod.
  WORKLOAD_SLEEP_SECONDS: '4',
  WORKLOAD_IDENTITY: '1',
  ALPHA: 'first',
  WORKLOAD_PRINT_ENV: 'ALPHA ZETA',
  MIDDLE: 'value with spaces',
  GAMMA: '3',
  BETA: '2',
  DELTA: '4',
};

/** @returns the names of the Jobs of others that were put alongside */
async function submitTasks(runner: LaunchedRunner, canary: Canary): Promise<string[]> {
  const { target } = runner;
  const { capabilities, documented } = target;
  const retain = documented.cleanUp.retain === 'task' ? { retain: true } : undefined;
  const same = { prompt: 'The same.', secretEnv: { [canary.variable]: canary.value } };
  await runner.submit('first', { ...same, env: VARIABLES });
  const job = await runner.find(
    () => runner.objects.find(({ kind, markers }) => kind === 'Job' && markers.length > 0),
    TASK_SECONDS,
  );
  const bystanders = job === undefined ? [] : await createBystanders(runner, job.object);
  await runner.submit('second', {
    ...same,
    env: Object.fromEntries(Object.entries(VARIABLES).toReversed()),
    ...retain,
  });
  await runner.submit('fails', {
    env: { WORKLOAD_EXIT_CODE: '7' },
    ...(documented.resources.overriddenBy.includes('task') ? { resources: OVERRIDE } : {}),
  });
  if (retain !== undefined) {
    await runner.submit('fails-and-stays', { env: { WORKLOAD_EXIT_CODE: '7' }, ...retain });
  }
  if (limitsTasks(target)) {
    await runner.submit('runs-out', { env: ENDLESS, timeoutSeconds: TIME_LIMIT_SECONDS });
  }
  if (capabilities.includes('cancel')) {
    const cancelled = await runner.submit('cancelled', { env: ENDLESS });
    await runner.until(() => runsOrIsOver(runner, cancelled), TASK_SECONDS);
    await runner.cancel('cancelled');
  }
  return bystanders;
}

/** A task that runs out of time may take as long as a deadline is documented to take. */
async function untilOver(runner: LaunchedRunner): Promise<void> {
  const others = runner.tasks.filter(({ label }) => label !== 'runs-out');
  await runner.until(() => others.every((task) => isOver(runner, task)), TASK_SECONDS);
  const { deadline = FAULT_SECONDS } = runner.target.documented.faultSeconds;
  await runner.until(() => allOver(runner), TIME_LIMIT_SECONDS + deadline + SLACK_SECONDS);
}

async function untilCleanedUp(runner: LaunchedRunner, bystanders: string[]): Promise<void> {
  const ends = runner.tasks.flatMap((task) => endsOf(runner, task).map(({ at }) => at));
  const { withinSeconds } = runner.target.documented.cleanUp;
  const limit = Math.max(...ends, Date.now()) + (withinSeconds + SLACK_SECONDS) * 1000;
  await runner.until(() => leftOvers(runner, bystanders).length === 0, (limit - Date.now()) / 1000);
  await untilNothingRuns(runner);
  await runner.watchFor(AFTERMATH_SECONDS);
}

/**
 * Waits until nothing of what was reported as ended can run any more, for as long as it may take: a Job that is kept
 * and has not failed starts its next pod ten seconds after the first one (Kubernetes, Jobs, Pod backoff failure
 * policy).
 */
export async function untilNothingRuns(runner: LaunchedRunner): Promise<void> {
  const ends = runner.tasks.flatMap((task) => endsOf(runner, task).map(({ at }) => at));
  const limit = Math.max(0, ...ends) + (SLACK_SECONDS + 1) * 1000;
  await runner.until(() => nothingRuns(runner), (limit - Date.now()) / 1000);
}

/** True where a task may have a time limit of its own. */
export function limitsTasks({ capabilities, documented }: Target<'job-runner'>): boolean {
  return capabilities.includes('timeout') && documented.timeout === 'task';
}

/** A Job of somebody else in the same namespace, whose name begins as the runner's own do. @returns its name */
export async function createBystanders(runner: LaunchedRunner, like: KubernetesObject): Promise<string[]> {
  const own = like.metadata?.name ?? 'job';
  const prefix = /^[a-z0-9]+(-|$)/.exec(own)?.[0] ?? 'job-';
  const name = `${prefix.replace(/-?$/, '-')}${randomBytes(4).toString('hex')}`;
  await runner.cluster.create([
    {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name, namespace: runner.namespace },
      spec: {
        suspend: true,
        template: {
          spec: { restartPolicy: 'Never', containers: [{ name: 'bystander', image: BYSTANDER_IMAGE }] },
        },
      },
    } as KubernetesObject,
  ]);
  return [name];
}
