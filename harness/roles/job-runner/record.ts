/** What was seen of a job runner, as plain data, and what checks ask of it. */

import type { KubernetesObject } from '@kubernetes/client-node';
import type { Stall } from '../../../fixtures/workloads/lib/heartbeat.ts';
import { HarnessError } from '../../core/errors.ts';
import { type Finding, missing, missingIf } from '../../core/findings.ts';
import type { Target } from '../../targets/load.ts';
import type { Readiness, RunnerEvent, RunnerExit, Task, TaskEnd } from './driver.ts';

/** Seconds from submission to end of a task that does nothing, on a small machine that many share. */
export const TASK_SECONDS = 90;

/** Seconds after a task's end in which its last output may still arrive. */
export const LAST_OUTPUT_SECONDS = 3;

/** Seconds after the report of an end in which another one may still come. */
export const SECOND_REPORT_SECONDS = 3;

/** Seconds beyond a documented time: what the harness sees of it arrives by two ways. */
export const SLACK_SECONDS = 15;

/** Seconds that a pod has from SIGTERM on, where nobody says otherwise (Kubernetes, Pod Lifecycle). */
export const GRACE_SECONDS = 30;

/** Seconds from SIGTERM to the runner's exit: what it documents, or what a pod has. */
export function sigtermSeconds({ documented }: Target<'job-runner'>): number {
  return documented.onSigterm.withinSeconds ?? GRACE_SECONDS;
}

/** Seconds until a fault is reported, where nothing else is documented (JL-26). */
export const FAULT_SECONDS = 120;

/** Kinds of objects that are watched in a runner's namespace. */
export type ObservedKind = 'Job' | 'Pod' | 'Secret' | 'ConfigMap' | 'PersistentVolumeClaim';

/** One event of an object in the runner's namespace. */
export interface ObjectEvent {
  /** When the harness saw it, in milliseconds since the epoch. */
  at: number;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  kind: ObservedKind;
  /** Without managed fields and, for a Secret, without values. */
  object: KubernetesObject & { spec?: unknown; status?: unknown };
  /** Markers of tasks that stand anywhere in it, values of a Secret too. */
  markers: string[];
}

/** A task as it was handed over. `marker` stands in the environment of its agent. */
export interface SubmittedTask {
  label: string;
  task: Task;
  marker: string;
  at: number;
}

/** Everything that was seen of one runner. */
export interface RunnerRecord {
  target: Target<'job-runner'>;
  namespace: string;
  startedAt: number;
  /** Absent: it neither became ready nor refused in time. */
  readiness?: Readiness;
  tasks: SubmittedTask[];
  cancelled: { label: string; at: number }[];
  /** Without output, where it was only measured. */
  events: RunnerEvent[];
  /** Bytes of output that arrived, by the task's id. */
  outputBytes: Record<string, number>;
  objects: ObjectEvent[];
  exit?: RunnerExit;
  /** When the harness, or what the runner had to wait for, stalled. */
  stalls: Stall[];
  /** When the harness stopped looking. */
  endedAt: number;
}

/** Several runners that were observed for one requirement. */
export interface RunnersRecord<R extends RunnerRecord = RunnerRecord> {
  target: Target<'job-runner'>;
  runners: R[];
  stalls: Stall[];
}

/** Puts what was seen of several runners together. */
export function together<R extends RunnerRecord>(target: Target<'job-runner'>, runners: R[]): RunnersRecord<R> {
  return { target, runners, stalls: runners.flatMap(({ stalls }) => stalls) };
}

type Capability = Target<'job-runner'>['capabilities'][number];

/**
 * States what a check takes for granted. The requirement's row declares the same capabilities as preconditions, so that
 * a runner without them is never evaluated; preconditions.test.ts compares the two.
 *
 * @throws HarnessError where the runner does not declare them all the same
 */
export function assumes({ target }: { target: Target<'job-runner'> }, ...capabilities: Capability[]): void {
  const missing = capabilities.filter((capability) => !target.capabilities.includes(capability));
  if (missing.length > 0) {
    throw new HarnessError(`a check needs the capabilities [${missing.join(', ')}], which the row does not declare`);
  }
}

