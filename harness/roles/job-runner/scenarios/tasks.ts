import { randomBytes } from 'node:crypto';
import type { KubernetesObject } from '@kubernetes/client-node';
import type { ApiRecord } from '../../../kubernetes/api-record.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { RunnerEvent, TaskEnd } from '../driver.ts';
import { type LaunchedRunner, type RunnerRecord, type SubmittedTask, withReadyJobRunner } from '../launch.ts';

/** From submission to end of a task that does nothing, on a small machine that many share. */
const TASK_SECONDS = 90;

/** Until a fault is reported, where nothing else is documented (JL-26). */
export const FAULT_SECONDS = 120;

export const TIME_LIMIT_SECONDS = 5;

/** Beyond a documented time: what the harness sees of it comes by two ways. */
export const SLACK_SECONDS = 15;

/** How long is looked on for what must not happen. */
const AFTERMATH_SECONDS = 3;

/** An agent that goes on until it is told to end. */
export const ENDLESS = { WORKLOAD_LINES: '1', WORKLOAD_SLEEP_SECONDS: '600' };

/** What a resource override asks for: one value alone, so that all others keep their defaults. */
export const OVERRIDE = { limits: { memory: '128Mi' } };

/** A Job of somebody else's, whose name begins as the runner's own do. It runs nothing. */
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
}

type EndedEvent = Extract<RunnerEvent, { type: 'ended' }>;

/** The ends that were told of a task. */
export function endsOf(
  { events }: Pick<RunnerRecord, 'events'>,
  { task }: SubmittedTask,
): (TaskEnd & { at: number })[] {
  return events.filter((event): event is EndedEvent => event.type === 'ended' && event.task === task.id);
}

function hasEnded(runner: LaunchedRunner, labels: string[]): true | undefined {
  const tasks = runner.tasks.filter(({ label }) => labels.includes(label));
  const over = (task: SubmittedTask): boolean =>
    endsOf(runner, task).length > 0 || refusalOf(runner, task) !== undefined;
  return tasks.every(over) ? true : undefined;
}

export function refusalOf({ events }: Pick<RunnerRecord, 'events'>, { task }: SubmittedTask): string | undefined {
  const refused = events.find((event) => event.type === 'refused' && event.task === task.id);
  return refused?.type === 'refused' ? refused.reason : undefined;
}

/** The pods of a task, in the order in which they came, each with its last state and whether it is gone. */
export function podsOf(record: Pick<RunnerRecord, 'objects'>, { marker }: SubmittedTask): ObservedObject[] {
  return ofKind(record, 'Pod', marker);
}

export function jobsOf(record: Pick<RunnerRecord, 'objects'>, { marker }: SubmittedTask): ObservedObject[] {
  return ofKind(record, 'Job', marker);
}

export interface ObservedObject {
  name: string;
  uid: string;
  /** It came while the harness looked, and was not there before. */
  isNew: boolean;
  first: KubernetesObject;
  last: KubernetesObject;
  firstAt: number;
  lastAt: number;
  goneAt?: number;
}

/** Every object of a kind that was seen, by uid; with a marker, those of one task: it stands in them, or in a Secret or ConfigMap that they name. */
export function ofKind(
  { objects }: Pick<RunnerRecord, 'objects'>,
  kind: RunnerRecord['objects'][number]['kind'],
  marker?: string,
): ObservedObject[] {
  const holders = objects
    .filter(
      (event) => marker !== undefined && event.kind !== 'Job' && event.kind !== 'Pod' && event.markers.includes(marker),
    )
    .map(({ object }) => object.metadata?.name ?? '');
  const found = new Map<string, ObservedObject>();
  for (const event of objects) {
    if (event.kind !== kind) continue;
    const uid = event.object.metadata?.uid ?? '';
    const known = found.get(uid);
    if (known === undefined) {
      if (marker !== undefined && !event.markers.includes(marker) && !names(event.object, holders)) continue;
      const name = event.object.metadata?.name ?? '';
      const isNew = event.type === 'ADDED';
      found.set(uid, {
        name,
        uid,
        isNew,
        first: event.object,
        last: event.object,
        firstAt: event.at,
        lastAt: event.at,
      });
    } else {
      known.last = event.object;
      known.lastAt = event.at;
    }
    const seen = found.get(uid);
    if (seen !== undefined && event.type === 'DELETED') seen.goneAt = event.at;
  }
  return [...found.values()];
}

