import type {
  V1Container,
  V1CronJob,
  V1Job,
  V1JobSpec,
  V1OwnerReference,
  V1Pod,
  V1PodSpec,
} from '@kubernetes/client-node';
import { HarnessError } from '../../harness/core/errors.ts';
import type { ClusterHandle } from '../../harness/kubernetes/cluster-handle.ts';
import { assertRoomFor, containerStatus, describePod } from '../../harness/kubernetes/pod-status.ts';
import { type RecordedEvent, Recorder } from '../../harness/kubernetes/recorder.ts';
import { podSpec } from '../../harness/probes/pods.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';

/** Label by which the objects of one requirement are told from those of another. */
const ROW = 'conformance-row';

/** The end of a Job may take so long on a small machine that runs everything else as well, in seconds. */
export const END_SECONDS = 90;

/** A script that runs until it is told to end, and ends at once then. */
export const RUNS_UNTIL_TERM = 'trap "exit 0" TERM; while :; do sleep 0.2; done';
/** A script that cannot be told to end. */
export const IGNORES_TERM = 'trap "" TERM; while :; do sleep 0.2; done';

export interface JobFixture {
  namespace: string;
  /** What tells the objects of this requirement. */
  labels: Record<string, string>;
  /** Image of the pods. */
  image: string;
  /** Creates a Job of this requirement. */
  createJob(
    name: string,
    script: string,
    spec?: Omit<V1JobSpec, 'template'>,
    more?: { pod?: Partial<V1PodSpec>; owner?: V1OwnerReference },
  ): Promise<void>;
  /** Creates a pod of this requirement. */
  createPod(name: string, spec: V1PodSpec): Promise<V1Pod>;
  /** Every event of this requirement's Jobs from now on. */
  recordJobs(): Promise<Recorder<V1Job>>;
  recordPods(): Promise<Recorder<V1Pod>>;
}

export function jobsPath(namespace: string): string {
  return `/apis/batch/v1/namespaces/${namespace}/jobs`;
}

/** Where a requirement does its work: the namespace of all of them, its own objects by a label. */
export async function jobFixture(t: RequirementContext, row: string): Promise<JobFixture> {
  const cluster = await t.cluster();
  const { name: namespace } = await t.namespaceFor('jobs');
  const labels = { [ROW]: row };
  const selected = { labelSelector: `${ROW}=${row}`, signal: t.signal };
  return {
    namespace,
    labels,
    image: cluster.workloadImage,
    async createJob(name, script, spec = {}, { pod = {}, owner } = {}) {
      const template = {
        metadata: { labels: { ...labels, job: name } },
        spec: { ...scriptPod(cluster.workloadImage, script), ...pod },
      };
      const metadata = { namespace, name, labels, ...(owner === undefined ? {} : { ownerReferences: [owner] }) };
      await cluster.create([{ apiVersion: 'batch/v1', kind: 'Job', metadata, spec: { ...spec, template } } as V1Job]);
    },
    createPod: (name, spec) =>
      cluster.core.createNamespacedPod({
        namespace,
        body: { metadata: { name, labels: { ...labels, pod: name } }, spec },
      }),
    recordJobs: () => Recorder.open<V1Job>(cluster, jobsPath(namespace), { ...selected, describe: describeJob }),
    recordPods: () =>
      Recorder.open<V1Pod>(cluster, `/api/v1/namespaces/${namespace}/pods`, {
        ...selected,
        describe: describePod,
        onEvent: ({ object }) => assertRoomFor(object),
      }),
  };
}

/** Name of the container of {@link scriptPod}. */
export const SCRIPT = 'script';

/** A pod of one container that runs a shell script, without an API token. */
export function scriptPod(image: string, script: string): V1PodSpec {
  return {
    ...podSpec(image, 'default', { name: SCRIPT, command: ['sh', '-c', script] }),
    automountServiceAccountToken: false,
  };
}

/** The same pod with its containers changed. */
export function withContainer(spec: V1PodSpec, container: Partial<V1Container>): V1PodSpec {
  return { ...spec, containers: spec.containers.map((own) => ({ ...own, ...container })) };
}