/** Ends that were reported of a task, in their order. */
export function endsOf(
  { events }: Pick<RunnerRecord, 'events'>,
  { task }: SubmittedTask,
): (TaskEnd & { at: number })[] {
  return events.filter(
    (event): event is Extract<RunnerEvent, { type: 'ended' }> => event.type === 'ended' && event.task === task.id,
  );
}

/** Why a task was refused, in the runner's words; undefined where it was not. */
export function refusalOf({ events }: Pick<RunnerRecord, 'events'>, { task }: SubmittedTask): string | undefined {
  const refused = events.find((event) => event.type === 'refused' && event.task === task.id);
  return refused?.type === 'refused' ? refused.reason : undefined;
}

/** True when a task has ended or was refused. */
export function isOver(record: Pick<RunnerRecord, 'events'>, task: SubmittedTask): boolean {
  return endsOf(record, task).length > 0 || refusalOf(record, task) !== undefined;
}

/** True when every task has ended or was refused. */
export function allOver(record: Pick<RunnerRecord, 'events' | 'tasks'>): boolean {
  return record.tasks.every((task) => isOver(record, task));
}

export function taskNamed({ tasks }: Pick<RunnerRecord, 'tasks'>, label: string): SubmittedTask | undefined {
  return tasks.find((task) => task.label === label);
}

/** What became of a task, as the end of a sentence. */
export function describeOutcome(record: Pick<RunnerRecord, 'events'>, task: SubmittedTask): string {
  const ends = endsOf(record, task).map(({ outcome, exitCode, reason }) =>
    [outcome, exitCode === undefined ? undefined : `exit code ${exitCode}`, reason].filter(Boolean).join(', '),
  );
  if (ends.length > 0) {
    return `was reported as ${ends.join(' and as ')}`;
  }
  const refusal = refusalOf(record, task);
  return refusal === undefined ? 'was never reported as ended' : `was refused: ${refusal}`;
}

/** No runner gives up what has not come to run any sooner than that after it was submitted. */
const GIVEN_UP_AFTER_MS = 10_000;

/** A runner that gives a task up for not having come to run knows of what came to run in this time before. */
const KNOWN_AFTER_MS = 10_000;

/**
 * A finding about what became of a task. It may be the machine's fault where nothing was reported of it, or where the
 * runner gave it up before it can have known that its agent ran: whatever has a time limit ends so where nothing comes
 * to run.
 */
export function aboutOutcome(
  record: Pick<RunnerRecord, 'events' | 'objects' | 'target'>,
  task: SubmittedTask,
  text: string,
): Finding {
  const [end, ...others] = endsOf(record, task);
  if (end === undefined) {
    return missingIf(refusalOf(record, task) === undefined, text);
  }
  const isGivenUp =
    (end.outcome === 'failed' || end.outcome === 'timeout') &&
    end.at - task.at >= GIVEN_UP_AFTER_MS &&
    others.length === 0;
  const { container } = record.target;
  const isKnownToRun = record.objects.some(
    ({ at, kind, markers, object }) =>
      at <= end.at - KNOWN_AFTER_MS && kind === 'Pod' && markers.includes(task.marker) && hasBegun(object, container),
  );
  return missingIf(isGivenUp && !isKnownToRun, text);
}

/** A task's output as it arrived; empty where it was only measured. */
export function outputOf({ events }: Pick<RunnerRecord, 'events'>, { task }: SubmittedTask): string {
  return events.map((event) => (event.type === 'output' && event.task === task.id ? event.text : '')).join('');
}

export function outputBytesOf({ outputBytes }: Pick<RunnerRecord, 'outputBytes'>, { task }: SubmittedTask): number {
  return outputBytes[task.id] ?? 0;
}

/** An object from the first to the last that was seen of it. */
export interface ObservedObject {
  name: string;
  uid: string;
  /** It was created while the harness looked. */
  isNew: boolean;
  first: KubernetesObject;
  last: KubernetesObject;
  firstAt: number;
  lastAt: number;
  goneAt?: number;
}

/**
 * Every object of a kind that was seen, by uid, in the order in which they came.
 *
 * @param marker only those of one task: it stands in them, or in a Secret or ConfigMap that they name
 */