function names(object: KubernetesObject, holders: string[]): boolean {
  const text = JSON.stringify(object);
  return holders.some((holder) => text.includes(`"${holder}"`));
}

/**
 * Some tasks of one runner, from its start to the end of its clean-up: two that are the same and succeed, one that fails, and, as far as it
 * declares them, one that is cancelled and one that runs out of time. Jobs of others lie beside them. Most rows are judged from this.
 */
export function observeTasks(t: RequirementContext): Promise<TasksRecord> {
  return t.sharedByAllFiles('job runner: tasks', () =>
    withReadyJobRunner(t, { purpose: 'tasks' }, async (runner) => {
      const { target } = runner;
      const { capabilities, documented } = target;
      const canary = { variable: 'CONFORMANCE_CANARY', value: `canary-${randomBytes(12).toString('hex')}` };
      const bystanders: string[] = [];
      const env = {
        ZETA: 'last',
        WORKLOAD_IDENTITY: '1',
        ALPHA: 'first',
        WORKLOAD_PRINT_ENV: 'ALPHA ZETA',
        MIDDLE: 'value with spaces',
        GAMMA: '3',
        BETA: '2',
        DELTA: '4',
      };
      const reversed = Object.fromEntries(Object.entries(env).toReversed());
      const same = { prompt: 'The same.', secretEnv: { [canary.variable]: canary.value } };
      await runner.submit('first', { ...same, env });
      const job = await runner.until(
        () => runner.objects.find(({ kind, markers }) => kind === 'Job' && markers.length > 0),
        TASK_SECONDS,
      );
      if (job !== undefined) bystanders.push(...(await createBystanders(runner, job.object)));
      await runner.submit('second', {
        ...same,
        env: reversed,
        ...(documented.cleanUp.retain === 'task' ? { retain: true } : {}),
      });
      await runner.submit('fails', {
        env: { WORKLOAD_EXIT_CODE: '7' },
        ...(documented.resources.overriddenBy.includes('task') ? { resources: OVERRIDE } : {}),
      });
      if (documented.cleanUp.retain === 'task')
        await runner.submit('fails-and-stays', { env: { WORKLOAD_EXIT_CODE: '7' }, retain: true });
      if (limitsTasks(target)) await runner.submit('runs-out', { env: ENDLESS, timeoutSeconds: TIME_LIMIT_SECONDS });
      if (capabilities.includes('cancel')) {
        const cancelled = await runner.submit('cancelled', { env: ENDLESS });
        await runner.until(() => isRunning(runner, cancelled), TASK_SECONDS);
        await runner.cancel('cancelled');
      }
      const labels = runner.tasks.map(({ label }) => label);
      await runner.until(
        () =>
          hasEnded(
            runner,
            labels.filter((label) => label !== 'runs-out'),
          ),
        TASK_SECONDS,
      );
      await runner.until(
        () => hasEnded(runner, labels),
        TIME_LIMIT_SECONDS + (documented.faultSeconds.deadline ?? FAULT_SECONDS) + SLACK_SECONDS,
      );
      const lastEnd = Math.max(...runner.tasks.flatMap((task) => endsOf(runner, task).map(({ at }) => at)), Date.now());
      const cleanedBy = lastEnd + (documented.cleanUp.withinSeconds + SLACK_SECONDS) * 1000;
      await runner.until(
        () => (leftOvers(runner, bystanders).length === 0 ? true : undefined),
        Math.max(0, cleanedBy - Date.now()) / 1000,
      );
      await runner.until(() => undefined, AFTERMATH_SECONDS);
      return { ...runner.record(), canary, bystanders, requests: await runner.access.records() };
    }),
  );
}

/** True where a task may have a time limit of its own. */
export function limitsTasks({ capabilities, documented }: LaunchedRunner['target']): boolean {
  return capabilities.includes('timeout') && documented.timeout === 'task';
}