/**
 * Tells a CronJob when it last ran, in its status: the slot that is due since is started at once, so that nobody has to
 * wait for the clock (Kubernetes: CronJob limitations, "it checks how many schedules it missed in the duration from its
 * last scheduled time until now").
 */
export async function ranLast(
  cluster: Pick<ClusterHandle, 'request'>,
  namespace: string,
  name: string,
  at: Date,
): Promise<V1CronJob> {
  const path = `/apis/batch/v1/namespaces/${namespace}/cronjobs/${name}/status`;
  const response = await cluster.request(path, {
    method: 'PATCH',
    headers: { 'content-type': 'application/merge-patch+json' },
    body: JSON.stringify({ status: { lastScheduleTime: at.toISOString().replace(/\.\d+Z$/, 'Z') } }),
  });
  const answer = (await response.json()) as V1CronJob & { message?: string };
  if (response.status !== 200) {
    throw new HarnessError(`PATCH ${path} was answered ${response.status}: ${answer.message}`);
  }
  return answer;
}

function describeJob({ status }: V1Job): string {
  const conditions = (status?.conditions ?? []).map(({ type, reason }) => `${type} ${reason ?? ''}`.trim());
  return `active ${status?.active ?? 0}, succeeded ${status?.succeeded ?? 0}, failed ${status?.failed ?? 0}, ${conditions.join(', ') || 'no condition'}`;
}

/** How a Job ended: its condition `Complete` or `Failed`. */
export function endOf(job: V1Job): { type: string; reason?: string; at: Date } | undefined {
  const condition = job.status?.conditions?.find(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
  if (condition === undefined) {
    return undefined;
  }
  const { type, reason, lastTransitionTime } = condition;
  return { type, ...(reason === undefined ? {} : { reason }), at: new Date(lastTransitionTime ?? Number.NaN) };
}

export function eventsOf<T extends { metadata?: { name?: string } }>(
  events: readonly RecordedEvent<T>[],
  name: string,
): RecordedEvent<T>[] {
  return events.filter(({ object }) => object.metadata?.name === name);
}

/** Waits for the end of a Job. @throws DeadlineExceeded */
export function ended(
  jobs: Recorder<V1Job>,
  name: string,
): Promise<{ job: V1Job; end: NonNullable<ReturnType<typeof endOf>> }> {
  return jobs.until(
    (events) => {
      for (const { object: job } of eventsOf(events, name)) {
        const end = endOf(job);
        if (end !== undefined) {
          return { job, end };
        }
      }
      return undefined;
    },
    { what: `Job ${name} to end`, deadlineSeconds: END_SECONDS },
  );
}

/** Waits until an object is gone. @throws DeadlineExceeded */
export function gone<T extends { metadata?: { name?: string } }>(
  recorder: Recorder<T>,
  name: string,
  deadlineSeconds: number,
): Promise<RecordedEvent<T>> {
  return recorder.until((events) => eventsOf(events, name).find(({ type }) => type === 'DELETED'), {
    what: `${name} to be gone`,
    deadlineSeconds,
  });
}

/** The pods of a Job that were seen, each in its last state, by uid. */
export function podsOf(events: readonly RecordedEvent<V1Pod>[], job: string): RecordedEvent<V1Pod>[] {
  const own = events.filter(({ object }) => object.metadata?.labels?.job === job);
  return [...new Map(own.map((event) => [event.object.metadata?.uid, event])).values()];
}

/** How the container of {@link scriptPod} ended. */
export function terminationOf(pod: V1Pod): { exitCode: number; reason?: string; finishedAt: Date } | undefined {
  const terminated = containerStatus(pod, SCRIPT)?.state?.terminated;
  if (terminated === undefined) {
    return undefined;
  }
  const { exitCode, reason, finishedAt } = terminated;
  return { exitCode, ...(reason === undefined ? {} : { reason }), finishedAt: new Date(finishedAt ?? Number.NaN) };
}

/** Seconds between two instants. */
export function secondsBetween(from: Date, to: Date): number {
  return (to.getTime() - from.getTime()) / 1000;
}