export function ofKind(
  { objects }: Pick<RunnerRecord, 'objects'>,
  kind: ObservedKind,
  marker?: string,
): ObservedObject[] {
  const holders = objects
    .filter(
      (event) => marker !== undefined && event.kind !== 'Job' && event.kind !== 'Pod' && event.markers.includes(marker),
    )
    .map(({ object }) => object.metadata?.name ?? '');
  const found = new Map<string, ObservedObject>();
  for (const event of objects.filter((each) => each.kind === kind)) {
    const { at, object, type } = event;
    const uid = object.metadata?.uid ?? '';
    let known = found.get(uid);
    if (known === undefined) {
      if (marker !== undefined && !event.markers.includes(marker) && !names(object, holders)) {
        continue;
      }
      const name = object.metadata?.name ?? '';
      known = { name, uid, isNew: type === 'ADDED', first: object, last: object, firstAt: at, lastAt: at };
      found.set(uid, known);
    }
    known.last = object;
    known.lastAt = at;
    if (type === 'DELETED') {
      known.goneAt = at;
    }
  }
  return [...found.values()];
}

function names(object: KubernetesObject, holders: string[]): boolean {
  const text = JSON.stringify(object);
  return holders.some((holder) => text.includes(`"${holder}"`));
}

export function podsOf(record: Pick<RunnerRecord, 'objects'>, { marker }: SubmittedTask): ObservedObject[] {
  return ofKind(record, 'Pod', marker);
}

export function jobsOf(record: Pick<RunnerRecord, 'objects'>, { marker }: SubmittedTask): ObservedObject[] {
  return ofKind(record, 'Job', marker);
}

export interface Container {
  name: string;
  /** `Always` in an init container: it is a native sidecar. */
  restartPolicy?: string;
  image?: string;
  command?: string[];
  args?: string[];
  env?: { name: string; value?: string; valueFrom?: { secretKeyRef?: object } }[];
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
  securityContext?: SecurityContext;
  volumeMounts?: { name: string; mountPath?: string }[];
}

interface SecurityContext {
  runAsNonRoot?: boolean;
  runAsUser?: number;
  fsGroup?: number;
  privileged?: boolean;
  allowPrivilegeEscalation?: boolean;
  capabilities?: { add?: string[]; drop?: string[] };
  seccompProfile?: { type?: string };
}

/** The parts of a PodSpec that checks look at. */
export interface PodSpec {
  containers: Container[];
  initContainers?: Container[];
  volumes?: Record<string, unknown>[];
  securityContext?: SecurityContext;
  serviceAccountName?: string;
  nodeSelector?: Record<string, string>;
  tolerations?: { key?: string }[];
  imagePullSecrets?: { name: string }[];
  automountServiceAccountToken?: boolean;
}

export interface ContainerStatus {
  name: string;
  state?: {
    waiting?: { reason?: string };
    running?: object;
    terminated?: { exitCode?: number; reason?: string; startedAt?: string; finishedAt?: string };
  };
  restartCount?: number;
}

/** The parts of the status of a pod or Job that checks look at. */
export interface ObservedStatus {
  phase?: string;
  conditions?: { type: string; status: string; reason?: string; message?: string }[];
  containerStatuses?: ContainerStatus[];
  initContainerStatuses?: ContainerStatus[];
}

export function specOf({ first }: ObservedObject): PodSpec {
  return (first as { spec?: unknown }).spec as PodSpec;
}

export function statusOf(object: KubernetesObject): ObservedStatus {
  return ((object as { status?: unknown }).status ?? {}) as ObservedStatus;
}

/** True when the container of this name runs or has run, in a pod as it was seen once. */
export function hasBegun(pod: KubernetesObject, container: string): boolean {
  return (statusOf(pod).containerStatuses ?? []).some(
    ({ name, state }) => name === container && (state?.running !== undefined || state?.terminated !== undefined),
  );
}

/** True when the container of this name runs, in a pod as it was seen once. */
export function runsIn(pod: KubernetesObject, container: string): boolean {
  return (statusOf(pod).containerStatuses ?? []).some(
    ({ name, state }) => name === container && state?.running !== undefined,
  );
}

/** True when a pod as it was seen once had ended, and nothing in it will run any more. */
export function hasFinished(pod: KubernetesObject): boolean {
  return ['Succeeded', 'Failed'].includes(statusOf(pod).phase ?? '');
}