/** True when the agent's container runs. */
export function isRunning(runner: LaunchedRunner, task: SubmittedTask): true | undefined {
  const running = podsOf(runner, task).some(({ last }) => {
    const { containerStatuses } = ((last as { status?: unknown }).status ?? {}) as {
      containerStatuses?: { name: string; state?: { running?: object } }[];
    };
    return containerStatuses?.some(
      ({ name, state }) => name === runner.target.container && state?.running !== undefined,
    );
  });
  return running || endsOf(runner, task).length > 0 ? true : undefined;
}

/** Jobs of others in the same namespace: with a name of the runner's kind and no labels, and with another worker's labels. */
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

/** What is still there of the runner's doing: every object but those that were there before, are others', or belong to tasks that go on. */
export function leftOvers(record: Pick<RunnerRecord, 'objects' | 'tasks' | 'events'>, bystanders: string[]): string[] {
  const stay = record.tasks.filter((task) => task.task.retain === true || endsOf(record, task).length === 0);
  const keptUids = stay.flatMap((task) => jobsOf(record, task).map(({ uid }) => uid));
  const markers = stay.map(({ marker }) => marker);
  const isKept = ({ uid, last }: ObservedObject): boolean =>
    keptUids.includes(uid) ||
    (last.metadata?.ownerReferences ?? []).some((owner) => keptUids.includes(owner.uid)) ||
    record.objects.some(
      ({ object, markers: seen }) => object.metadata?.uid === uid && seen.some((marker) => markers.includes(marker)),
    );
  return (['Job', 'Pod', 'Secret', 'ConfigMap', 'PersistentVolumeClaim'] as const).flatMap((kind) =>
    ofKind(record, kind)
      .filter(
        (object) => object.isNew && object.goneAt === undefined && !bystanders.includes(object.name) && !isKept(object),
      )
      .map(({ name }) => `${kind} ${name}`),
  );
}

/** What the runner made before it said that it is ready, or that it is not, and what is still there of that. */
export function leftByPreflight(record: RunnerRecord): string[] {
  const readyAt = record.readiness?.at ?? record.endedAt;
  const own = new Set(
    record.tasks.flatMap((task) => [...jobsOf(record, task), ...podsOf(record, task)].map(({ uid }) => uid)),
  );
  return (['Job', 'Pod', 'Secret', 'ConfigMap'] as const).flatMap((kind) =>
    ofKind(record, kind)
      .filter(({ uid, isNew, firstAt, goneAt }) => isNew && firstAt < readyAt && goneAt === undefined && !own.has(uid))
      .map(({ name }) => `${kind} ${name}`),
  );
}

/** What was seen, short enough to be read: each task's way from submission to its pod's end. */
export function summarise(record: RunnerRecord): unknown {
  const after = (at: number | undefined): string | undefined =>
    at === undefined ? undefined : `${((at - record.startedAt) / 1000).toFixed(1)} s`;
  return {
    namespace: record.namespace,
    readiness: record.readiness === undefined ? 'none' : { ...record.readiness, at: after(record.readiness.at) },
    tasks: record.tasks.map((task) => ({
      label: task.label,
      submitted: after(task.at),
      jobs: jobsOf(record, task).map(({ name, firstAt, goneAt }) => ({
        name,
        seen: after(firstAt),
        gone: after(goneAt),
      })),
      pods: podsOf(record, task).map(({ name, firstAt, goneAt, last }) => ({
        name,
        seen: after(firstAt),
        gone: after(goneAt),
        phase: (last as { status?: { phase?: string } }).status?.phase,
      })),
      ends: endsOf(record, task).map(({ at, ...end }) => ({ ...end, at: after(at) })),
      refused: refusalOf(record, task),
      outputBytes: outputOf(record, task).length,
    })),
    log: record.events.flatMap((event) => (event.type === 'log' ? [event.text] : [])).slice(-20),
    exit: record.exit === undefined ? undefined : { ...record.exit, at: after(record.exit.at) },
    stalls: record.stalls,
  };
}

export function outputOf({ events }: Pick<RunnerRecord, 'events'>, { task }: SubmittedTask): string {
  return events.map((event) => (event.type === 'output' && event.task === task.id ? event.text : '')).join('');
}
