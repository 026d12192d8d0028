/**
 * The rows of the role `job-runner`, as functions of what was seen. Each returns what is wrong, one sentence a finding;
 * nothing wrong is an empty list. None of them is content with having seen nothing.
 */

import type { KubernetesObject } from '@kubernetes/client-node';
import type { Finding } from '../../../core/findings.ts';
import { parseLabelSelector } from '../../../core/label-selector.ts';
import type { Target } from '../../../targets/load.ts';
import type { RunnerRecord, SubmittedTask } from '../launch.ts';
import {
  endsOf,
  jobsOf,
  leftOvers,
  type ObservedObject,
  OVERRIDE,
  ofKind,
  podsOf,
  refusalOf,
  SLACK_SECONDS,
  type TasksRecord,
  TIME_LIMIT_SECONDS,
} from '../scenarios/tasks.ts';

type JobRunnerTarget = Target<'job-runner'>;

interface Container {
  name: string;
  image?: string;
  command?: string[];
  args?: string[];
  env?: { name: string; value?: string; valueFrom?: { secretKeyRef?: object } }[];
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
  securityContext?: SecurityContext;
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

interface PodSpec {
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

interface PodStatus {
  phase?: string;
  conditions?: { type: string; status: string; reason?: string; message?: string }[];
}

export const specOf = ({ first }: ObservedObject): PodSpec => (first as { spec?: unknown }).spec as PodSpec;
const statusOf = (object: KubernetesObject): PodStatus => ((object as { status?: unknown }).status ?? {}) as PodStatus;

function taskNamed(record: RunnerRecord, label: string): SubmittedTask | undefined {
  return record.tasks.find((task) => task.label === label);
}

/** What a task came to, in words. */
export function fate(record: RunnerRecord, task: SubmittedTask): string {
  const ends = endsOf(record, task).map(({ outcome, exitCode, reason }) =>
    [outcome, exitCode === undefined ? undefined : `exit code ${exitCode}`, reason].filter(Boolean).join(', '),
  );
  const refusal = refusalOf(record, task);
  if (ends.length > 0) return `was reported as ${ends.join(' and as ')}`;
  return refusal === undefined ? 'was never reported as ended' : `was refused: ${refusal}`;
}

/** JL-22: one Job and one pod for each task, never a second pod, also for one that failed. */
export function runsEachTaskOnce(record: RunnerRecord): Finding[] {
  return record.tasks.flatMap((task) => {
    const jobs = jobsOf(record, task);
    const pods = podsOf(record, task);
    const named = pods.map(({ name }) => name).join(', ');
    return [
      ...(jobs.length === 1 ? [] : [`the task ${task.label} had ${jobs.length} Jobs; it ${fate(record, task)}`]),
      ...(pods.length === 1
        ? []
        : [`the task ${task.label} had ${pods.length} pods (${named}); it ${fate(record, task)}`]),
    ];
  });
}

/** JL-24: its Jobs and pods, and only they, are found by the declared selectors, and others' Jobs are left alone. */
export function keepsToItsOwn(record: TasksRecord, target: JobRunnerTarget): Finding[] {
  const findings: Finding[] = [];
  const { jobs, pods } = target.selectors;
  const others = (name: string): boolean => record.bystanders.includes(name);
  if (record.bystanders.length === 0) findings.push('no Job was seen, so that none of others was put beside it');
  for (const [kind, selector] of [
    ['Job', jobs],
    ['Pod', pods],
  ] as const) {
    const ofTasks = record.tasks.flatMap((task) => (kind === 'Job' ? jobsOf(record, task) : podsOf(record, task)));
    if (ofTasks.length === 0) findings.push(`no ${kind} of a task was seen`);
    for (const { name, first } of ofTasks) {
      if (!parseLabelSelector(selector).matches(first.metadata?.labels ?? {}))
        findings.push(
          `${kind} ${name} is not found by \`${selector}\`: its labels are ${JSON.stringify(first.metadata?.labels ?? {})}`,
        );
    }
  }
  for (const { name, goneAt, first, last } of ofKind(record, 'Job').filter((job) => others(job.name))) {
    if (goneAt !== undefined) findings.push(`Job ${name}, which is not the runner's, was deleted`);
    else if (intentOf(first) !== intentOf(last)) findings.push(`Job ${name}, which is not the runner's, was changed`);
  }
  return findings;
}

/** All of an object that its owner decides. */
function intentOf(object: KubernetesObject): string {
  const { labels, annotations } = object.metadata ?? {};
  return JSON.stringify([labels, annotations, (object as { spec?: unknown }).spec]);
}

/** JL-25: success, and failure with its exit code, each once. */
export function reportsEndsOnce(record: RunnerRecord): Finding[] {
  const findings: Finding[] = [];
  for (const [label, outcome] of [
    ['first', 'succeeded'],
    ['second', 'succeeded'],
    ['fails', 'failed'],
  ] as const) {
    const task = taskNamed(record, label);
    if (task === undefined) continue;
    const ends = endsOf(record, task);
    if (ends.length !== 1) findings.push(`the task ${label} ${fate(record, task)}: ${ends.length} ends, not one`);
    for (const end of ends) {
      if (end.outcome !== outcome)
        findings.push(`the task ${label}, whose agent ends with ${label === 'fails' ? 7 : 0}, ${fate(record, task)}`);
      else if (
        label === 'fails' &&
        end.exitCode !== 7 &&
        (end.exitCode !== undefined || !/\b7\b/.test(end.reason ?? ''))
      )
        findings.push(`the task ${label} ended with exit code 7; it ${fate(record, task)}, which does not say so`);
    }
  }
  return findings;
}

/** JL-25a: a task that says nothing for long is reported as it ends, once, and not before; also one that has a time limit, and keeps it. */
export function waitsForTheSilent(record: RunnerRecord, silentSeconds: number): Finding[] {
  if (record.tasks.length === 0) return ['no task was submitted'];
  return record.tasks.flatMap((task) => {
    const { timeoutSeconds: limit } = task.task;
    const who = `the task${limit === undefined ? '' : ` with a time limit of ${limit} s`}`;
    if (podsOf(record, task).length === 0) return [`${who} had no pod`];
    const ends = endsOf(record, task);
    const early = ends.find((end) => end.at < task.at + silentSeconds * 1000);
    return [
      ...(ends.length === 1 && ends[0]?.outcome === 'succeeded'
        ? []
        : [`${who}, which said nothing for ${silentSeconds} s and succeeded, ${fate(record, task)}`]),
      ...(early === undefined ? [] : [`that was told ${secondsBetween(task.at, early.at)} s after it was submitted`]),
    ];
  });
}

/** JL-27: what was reported as ended has no pod that runs, or could. */
export function leavesNothingRunning(record: RunnerRecord): Finding[] {
  const findings: Finding[] = [];
  let judged = 0;
  for (const task of record.tasks) {
    const [end] = endsOf(record, task);
    if (end === undefined) continue;
    judged += 1;
    for (const pod of podsOf(record, task)) {
      const over = endOfPod(record, pod);
      const limit = end.at + SLACK_SECONDS * 1000;
      if (over !== undefined && over <= limit) continue;
      // It was not looked on for long enough to know.
      if (over === undefined && record.endedAt < limit) continue;
      const until = over === undefined ? 'to the end' : `${((over - end.at) / 1000).toFixed(1)} s`;
      const text = `the task ${task.label} ${fate(record, task)}, but its pod ${pod.name} (${statusOf(pod.last).phase}) was there after that, ${until}`;
      findings.push({ text, from: end.at, to: over ?? record.endedAt, excessMs: (over ?? record.endedAt) - limit });
    }
    for (const job of jobsOf(record, task)) {
      const { conditions = [] } = statusOf(job.last);
      const finished = conditions.some(
        ({ type, status }) => ['Complete', 'Failed'].includes(type) && status === 'True',
      );
      if (job.goneAt === undefined && !finished && record.endedAt > end.at + SLACK_SECONDS * 1000) {
        findings.push(
          `the task ${task.label} ${fate(record, task)}, but its Job ${job.name} goes on and may start pods`,
        );
      }
    }
  }
  return judged === 0 ? ['no end was reported'] : findings;
}

/** When a pod was first seen to be over: ended or gone. */
function endOfPod({ objects }: RunnerRecord, { uid }: ObservedObject): number | undefined {
  return objects.find(
    ({ type, object }) =>
      object.metadata?.uid === uid &&
      (type === 'DELETED' || ['Succeeded', 'Failed'].includes(statusOf(object).phase ?? '')),
  )?.at;
}

/** JL-28: a cancelled task's Job and pod are gone, and it is reported as cancelled. */
export function cancels(record: RunnerRecord): Finding[] {
  const task = taskNamed(record, 'cancelled');
  if (task === undefined) return ['no task was cancelled'];
  const findings: Finding[] = [];
  const [end] = endsOf(record, task);
  if (end?.outcome !== 'cancelled') findings.push(`the task that was cancelled ${fate(record, task)}`);
  const pods = podsOf(record, task);
  if (pods.length === 0) findings.push('the task that was cancelled had no pod');
  for (const { name, goneAt, last } of pods) {
    if (goneAt === undefined && !['Succeeded', 'Failed'].includes(statusOf(last).phase ?? ''))
      findings.push(`the task was cancelled, and its pod ${name} is ${statusOf(last).phase}`);
  }
  for (const { name, goneAt } of jobsOf(record, task)) {
    if (goneAt === undefined) findings.push(`the task was cancelled, and its Job ${name} is still there`);
  }
  return findings;
}

/** `activeDeadlineSeconds` among causes that are guessed at is no report. */
export const TIMEOUT_WORDS = /\btime(d)?[ -]?out|\bdeadline|active_deadline\b/i;

/**
 * JL-29: a task that takes longer than it may is ended, and reported as such.
 *
 * @param late words for it, where the cause was told late: a runner may have given up waiting for it, and call the task failed without it
 */
export function timesOut(record: RunnerRecord, late = ''): Finding[] {
  const task = taskNamed(record, 'runs-out');
  if (task === undefined) return ['no task was given a time limit'];
  const [end] = endsOf(record, task);
  const findings: Finding[] = [];
  const isTold =
    end?.outcome === 'timeout' || (end?.outcome === 'failed' && (late !== '' || TIMEOUT_WORDS.test(end.reason ?? '')));
  if (!isTold)
    findings.push(
      `the task with a time limit of ${task.task.timeoutSeconds ?? TIME_LIMIT_SECONDS} s ${fate(record, task)}${late}`,
    );
  const pods = podsOf(record, task);
  if (pods.length === 0) findings.push('the task with a time limit had no pod');
  for (const pod of pods) {
    if (endOfPod(record, pod) === undefined)
      findings.push(
        `its pod ${pod.name} is still ${statusOf(pod.last).phase} ${secondsBetween(task.at, record.endedAt)} s after it was submitted`,
      );
  }
  return findings;
}

/** JL-30: nothing is left of what was cleaned up, and what was to be kept is kept. */
export function cleansUp(record: TasksRecord, target: JobRunnerTarget): Finding[] {
  const { withinSeconds } = target.documented.cleanUp;
  const left = leftOvers(record, record.bystanders);
  const lastEnd = Math.max(...record.tasks.flatMap((task) => endsOf(record, task).map(({ at }) => at)));
  const ran = record.tasks.some((task) => jobsOf(record, task).length > 0);
  const retained = record.tasks.filter(({ task }) => task.retain === true);
  return [
    ...(ran ? [] : ['no Job was seen']),
    ...(left.length === 0
      ? []
      : [
          `${secondsBetween(lastEnd, record.endedAt)} s after the last end was reported (documented: ${withinSeconds} s) these are still there: ${left.join(', ')}`,
        ]),
    ...(retained.length === 0 ? [] : keepsJobs(record, retained, target)),
  ];
}

/** JL-30 for tasks whose Jobs were to be kept: they are there, and nothing is set that will remove them sooner than documented. */
export function keepsJobs(record: RunnerRecord, retained: SubmittedTask[], target: JobRunnerTarget): Finding[] {
  const { retainedSeconds = Number.POSITIVE_INFINITY } = target.documented.cleanUp;
  const findings: Finding[] = retained.length === 0 ? ['no Job was to be retained'] : [];
  for (const task of retained) {
    const who = `the task ${task.label}, whose Job was to be retained, ${fate(record, task)}`;
    const jobs = jobsOf(record, task);
    if (jobs.length === 0) findings.push(`${who}: it had no Job`);
    for (const { name, goneAt, last } of jobs) {
      const { ttlSecondsAfterFinished: ttl } = ((last as { spec?: object }).spec ?? {}) as {
        ttlSecondsAfterFinished?: number;
      };
      if (goneAt !== undefined || last.metadata?.deletionTimestamp !== undefined)
        findings.push(`${who}, and its Job ${name} was deleted`);
      else if (ttl !== undefined && ttl < retainedSeconds)
        findings.push(
          `${who}, and the cluster will delete its Job ${name}: \`ttlSecondsAfterFinished\` is ${ttl}, and ${Number.isFinite(retainedSeconds) ? `${retainedSeconds} s are documented` : 'that it goes by itself is not documented'}`,
        );
    }
  }
  return findings;
}

/** JL-38: the same task, its variables in another order, gives the same pod. */
export function writesTheSamePod(record: RunnerRecord): Finding[] {
  const [first, second] = ['first', 'second'].map((label) => {
    const task = taskNamed(record, label);
    const [pod] = task === undefined ? [] : podsOf(record, task);
    return task === undefined || pod === undefined ? undefined : neutralSpec(record, task, pod);
  });
  if (first === undefined || second === undefined) return ['the two tasks that are the same did not both have a pod'];
  if (first === second) return [];
  const at = [...first].findIndex((character, index) => character !== second[index]);
  const [a, b] = [first, second].map((text) => text.slice(Math.max(0, at - 80), at + 80));
  return [`two tasks that are the same gave different pods: …${a}… and …${b}…`];
}

/** A pod's specification without what names the task: ids, names made of them, hashes. */
function neutralSpec(record: RunnerRecord, { task, marker }: SubmittedTask, pod: ObservedObject): string {
  const own = ofKind(record, 'Job', marker).map(({ name }) => name);
  const volumes = /kube-api-access-[a-z0-9]{5}/g;
  let text = JSON.stringify(specOf(pod)).replaceAll(volumes, 'TOKEN');
  for (const known of [pod.name, ...own, marker, task.id, task.agent]) text = text.replaceAll(known, 'ID');
  for (const id of [task.id, task.agent]) text = withoutCuts(text, id);
  // Digests have no more in common than that they are long.
  return text.replaceAll(/[0-9a-f]{8,}/g, 'HEX').replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z|\b\d{10,}\b/g, 'TIME');
}

/** Shorter ones say nothing of whose they are. */
const SHORTEST_CUT = 6;

/** A text without an id that was cut off, and put in lower case. */
function withoutCuts(text: string, id: string): string {
  let rest = text;
  for (let length = id.length; length >= SHORTEST_CUT; length -= 1)
    rest = rest.replaceAll(id.slice(0, length), 'ID').replaceAll(id.slice(0, length).toLowerCase(), 'ID');
  return rest;
}

/** JL-42: the documented resources, and each override beside the defaults of all else. */
export function appliesResources(record: RunnerRecord, target: JobRunnerTarget): Finding[] {
  const { overriddenBy } = target.documented.resources;
  return [
    ...hasResources(record, target, 'first', {}),
    ...(overriddenBy.includes('task') ? hasResources(record, target, 'fails', OVERRIDE) : []),
  ];
}

/** The same, where the settings override them. */
export function appliesResourceSettings(record: RunnerRecord, target: JobRunnerTarget): Finding[] {
  return hasResources(record, target, 'overridden', OVERRIDE);
}

/** The same, where nothing at all is asked for. */
export function appliesOwnDefaults(record: RunnerRecord, target: JobRunnerTarget): Finding[] {
  return hasResources(record, target, 'plain', {}, target.documented.resources.defaults);
}

function hasResources(
  record: RunnerRecord,
  target: JobRunnerTarget,
  label: string,
  override: { requests?: object; limits?: object },
  defaults: { requests?: object | undefined; limits?: object | undefined } = target.documented.resources,
): Finding[] {
  const { requests = {}, limits = {} } = defaults;
  const task = taskNamed(record, label);
  const [pod] = task === undefined ? [] : podsOf(record, task);
  if (pod === undefined) return [`the task ${label} had no pod`];
  const container = specOf(pod).containers.find(({ name }) => name === target.container);
  if (container === undefined) return [`pod ${pod.name} has no container ${target.container}`];
  const wanted = { requests: { ...requests, ...override.requests }, limits: { ...limits, ...override.limits } };
  return (['requests', 'limits'] as const).flatMap((part) =>
    Object.entries(wanted[part]).flatMap(([name, value]) => {
      const is = container.resources?.[part]?.[name];
      return is !== undefined && quantity(is) === quantity(String(value))
        ? []
        : [`the task ${label}: ${part}.${name} is ${is ?? 'not set'}, not ${value}`];
    }),
  );
}

const SUFFIXES: Record<string, number> = {
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** Kubernetes' resource quantities: `1000m` is `1`. */
export function quantity(text: string): number {
  const [, number = '', suffix = ''] = /^([0-9.]+)([a-zA-Z]*)$/.exec(text) ?? [];
  return Number(number) * (SUFFIXES[suffix] ?? 1);
}

export function secondsBetween(from: number, to: number): string {
  return ((to - from) / 1000).toFixed(1);
}

const SAFETY_POLL_SECONDS = 30;

/** JL-36: it watches; lists come once a watch and no more often than every 30 s; no Events call for a healthy pod. */
export function watchesRatherThanPolls(record: TasksRecord): Finding[] {
  const findings: Finding[] = [];
  const span = (record.endedAt - (record.readiness?.at ?? record.startedAt)) / 1000;
  const since = new Date(record.readiness?.at ?? record.startedAt).toISOString();
  const after = record.requests.filter(({ at }) => at > since);
  const watched = new Set(record.requests.filter(({ verb }) => verb === 'watch').map(({ resource }) => resource));
  if (!watched.has('jobs') && !watched.has('pods')) findings.push('it watches neither Jobs nor pods');
  for (const resource of ['jobs', 'pods']) {
    const asked = after.filter((request) => request.resource === resource && request.subresource === undefined);
    const watches = asked.filter(({ verb }) => verb === 'watch').length;
    const allowed = watches + 1 + Math.floor(span / SAFETY_POLL_SECONDS);
    const lists = Object.values(
      Object.groupBy(
        asked.filter(({ verb }) => verb === 'list'),
        selectionOf,
      ),
    );
    const gets = Object.values(
      Object.groupBy(
        asked.filter(({ verb }) => verb === 'get'),
        selectionOf,
      ),
    );
    for (const same of [...lists, ...gets]) {
      if (same !== undefined && same.length > allowed) {
        findings.push(
          `it asked ${same.length} times for ${same[0]?.path} within ${span.toFixed(0)} s; with ${watches} watches ${allowed} times would do`,
        );
      }
    }
  }
  const events = after.filter(
    (request) => request.resource === 'events' && asksForAHealthyPod(request, record.objects),
  );
  if (events.length > 0)
    findings.push(
      `it asked ${events.length} times for Events of healthy pods, for example ${events[0]?.path}?fieldSelector=${events[0]?.fieldSelector ?? ''}`,
    );
  return findings;
}

/** What a runner knows of a pod comes a moment later than it happens. */
const NEWS_MS = 2_000;

/**
 * True for Events of everything, and of a pod that ran or had succeeded. One that is pending may be in trouble, and one that failed is:
 * their Events are worth a call (Oz agent worker, Kubernetes backend).
 */
function asksForAHealthyPod(
  { at, fieldSelector = '' }: TasksRecord['requests'][number],
  objects: TasksRecord['objects'],
): boolean {
  const [, by, value] = /involvedObject\.(name|uid)=([^,]+)/.exec(fieldSelector) ?? [];
  if (by === undefined || value === undefined) return true;
  const own = objects.filter(({ kind, object }) => kind === 'Pod' && object.metadata?.[by as 'name' | 'uid'] === value);
  const asked = Date.parse(at);
  const known = own.filter((event) => event.at <= asked - NEWS_MS);
  const phases = [known.at(-1), ...own.filter((event) => event.at > asked - NEWS_MS && event.at <= asked)].map(
    (event) => (event?.object.status as { phase?: string } | undefined)?.phase ?? 'Pending',
  );
  return own.length > 0 && phases.every((phase) => phase === 'Running' || phase === 'Succeeded');
}

function selectionOf({ path, fieldSelector, labelSelector }: TasksRecord['requests'][number]): string {
  return [path, fieldSelector, labelSelector].join(' ');
}

/** WH-01: non-root, no privilege escalation, no capabilities, fsGroup set; init containers that are declared may differ. */
export function runsUnprivileged(record: RunnerRecord, target: JobRunnerTarget): Finding[] {
  return eachPod(record, (pod, spec) => [
    ...(spec.securityContext?.fsGroup === undefined ? [`pod ${pod} has no fsGroup`] : []),
    ...containersOf(spec, target.privilegedInitContainers).flatMap(({ name, securityContext: own = {} }) => {
      const { runAsNonRoot, runAsUser } = { ...spec.securityContext, ...own };
      const wrong = [
        ...(runAsUser === 0 || (runAsNonRoot !== true && runAsUser === undefined) ? ['may run as root'] : []),
        ...(own.allowPrivilegeEscalation === false ? [] : ['allows privilege escalation']),
        ...(own.privileged === true ? ['is privileged'] : []),
        ...(own.capabilities?.drop?.includes('ALL') === true ? [] : ['does not drop all capabilities']),
      ];
      return wrong.length === 0 ? [] : [`pod ${pod}: container ${name} ${wrong.join(', ')}`];
    }),
  ]);
}

/** WH-03: no API token in agents' pods. */
export function mountsNoApiToken(record: RunnerRecord, target: JobRunnerTarget): Finding[] {
  if (target.apiTokenInPods) return [];
  return eachPod(record, (pod, { volumes = [] }) =>
    /"serviceAccountToken":/.test(JSON.stringify(volumes))
      ? [`pod ${pod} has a ServiceAccount token: the volumes ${JSON.stringify(volumes).slice(0, 200)}`]
      : [],
  );
}

/** WH-04: the value of a secret variable stands in no specification and in no line of the runner's own output. */
export function hidesSecrets(record: TasksRecord): Finding[] {
  const { value, variable } = record.canary;
  const inObjects = [...ofKind(record, 'Pod'), ...ofKind(record, 'Job')].filter(({ first, last }) =>
    JSON.stringify([first, last]).includes(value),
  );
  const inLog = record.events.filter((event) => event.type === 'log' && event.text.includes(value));
  const delivered = eachPod(record, () => []);
  return [
    ...delivered,
    ...inObjects.map(
      ({ name }) => `the value of the secret variable ${variable} stands in the specification of ${name}`,
    ),
    ...(inLog.length === 0
      ? []
      : [`the value of the secret variable ${variable} stands in ${inLog.length} lines of its log`]),
  ];
}

/** WH-05: requests and limits of CPU and memory. */
export function setsResources(record: RunnerRecord): Finding[] {
  return eachPod(record, (pod, spec) =>
    spec.containers.flatMap(({ name, resources = {} }) => {
      const missing = [
        ...(resources.requests?.cpu === undefined ? ['requests.cpu'] : []),
        ...(resources.requests?.memory === undefined ? ['requests.memory'] : []),
        ...(resources.limits?.memory === undefined ? ['limits.memory'] : []),
      ];
      return missing.length === 0 ? [] : [`pod ${pod}: container ${name} sets no ${missing.join(', ')}`];
    }),
  );
}

/** Volumes that OpenShift's restricted-v2 lets in. */
const VOLUME_TYPES = ['projected', 'configMap', 'emptyDir', 'secret', 'persistentVolumeClaim'];

/** WH-06a: no uid of its own choice, and volumes of the permitted types alone. What a cluster adds to a pod is not the runner's: its Job counts. */
export function worksWithAnAssignedUid(record: RunnerRecord): Finding[] {
  return eachSpec(record, (who, spec) => [
    ...[{ name: 'pod', securityContext: spec.securityContext }, ...spec.containers, ...(spec.initContainers ?? [])]
      .filter(({ securityContext }) => securityContext?.runAsUser !== undefined)
      .map(({ name, securityContext }) => `${who}: ${name} insists on uid ${securityContext?.runAsUser}`),
    ...(spec.volumes ?? []).flatMap((volume) => {
      const type = Object.keys(volume).find((key) => key !== 'name') ?? 'emptyDir';
      return VOLUME_TYPES.includes(type) ? [] : [`${who}: the volume ${String(volume.name)} is a ${type}`];
    }),
  ]);
}

/** The pods that a runner asks for: each task's, as its Job has it; as the pod itself has it, where no Job was seen. */
export function specsOf(record: RunnerRecord): { who: string; spec: PodSpec }[] {
  return record.tasks.flatMap((task) => {
    const jobs = jobsOf(record, task).map(({ name, first }) => {
      const { template } = (first as { spec?: unknown }).spec as { template: { spec: PodSpec } };
      return { who: `Job ${name}`, spec: template.spec };
    });
    return jobs.length > 0 ? jobs : podsOf(record, task).map((pod) => ({ who: `pod ${pod.name}`, spec: specOf(pod) }));
  });
}

function eachSpec(record: RunnerRecord, judge: (who: string, spec: PodSpec) => Finding[]): Finding[] {
  const specs = specsOf(record);
  return specs.length === 0 ? ['no pod of a task was seen'] : specs.flatMap(({ who, spec }) => judge(who, spec));
}

function eachPod(record: RunnerRecord, judge: (name: string, spec: PodSpec) => Finding[]): Finding[] {
  const pods = record.tasks.flatMap((task) => podsOf(record, task));
  return pods.length === 0 ? ['no pod of a task was seen'] : pods.flatMap((pod) => judge(pod.name, specOf(pod)));
}

function containersOf({ containers, initContainers = [] }: PodSpec, excepted: string[]): Container[] {
  return [...initContainers.filter(({ name }) => !excepted.includes(name)), ...containers];
}