/** True when the agent of a task runs. */
export function isRunning(record: Pick<RunnerRecord, 'objects' | 'target'>, task: SubmittedTask): boolean {
  return podsOf(record, task).some(({ last }) => runsIn(last, record.target.container));
}

/** True when the agent of a task runs, or the task is over before that. */
export function runsOrIsOver(
  record: Pick<RunnerRecord, 'objects' | 'target' | 'events'>,
  task: SubmittedTask,
): boolean {
  return isRunning(record, task) || isOver(record, task);
}

/** True when a pod of the task was there and is gone. */
export function isGone(record: Pick<RunnerRecord, 'objects'>, task: SubmittedTask): boolean {
  return podsOf(record, task).some(({ goneAt }) => goneAt !== undefined);
}

/** When a pod was first seen to have ended or to be gone, in milliseconds since the epoch. */
export function endOfPod({ objects }: Pick<RunnerRecord, 'objects'>, { uid }: ObservedObject): number | undefined {
  return objects.find(({ type, object }) => object.metadata?.uid === uid && (type === 'DELETED' || hasFinished(object)))
    ?.at;
}

/** True when a Job as it was last seen is gone or finished: it starts no pod any more (Kubernetes, Jobs). */
export function isOverForGood({ goneAt, last }: ObservedObject): boolean {
  const { conditions = [] } = statusOf(last);
  return (
    goneAt !== undefined ||
    conditions.some(({ type, status }) => ['Complete', 'Failed'].includes(type) && status === 'True')
  );
}

/** True when every task that was reported as ended has no pod that runs, and no Job that may start another one. */
export function nothingRuns(record: Pick<RunnerRecord, 'objects' | 'tasks' | 'events'>): boolean {
  return record.tasks
    .filter((task) => endsOf(record, task).length > 0)
    .every(
      (task) =>
        podsOf(record, task).every((pod) => endOfPod(record, pod) !== undefined) &&
        jobsOf(record, task).every(isOverForGood),
    );
}

/** A pod as a runner asks for it. */
export interface AskedPod {
  /** The Job that has it as its template, or the pod itself. */
  who: string;
  spec: PodSpec;
}

/**
 * The pods that a runner asks for, for one task: as its Jobs have them, or as the pods themselves, where no Job was
 * seen. What a cluster adds to a pod or changes in it (defaults of a LimitRange, sidecars, other images) is not the
 * runner's doing.
 */
export function specsOfTask(record: Pick<RunnerRecord, 'objects'>, task: SubmittedTask): AskedPod[] {
  const jobs = jobsOf(record, task).flatMap(({ name, first }) => {
    const { spec = {} } = first as { spec?: { template?: { spec: PodSpec } } };
    return spec.template === undefined ? [] : [{ who: `Job ${name}`, spec: spec.template.spec }];
  });
  return jobs.length > 0 ? jobs : podsOf(record, task).map((pod) => ({ who: `pod ${pod.name}`, spec: specOf(pod) }));
}

/** The same for every task. */
export function specsOf(record: Pick<RunnerRecord, 'objects' | 'tasks'>): AskedPod[] {
  return record.tasks.flatMap((task) => specsOfTask(record, task));
}

/** Findings about the specification of every task's pod; that there is none is one. */
export function eachSpec(record: RunnerRecord, evaluate: (who: string, spec: PodSpec) => Finding[]): Finding[] {
  const specs = specsOf(record);
  return specs.length === 0
    ? [missing('no pod of a task was seen')]
    : specs.flatMap(({ who, spec }) => evaluate(who, spec));
}

/** Findings about every task's pod as the cluster admitted it; that there is none is one. */
export function eachPod(record: RunnerRecord, evaluate: (name: string, spec: PodSpec) => Finding[]): Finding[] {
  const pods = record.tasks.flatMap((task) => podsOf(record, task));
  return pods.length === 0
    ? [missing('no pod of a task was seen')]
    : pods.flatMap((pod) => evaluate(pod.name, specOf(pod)));
}

/**
 * What is still there of the runner's doing and of which task, but for what belongs to others, is retained, or is of
 * tasks that go on.
 */
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
      .map(({ name, uid }) => `${kind} ${name}${ofWhichTask(record, uid)}`),
  );
}

/** The task that an object belongs to, as the end of a phrase; empty where it names none. */
function ofWhichTask({ objects, tasks }: Pick<RunnerRecord, 'objects' | 'tasks'>, uid: string): string {
  const task = tasks.find(({ marker }) =>
    objects.some(({ object, markers }) => object.metadata?.uid === uid && markers.includes(marker)),
  );
  return task === undefined ? '' : ` of the task ${task.label}`;
}

/**
 * The containers of a task's pod that ended badly or wait for a reason, with code and reason, as a part of a sentence;
 * empty: none.
 */
export function describeContainers(record: Pick<RunnerRecord, 'objects'>, task: SubmittedTask): string {
  const [pod] = podsOf(record, task);
  if (pod === undefined) {
    return '';
  }
  const { initContainerStatuses = [], containerStatuses = [] } = statusOf(pod.last);
  return [
    ...initContainerStatuses.map((status) => describeContainer('init container', status)),
    ...containerStatuses.map((status) => describeContainer('container', status)),
  ]
    .filter((text) => text !== undefined)
    .join(', ');
}

function describeContainer(kind: string, { name, state }: ContainerStatus): string | undefined {
  const { terminated, waiting } = state ?? {};
  if (terminated?.exitCode !== undefined && terminated.exitCode !== 0) {
    const reason = terminated.reason === undefined ? '' : ` (${terminated.reason})`;
    return `${kind} ${name} ended with ${terminated.exitCode}${reason}`;
  }
  return waiting?.reason === undefined ? undefined : `${kind} ${name} waits: ${waiting.reason}`;
}

/** What the runner made before it reported that it is ready, or that it is not, and what is still there of that. */
export function leftByPreflight(record: RunnerRecord): string[] {
  // One that never accepted work made nothing but its preflight.
  const readyAt = record.readiness?.ready === true ? record.readiness.at : record.endedAt;
  const own = new Set(
    record.tasks.flatMap((task) => [...jobsOf(record, task), ...podsOf(record, task)].map(({ uid }) => uid)),
  );
  return (['Job', 'Pod', 'Secret', 'ConfigMap'] as const).flatMap((kind) => {
    const all = ofKind(record, kind);
    // One watch keeps the order in which objects were made, however late it tells of them: what came before the first
    // Job or pod of a task was made before that task came.
    const firstOfTasks = all.findIndex(({ uid }) => own.has(uid));
    const before = new Set((firstOfTasks < 0 ? [] : all.slice(0, firstOfTasks)).map(({ uid }) => uid));
    return all
      .filter(
        ({ uid, isNew, firstAt, goneAt }) =>
          isNew && (firstAt < readyAt || before.has(uid)) && goneAt === undefined && !own.has(uid),
      )
      .map(({ name }) => `${kind} ${name}`);
  });
}

/** What a runner said at its start and since: its warnings, why it is not ready, and its own output. */
export function saidBy({ readiness, events }: Pick<RunnerRecord, 'readiness' | 'events'>): string {
  const atStart = readiness?.ready === false ? [readiness.reason] : (readiness?.warnings ?? []);
  return [...atStart, ...events.flatMap((event) => (event.type === 'log' ? [event.text] : []))].join('\n');
}

/** A time as checks write it. */
export function secondsText(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

/** Text that stands for itself in a regular expression. */
export function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** What was seen, short enough to be read: each task's way from submission to its pod's end. */
export function summarise(record: RunnerRecord): unknown {
  const after = (at: number | undefined): string | undefined =>
    at === undefined ? undefined : secondsText(at - record.startedAt);
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
        phase: statusOf(last).phase,
      })),
      ends: endsOf(record, task).map(({ at, ...end }) => ({ ...end, at: after(at) })),
      refused: refusalOf(record, task),
      outputBytes: outputBytesOf(record, task),
    })),
    log: record.events.flatMap((event) => (event.type === 'log' ? [event.text] : [])).slice(-20),
    exit: record.exit === undefined ? undefined : { ...record.exit, at: after(record.exit.at) },
    stalls: record.stalls,
  };
}
