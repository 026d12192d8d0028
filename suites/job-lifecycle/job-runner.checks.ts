/** What the requirements of job runners in this suite ask of a record. No check is content with having seen nothing. */

import type { KubernetesObject } from '@kubernetes/client-node';
import { type Finding, missing } from '../../harness/core/findings.ts';
import { parseLabelSelector } from '../../harness/core/label-selector.ts';
import { parseQuantity } from '../../harness/core/quantity.ts';
import type { PodFault } from '../../harness/role-data/job-runner/target-file.ts';
import {
  assumes,
  describeContainers,
  describeOutcome,
  endOfPod,
  endsOf,
  hasBegun,
  hasFinished,
  isOverForGood,
  jobsOf,
  leftByPreflight,
  leftOvers,
  type ObservedObject,
  ofKind,
  outputBytesOf,
  outputOf,
  podsOf,
  type RunnerRecord,
  type RunnersRecord,
  refusalOf,
  runsIn,
  SLACK_SECONDS,
  type SubmittedTask,
  secondsText,
  sigtermSeconds,
  specOf,
  statusOf,
  taskNamed,
} from '../../harness/roles/job-runner/record.ts';
import type { BytesRecord } from '../../harness/roles/job-runner/scenarios/bytes.ts';
import type { SignalRecord } from '../../harness/roles/job-runner/scenarios/disruptions.ts';
import {
  type EndsRecord,
  type FaultRecord,
  faultSeconds,
  type TimeLimitsRecord,
} from '../../harness/roles/job-runner/scenarios/faults.ts';
import type { IdsRecord, LimitRecord } from '../../harness/roles/job-runner/scenarios/ids.ts';
import type { InterruptionRecord } from '../../harness/roles/job-runner/scenarios/interruptions.ts';
import { END_SECONDS, type OtherContainersRecord } from '../../harness/roles/job-runner/scenarios/other-containers.ts';
import {
  type MemoryRecord,
  type OutputRecord,
  SILENT_SECONDS,
} from '../../harness/roles/job-runner/scenarios/output.ts';
import {
  type AgentPodSpec,
  agentOf,
  describeResumption,
  type ParentPodRecord,
} from '../../harness/roles/job-runner/scenarios/parent-pod.ts';
import type { PromptsRecord } from '../../harness/roles/job-runner/scenarios/prompts.ts';
import {
  describeStart,
  type PreflightRecord,
  type RefusalRecord,
} from '../../harness/roles/job-runner/scenarios/refusals.ts';
import {
  type CleanUpRecord,
  type ResourcesRecord,
  TEMPLATE_SERVICE_ACCOUNT,
} from '../../harness/roles/job-runner/scenarios/settings.ts';
import { OVERRIDE, type TasksRecord, TIME_LIMIT_SECONDS } from '../../harness/roles/job-runner/scenarios/tasks.ts';

/** JL-22: one Job and one pod for each task, never a second pod, also for one that failed. */
export function runsEachTaskOnce(record: RunnerRecord): Finding[] {
  return record.tasks.flatMap((task) => {
    const jobs = jobsOf(record, task);
    const pods = podsOf(record, task);
    const named = pods.map(({ name }) => name).join(', ');
    return [
      ...(jobs.length === 1
        ? []
        : [`the task ${task.label} had ${jobs.length} Jobs; it ${describeOutcome(record, task)}`]),
      ...(pods.length === 1
        ? []
        : [`the task ${task.label} had ${pods.length} pods (${named}); it ${describeOutcome(record, task)}`]),
    ];
  });
}

/** JL-24: its Jobs and pods, and only they, are found by the declared selectors, and others' Jobs are left alone. */
export function keepsToItsOwn(record: TasksRecord): Finding[] {
  const findings: Finding[] = [];
  const { jobs, pods } = record.target.selectors;
  const others = (name: string): boolean => record.bystanders.includes(name);
  if (record.bystanders.length === 0) {
    findings.push('no Job was seen, so that none of others was put alongside');
  }
  for (const [kind, selector] of [
    ['Job', jobs],
    ['Pod', pods],
  ] as const) {
    const ofTasks = record.tasks.flatMap((task) => (kind === 'Job' ? jobsOf(record, task) : podsOf(record, task)));
    if (ofTasks.length === 0) {
      findings.push(`no ${kind} of a task was seen`);
    }
    for (const { name, first } of ofTasks) {
      const labels = first.metadata?.labels ?? {};
      if (!parseLabelSelector(selector).matches(labels)) {
        findings.push(`${kind} ${name} is not found by \`${selector}\`: its labels are ${JSON.stringify(labels)}`);
      }
    }
  }
  for (const { name, goneAt, first, last } of ofKind(record, 'Job').filter((job) => others(job.name))) {
    if (goneAt !== undefined) {
      findings.push(`Job ${name}, which is not the runner's, was deleted`);
    } else if (intentOf(first) !== intentOf(last)) {
      findings.push(`Job ${name}, which is not the runner's, was changed`);
    }
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
    if (task === undefined) {
      continue;
    }
    const ends = endsOf(record, task);
    if (ends.length !== 1) {
      findings.push(`the task ${label} ${describeOutcome(record, task)}: ${ends.length} ends, not one`);
    }
    for (const end of ends) {
      if (end.outcome !== outcome) {
        findings.push(
          `the task ${label}, whose agent ends with ${label === 'fails' ? 7 : 0}, ${describeOutcome(record, task)}`,
        );
      } else if (
        label === 'fails' &&
        end.exitCode !== 7 &&
        (end.exitCode !== undefined || !/\b7\b/.test(end.reason ?? ''))
      ) {
        findings.push(
          `the task ${label} ended with exit code 7; it ${describeOutcome(record, task)}, which does not say so`,
        );
      }
    }
  }
  return findings;
}

/**
 * JL-25a: a task that prints nothing for long is reported as it ends, once, and not before, also one with a time limit
 * that it keeps.
 */
export function waitsForTheSilent(record: RunnerRecord): Finding[] {
  if (record.tasks.length === 0) {
    return ['no task was submitted'];
  }
  return record.tasks.flatMap((task) => {
    const { timeoutSeconds: limit } = task.task;
    const who = `the task${limit === undefined ? '' : ` with a time limit of ${limit} s`}`;
    if (podsOf(record, task).length === 0) {
      return [`${who} had no pod`];
    }
    const ends = endsOf(record, task);
    const early = ends.find((end) => end.at < task.at + SILENT_SECONDS * 1000);
    return [
      ...(ends.length === 1 && ends[0]?.outcome === 'succeeded'
        ? []
        : [`${who}, which printed nothing for ${SILENT_SECONDS} s and succeeded, ${describeOutcome(record, task)}`]),
      ...(early === undefined ? [] : [`that was reported ${secondsText(early.at - task.at)} after it was submitted`]),
    ];
  });
}

/** JL-27: a task that was reported as ended has no pod that runs, or could. */
export function leavesNothingRunning({ tasks, faults }: EndsRecord): Finding[] {
  // A fault that no task met leaves nothing behind.
  const ended = faults.filter((record) => record.tasks.some((task) => endsOf(record, task).length > 0));
  return [tasks, ...ended].flatMap(stillRunning);
}

/** What still runs, or could, of the tasks that one runner reported as ended. */
export function stillRunning(record: RunnerRecord): Finding[] {
  const findings: Finding[] = [];
  let evaluated = 0;
  for (const task of record.tasks) {
    const [end] = endsOf(record, task);
    if (end === undefined) {
      continue;
    }
    evaluated += 1;
    for (const pod of podsOf(record, task)) {
      const over = endOfPod(record, pod);
      const limit = end.at + SLACK_SECONDS * 1000;
      if (over !== undefined && over <= limit) {
        continue;
      }
      // The harness did not look for long enough to know.
      if (over === undefined && record.endedAt < limit) {
        continue;
      }
      const until = over === undefined ? 'to the end' : secondsText(over - end.at);
      const which = `its pod ${pod.name} (${statusOf(pod.last).phase})`;
      const text = `the task ${task.label} ${describeOutcome(record, task)}, but ${which} was there after that, ${until}`;
      findings.push({ text, from: end.at, to: over ?? record.endedAt, excessMs: (over ?? record.endedAt) - limit });
    }
    for (const job of jobsOf(record, task)) {
      if (!isOverForGood(job) && record.endedAt > end.at + SLACK_SECONDS * 1000) {
        findings.push(
          `the task ${task.label} ${describeOutcome(record, task)}, but its Job ${job.name} goes on and may start pods`,
        );
      }
    }
  }
  return evaluated === 0 ? ['no end was reported'] : findings;
}

/** JL-28: a cancelled task's Job and pod are gone, and it is reported as cancelled. */
export function cancels(record: RunnerRecord): Finding[] {
  assumes(record, 'cancel');
  const task = taskNamed(record, 'cancelled');
  if (task === undefined) {
    return ['no task was cancelled'];
  }
  const findings: Finding[] = [];
  const [end] = endsOf(record, task);
  if (end?.outcome !== 'cancelled') {
    findings.push(`the task that was cancelled ${describeOutcome(record, task)}`);
  }
  const pods = podsOf(record, task);
  if (pods.length === 0) {
    findings.push('the task that was cancelled had no pod');
  }
  for (const { name, goneAt, last } of pods) {
    if (goneAt === undefined && !hasFinished(last)) {
      findings.push(`the task was cancelled, and its pod ${name} is ${statusOf(last).phase}`);
    }
  }
  for (const { name, goneAt } of jobsOf(record, task)) {
    if (goneAt === undefined) {
      findings.push(`the task was cancelled, and its Job ${name} is still there`);
    }
  }
  return findings;
}

/** `activeDeadlineSeconds` among causes that are guessed at is no report. */
const TIMEOUT_WORDS = /\btime(d)?[ -]?out|\bdeadline|active_deadline\b/i;

/** JL-29: a task that takes longer than it may is ended, and reported as such. */
export function timesOut({ target, inTime }: TimeLimitsRecord): Finding[] {
  assumes({ target }, 'timeout');
  return endsAtItsLimit(inTime);
}

/** JL-29, where the cause became known late: a runner may have given up waiting for it, and call the task failed. */
export function timesOutLate({ target, late }: TimeLimitsRecord): Finding[] {
  assumes({ target }, 'timeout');
  return endsAtItsLimit(late, ', when its pod was gone and its Job did not yet report why');
}

/** @param late how the cause became known late, as a part of a sentence; empty: in time */
function endsAtItsLimit(record: RunnerRecord, late = ''): Finding[] {
  const task = taskNamed(record, 'runs-out');
  if (task === undefined) {
    return ['no task was given a time limit'];
  }
  const [end] = endsOf(record, task);
  const isReported =
    end?.outcome === 'timeout' || (end?.outcome === 'failed' && (late !== '' || TIMEOUT_WORDS.test(end.reason ?? '')));
  const limit = task.task.timeoutSeconds ?? TIME_LIMIT_SECONDS;
  const pods = podsOf(record, task);
  const running = pods.filter((pod) => endOfPod(record, pod) === undefined);
  const after = secondsText(record.endedAt - task.at);
  return [
    ...(isReported ? [] : [`the task with a time limit of ${limit} s ${describeOutcome(record, task)}${late}`]),
    ...(pods.length === 0 ? ['the task with a time limit had no pod'] : []),
    ...running.map(
      ({ name, last }) => `its pod ${name} is still ${statusOf(last).phase} ${after} after it was submitted`,
    ),
  ];
}

/** JL-30: nothing is left of what was to be cleaned up. */
export function cleansUp({ tasks: record }: CleanUpRecord): Finding[] {
  const left = leftOvers(record, record.bystanders);
  const lastEnd = Math.max(...record.tasks.flatMap((task) => endsOf(record, task).map(({ at }) => at)));
  const ran = record.tasks.some((task) => jobsOf(record, task).length > 0);
  const when = `${secondsText(record.endedAt - lastEnd)} after the last end was reported`;
  const { withinSeconds } = record.target.documented.cleanUp;
  return [
    ...(ran ? [] : ['no Job was seen']),
    ...(left.length === 0
      ? []
      : [`${when} (documented: ${withinSeconds} s) these are still there: ${left.join(', ')}`]),
  ];
}

/** JL-30: what was to be retained is there, by each task's own setting and by that of the runner. */
export function retains({ tasks, retained }: CleanUpRecord): Finding[] {
  const byTask = tasks.tasks.filter(({ task }) => task.retain === true);
  return [
    ...(byTask.length === 0 ? [] : keepsJobs(tasks, byTask)),
    ...(retained === undefined ? [] : keepsJobs(retained, retained.tasks)),
  ];
}

/** Whether the Jobs of some tasks are there, and nothing is set that will remove them sooner than documented. */
export function keepsJobs(record: RunnerRecord, retained: SubmittedTask[]): Finding[] {
  const { retainedSeconds } = record.target.documented.cleanUp;
  const documented =
    retainedSeconds === undefined ? 'no time to live is documented' : `${retainedSeconds} s are documented`;
  const findings: Finding[] = retained.length === 0 ? ['no Job was to be retained'] : [];
  for (const task of retained) {
    const who = `the task ${task.label}, whose Job was to be retained, ${describeOutcome(record, task)}`;
    const jobs = jobsOf(record, task);
    if (jobs.length === 0) {
      findings.push(`${who}: it had no Job`);
    }
    for (const { name, goneAt, last } of jobs) {
      const { spec = {} } = last as { spec?: { ttlSecondsAfterFinished?: number } };
      const ttl = spec.ttlSecondsAfterFinished;
      if (goneAt !== undefined || last.metadata?.deletionTimestamp !== undefined) {
        findings.push(`${who}, and its Job ${name} was deleted`);
      } else if (ttl !== undefined && ttl < (retainedSeconds ?? Number.POSITIVE_INFINITY)) {
        const what = `the cluster will delete its Job ${name}: \`ttlSecondsAfterFinished\` is ${ttl}, and ${documented}`;
        findings.push(`${who}, and ${what}`);
      }
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
  if (first === undefined || second === undefined) {
    return ['the two tasks that are the same did not both have a pod'];
  }
  if (first === second) {
    return [];
  }
  const at = [...first].findIndex((character, index) => character !== second[index]);
  const [a, b] = [first, second].map((text) => text.slice(Math.max(0, at - 80), at + 80));
  return [`two tasks that are the same gave different pods: …${a}… and …${b}…`];
}

/** A pod's specification without what names the task: ids, names made of them, hashes. */
function neutralSpec(record: RunnerRecord, { task, marker }: SubmittedTask, pod: ObservedObject): string {
  const own = ofKind(record, 'Job', marker).map(({ name }) => name);
  const volumes = /kube-api-access-[a-z0-9]{5}/g;
  let text = JSON.stringify(specOf(pod)).replaceAll(volumes, 'TOKEN');
  for (const known of [pod.name, ...own, marker, task.id, task.agent]) {
    text = text.replaceAll(known, 'ID');
  }
  for (const id of [task.id, task.agent]) {
    text = withoutCuts(text, id);
  }
  // Digests have no more in common than that they are long.
  return text.replaceAll(/[0-9a-f]{8,}/g, 'HEX').replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z|\b\d{10,}\b/g, 'TIME');
}

/** Shorter ones say nothing of whose they are. */
const SHORTEST_CUT = 6;

/** A text without an id that was cut off, and put in lower case. */
function withoutCuts(text: string, id: string): string {
  let rest = text;
  for (let length = id.length; length >= SHORTEST_CUT; length -= 1) {
    rest = rest.replaceAll(id.slice(0, length), 'ID').replaceAll(id.slice(0, length).toLowerCase(), 'ID');
  }
  return rest;
}

/** JL-42: the documented resources, and each override alongside the defaults of all else. */
export function appliesResources({ target, tasks, overridden, plain }: ResourcesRecord): Finding[] {
  const { overriddenBy, defaults } = target.documented.resources;
  return [
    ...hasResources(tasks, 'first', {}),
    ...(overriddenBy.includes('task') ? hasResources(tasks, 'fails', OVERRIDE) : []),
    ...(overridden === undefined ? [] : hasResources(overridden, 'overridden', OVERRIDE)),
    ...(plain === undefined ? [] : hasResources(plain, 'plain', {}, defaults)),
  ];
}

interface Resources {
  requests?: object | undefined;
  limits?: object | undefined;
}

function hasResources(
  record: RunnerRecord,
  label: string,
  override: Resources,
  defaults: Resources = record.target.documented.resources,
): Finding[] {
  const { container: agent } = record.target;
  const task = taskNamed(record, label);
  const [pod] = task === undefined ? [] : podsOf(record, task);
  if (pod === undefined) {
    return [`the task ${label} had no pod`];
  }
  const container = specOf(pod).containers.find(({ name }) => name === agent);
  if (container === undefined) {
    return [`pod ${pod.name} has no container ${agent}`];
  }
  return (['requests', 'limits'] as const).flatMap((part) =>
    Object.entries({ ...defaults[part], ...override[part] }).flatMap(([name, value]) => {
      const is = container.resources?.[part]?.[name];
      return is !== undefined && parseQuantity(is) === parseQuantity(String(value))
        ? []
        : [`the task ${label}: ${part}.${name} is ${is ?? 'not set'}, not ${value}`];
    }),
  );
}

const SAFETY_POLL_SECONDS = 30;

/** JL-36: it watches; lists come once a watch and no more often than every 30 s; no Events call for a healthy pod. */
export function watchesRatherThanPolls(record: TasksRecord): Finding[] {
  const findings: Finding[] = [];
  const span = (record.endedAt - (record.readiness?.at ?? record.startedAt)) / 1000;
  const since = new Date(record.readiness?.at ?? record.startedAt).toISOString();
  const after = record.requests.filter(({ at }) => at > since);
  const watched = new Set(record.requests.filter(({ verb }) => verb === 'watch').map(({ resource }) => resource));
  if (!watched.has('jobs') && !watched.has('pods')) {
    findings.push('it watches neither Jobs nor pods');
  }
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
        const asked = `it asked ${same.length} times for ${same[0]?.path} within ${span.toFixed(0)} s`;
        findings.push(`${asked}; with ${watches} watches ${allowed} times would do`);
      }
    }
  }
  const events = after.filter(
    (request) => request.resource === 'events' && asksForAHealthyPod(request, record.objects),
  );
  if (events.length > 0) {
    const example = `${events[0]?.path}?fieldSelector=${events[0]?.fieldSelector ?? ''}`;
    findings.push(`it asked ${events.length} times for Events of healthy pods, for example ${example}`);
  }
  return findings;
}

/** What a runner knows of a pod comes a moment later than it happens. */
const NEWS_MS = 2_000;

/**
 * True for Events of everything, and of a pod that ran or had succeeded. One that is pending may be in trouble, and one
 * that failed is: their Events are worth a call (Oz agent worker, Kubernetes backend).
 */
function asksForAHealthyPod(
  { at, fieldSelector = '' }: TasksRecord['requests'][number],
  objects: TasksRecord['objects'],
): boolean {
  const [, by, value] = /involvedObject\.(name|uid)=([^,]+)/.exec(fieldSelector) ?? [];
  if (by === undefined || value === undefined) {
    return true;
  }
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

/** JL-20: no work is accepted where the pods of tasks cannot be created, and what the preflight made is gone again. */
export function provesFirst({ target, good, refusals }: PreflightRecord): Finding[] {
  assumes({ target }, 'preflight');
  const accepted = refusals.filter(({ readiness }) => readiness?.ready === true);
  const left = [good, ...refusals].flatMap((record) => {
    const readyAt = record.readiness?.at ?? record.endedAt;
    const after = secondsText(record.endedAt - readyAt);
    return leftByPreflight(record).map((object) => `${object} of its preflight was still there ${after} after that`);
  });
  return [...accepted.map(({ cause }) => `it accepted work although ${cause}`), ...left];
}

/** JL-21: the runner exits or refuses, and names the cause. */
export function refusesWhatItCannotDo(record: RunnersRecord<RefusalRecord>): Finding[] {
  assumes(record, 'preflight');
  return refusesToStart(record);
}

/** JL-44: the same of settings that are wrong. */
export function refusesToStart({ runners }: RunnersRecord<RefusalRecord>): Finding[] {
  return runners.length === 0 ? ['nothing was tried'] : runners.flatMap((refusal) => describeStart(refusal) ?? []);
}

/** JL-23: as many Jobs as there were ids. */
export function namesEveryTask(record: IdsRecord): Finding[] {
  const findings: Finding[] = [];
  const byName = new Map<string, string>();
  for (const task of record.tasks) {
    const id = JSON.stringify(
      task.task.id.length > 60 ? `${task.task.id.slice(0, 30)}…${task.task.id.slice(-20)}` : task.task.id,
    );
    const jobs = jobsOf(record, task);
    if (jobs.length === 0) {
      findings.push(`the task with the id ${id} got no Job; it ${describeOutcome(record, task)}`);
    }
    for (const { name } of jobs) {
      const other = byName.get(name);
      if (other !== undefined) {
        findings.push(`the tasks ${other} and ${id} share the Job ${name}`);
      }
      byName.set(name, id);
    }
  }
  if (record.tasks.length === 0) {
    return ['no task was submitted'];
  }
  return findings.length === 0
    ? []
    : [`of ids by the seed ${record.seed} of fast-check ${findings.length} went wrong`, ...findings];
}

/** JL-26: each fault is reported as a failure, within its time. */
export function reportsFaults({ runners }: RunnersRecord<FaultRecord>): Finding[] {
  const met = runners.flatMap((record) =>
    record.faults.flatMap(({ fault, label, since }) => {
      const task = taskNamed(record, label);
      return task === undefined ? [] : [{ record, fault, task, since }];
    }),
  );
  return met.length === 0 ? ['no fault could be brought about'] : met.flatMap(reportsFault);
}

function reportsFault({
  record,
  fault,
  task,
  since,
}: {
  record: FaultRecord;
  fault: PodFault;
  task: SubmittedTask;
  since: number;
}): Finding[] {
  const { target } = record;
  const allowed = faultSeconds(target, fault);
  const documented = target.documented.faultSeconds[fault] === undefined ? 'none documented, so' : 'documented:';
  const limit = `${documented} ${allowed} s`;
  const containers = describeContainers(record, task);
  const who = `${fault}${containers === '' ? '' : ` (${containers})`}`;
  const [end] = endsOf(record, task);
  if (end === undefined && refusalOf(record, task) === undefined) {
    const after = secondsText(record.endedAt - since);
    return [`${who}: nothing was reported ${after} after the task ${task.label} could not succeed (${limit})`];
  }
  if (end === undefined || end.outcome === 'succeeded' || end.outcome === 'cancelled') {
    return [`${who}: the task ${task.label} ${describeOutcome(record, task)}`];
  }
  const excessMs = end.at - since - (allowed + SLACK_SECONDS) * 1000;
  const text = `${who}: reported ${secondsText(end.at - since)} after it could not succeed (${limit})`;
  return excessMs > 0 ? [{ text, from: since, to: end.at, excessMs }] : [];
}

/** JL-31: it ends in time; its own Jobs are deleted or preserved, as it documents, and others are left alone. */
export function obeysSigterm(record: SignalRecord): Finding[] {
  const others = ofKind(record, 'Job').filter(({ name }) => record.bystanders.includes(name));
  return [
    ...exitsInTime(record),
    ...treatsItsJobsAsDocumented(record),
    ...others
      .filter(({ goneAt }) => goneAt !== undefined)
      .map(({ name }) => `Job ${name}, which is not the runner's, was deleted`),
  ];
}

function exitsInTime({ target, exitedAt, signalledAt, lookedAt }: SignalRecord): Finding[] {
  const allowed = sigtermSeconds(target);
  const isDocumented = target.documented.onSigterm.withinSeconds !== undefined;
  const limit = isDocumented ? `documented: ${allowed} s` : `a pod has ${allowed} s`;
  if (exitedAt === undefined) {
    return [`it had not ended ${secondsText(lookedAt - signalledAt)} after SIGTERM (${limit})`];
  }
  const excessMs = exitedAt - signalledAt - allowed * 1000;
  const text = `it ended ${secondsText(exitedAt - signalledAt)} after SIGTERM (${limit})`;
  return excessMs > 0 ? [{ text, from: signalledAt, to: exitedAt, excessMs }] : [];
}

function treatsItsJobsAsDocumented(record: SignalRecord): Finding[] {
  const { signalledAt, lookedAt } = record;
  const { jobs: documented } = record.target.documented.onSigterm;
  const [task] = record.tasks;
  const jobs = task === undefined ? [] : jobsOf(record, task);
  if (task === undefined || jobs.length === 0) {
    return ['no Job of its own was there at SIGTERM'];
  }
  // A runner that goes on cleans up after its tasks, as ever.
  if (record.exitedAt === undefined) {
    return [];
  }
  return jobs.flatMap(({ name, uid }) => {
    const deletedAt = deletionOf(record, uid);
    if (documented === 'delete' && deletedAt === undefined) {
      const after = secondsText(lookedAt - signalledAt);
      return [`it documents to delete its Jobs, and ${name} was still there ${after} after SIGTERM`];
    }
    // A runner that waits for its tasks before it ends cleans up after those that are done.
    const isDone = endsOf(record, task).some(({ outcome, at }) => outcome === 'succeeded' && at <= (deletedAt ?? 0));
    if (documented === 'preserve' && deletedAt !== undefined && !isDone) {
      const after = secondsText(deletedAt - signalledAt);
      return [`it documents to preserve its Jobs, and ${name} was deleted ${after} after SIGTERM`];
    }
    return [];
  });
}

/** When an object was first seen to be deleted, or to be about to, until the harness looked at what is left. */
function deletionOf({ objects, lookedAt }: SignalRecord, uid: string): number | undefined {
  return objects.find(
    ({ type, object: { metadata }, at }) =>
      metadata?.uid === uid && (type === 'DELETED' || metadata.deletionTimestamp !== undefined) && at <= lookedAt,
  )?.at;
}

/** JL-32: the end of a task that was preserved is reported after the restart, once. */
export function takesUp(record: SignalRecord): Finding[] {
  const [task] = record.tasks;
  if (task === undefined || record.restarted === undefined) {
    return ['it was not started again'];
  }
  if (!record.restarted.ready) {
    return ['it did not become ready again'];
  }
  const ends = endsOf(record, task);
  return ends.length === 1 && ends[0]?.outcome === 'succeeded'
    ? []
    : [`the task that was preserved, and succeeded, ${describeOutcome(record, task)}`];
}

/** No UUID. */
const UNUSUAL = /[^0-9a-f-]/;

/** JL-33: never more than the limit at once, by the pods that were seen; the surplus is refused or waits. */
export function keepsLimits({ runners }: RunnersRecord<LimitRecord>): Finding[] {
  return runners.flatMap((record) => {
    const groups =
      record.per === 'worker'
        ? [record.tasks]
        : Object.values(Object.groupBy(record.tasks, ({ task }) => task.agent)).map((group) => group ?? []);
    return groups.flatMap((tasks) => {
      const who =
        record.per === 'worker' ? 'the worker' : `the agent ${JSON.stringify(tasks[0]?.task.agent.slice(0, 40))}`;
      const most = mostAtOnce(record, tasks);
      const ended = tasks.filter((task) => endsOf(record, task).some(({ outcome }) => outcome === 'succeeded'));
      const refused = tasks.filter((task) => refusalOf(record, task) !== undefined);
      // An id of which it makes no Job at all breaks no limit: that is JL-23's.
      if (most === 0 && UNUSUAL.test(tasks[0]?.task.agent ?? '')) {
        return [];
      }
      const stories = (): string => tasks.map((task) => `${task.label} ${describeOutcome(record, task)}`).join('; ');
      return [
        ...(most > record.count ? [`${who} had ${most} pods at once; its limit is ${record.count}`] : []),
        ...(most === 0 ? [`${who} had no pod`] : []),
        ...(record.surplus === 'queued' && ended.length < tasks.length
          ? [`${who}: what is too much waits, it is documented; but ${stories()}`]
          : []),
        ...(record.surplus === 'refused' && (refused.length === 0 || ended.length + refused.length < tasks.length)
          ? [`${who}: what is too much is refused, it is documented; but ${stories()}`]
          : []),
      ];
    });
  });
}

/** The most pods of these tasks that were there at the same time, in the order of one watch. */
function mostAtOnce(record: RunnerRecord, tasks: RunnerRecord['tasks']): number {
  const uids = new Set(tasks.flatMap((task) => podsOf(record, task).map(({ uid }) => uid)));
  const active = new Set<string>();
  let most = 0;
  for (const { kind, type, object } of record.objects) {
    const uid = object.metadata?.uid ?? '';
    if (kind !== 'Pod' || !uids.has(uid)) {
      continue;
    }
    const { phase, containerStatuses = [] } = (object.status ?? {}) as {
      phase?: string;
      containerStatuses?: { state?: { terminated?: object } }[];
    };
    const ended =
      type === 'DELETED' ||
      ['Succeeded', 'Failed'].includes(phase ?? '') ||
      (containerStatuses.length > 0 && containerStatuses.every(({ state }) => state?.terminated !== undefined));
    if (ended) {
      active.delete(uid);
    } else {
      active.add(uid);
    }
    most = Math.max(most, active.size);
  }
  return most;
}

/** Output arrives within this time of being written. */
const STREAM_SECONDS = 5;

/** JL-34: every line once and in order, over a broken connection, and while the task runs. */
export function streamsOutput(record: OutputRecord): Finding[] {
  assumes(record, 'stream');
  const [task] = record.tasks;
  if (task === undefined) {
    return ['no task was submitted'];
  }
  const findings: Finding[] = [];
  // A runner that never asks for the log has it from elsewhere, by a connection that is none of the API server's.
  const elsewhere = record.logs.length === 0 && outputOf(record, task) !== '';
  if (!elsewhere && !record.logs.some(({ fault }) => fault !== undefined)) {
    findings.push('no connection for its log was seen, so that none was broken');
  }
  const numbers = [...outputOf(record, task).matchAll(/\bline (\d+)\b/g)].map(([, number]) => Number(number));
  const wanted = Array.from({ length: record.lines }, (_, index) => index + 1);
  if (numbers.join() !== wanted.join()) {
    findings.push(`of lines 1 to ${record.lines} it gave ${numbers.join(', ') || 'none'}`);
  }
  const running = record.objects.find(
    ({ kind, object, markers }) =>
      kind === 'Pod' && markers.includes(task.marker) && runsIn(object, record.target.container),
  );
  const first = record.events.find(
    (event) => event.type === 'output' && event.task === task.task.id && /\bline 1\b/.test(event.text),
  );
  if (running !== undefined && first !== undefined) {
    const late = first.at - running.at - STREAM_SECONDS * 1000;
    const text = `its first line came ${secondsText(first.at - running.at)} after the agent was seen to run`;
    if (late > 0) {
      findings.push({ text, from: running.at, to: first.at, excessMs: late });
    }
  }
  return findings;
}

/**
 * JL-37: nothing is lost, nothing done or reported twice. A task that came while the API server was away may be
 * refused, so that whoever submitted it keeps it; one that was claimed and then failed is lost.
 */
export function survivesDisruptions(record: OutputRecord): Finding[] {
  return record.tasks.flatMap((task) => {
    if (task.label === 'amid' && refusalOf(record, task) !== undefined) {
      return [];
    }
    const ends = endsOf(record, task);
    const jobs = jobsOf(record, task);
    const numbers = [...outputOf(record, task).matchAll(/\bline (\d+)\b/g)].map(([, number]) => Number(number));
    const lines = Number(task.task.env?.WORKLOAD_LINES);
    const wanted = Array.from({ length: lines }, (_, index) => index + 1);
    const streams = record.target.capabilities.includes('stream');
    const healthy = jobs.length === 0 ? '' : ', with which nothing was wrong,';
    return [
      ...(ends.length === 1 && ends[0]?.outcome === 'succeeded'
        ? []
        : [`the task ${task.label}${healthy} ${describeOutcome(record, task)}`]),
      ...(jobs.length === 1 ? [] : [`the task ${task.label} had ${jobs.length} Jobs`]),
      ...(streams && numbers.join() !== wanted.join()
        ? [`the task ${task.label}: of lines 1 to ${lines} it gave ${numbers.join(', ') || 'none'}`]
        : []),
    ];
  });
}

/** Requests that are repeated after a break read a little twice. */
const REREAD_FACTOR = 1.1;

/** JL-35: no more of a log is read than documented, and the task ends as it does. */
export function boundsLogs(record: OutputRecord): Finding[] {
  const [task] = record.tasks;
  if (task === undefined) {
    return ['no task was submitted'];
  }
  const limit = record.target.documented.logLimitBytes ?? Number.POSITIVE_INFINITY;
  const read = record.logs.reduce((sum, { bytes }) => sum + bytes, 0);
  const given = outputBytesOf(record, task);
  const [end] = endsOf(record, task);
  const outcome = task.task.env?.WORKLOAD_EXIT_CODE === '0' ? 'succeeded' : 'failed';
  return [
    ...(record.logs.length === 0 && given === 0 ? ['it read no log'] : []),
    ...(read > limit * REREAD_FACTOR ? [`it read ${read} bytes of the log of one task; documented are ${limit}`] : []),
    ...(given > limit * REREAD_FACTOR ? [`it gave ${given} bytes of output; documented are ${limit}`] : []),
    ...(end?.outcome === outcome
      ? []
      : [`the task with the long output, which ${outcome}, ${describeOutcome(record, task)}`]),
  ];
}

/** What a program may need more under load than before it: buffers, and what its language has not yet collected. */
const MEMORY_MIB = 80;

/** JL-35a: the runner's own memory does not grow with what an agent prints. */
export function boundsMemory(record: MemoryRecord): Finding[] {
  const { container } = record.target;
  const [task] = record.tasks;
  if (task === undefined || podsOf(record, task).length === 0) {
    return ['the task had no pod'];
  }
  // Nothing was printed where nobody ran.
  if (!record.objects.some(({ kind, object }) => kind === 'Pod' && hasBegun(object, container))) {
    return [`the agent of the task never ran: it ${describeOutcome(record, task)}`];
  }
  const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
  const { before, most } = record.memory;
  const printed = mebibytes(record.printed);
  return [
    ...(record.exit === undefined
      ? []
      : [`its process ended (${record.exit.signal ?? `code ${record.exit.code}`}) while a task printed ${printed}`]),
    ...(most - before > MEMORY_MIB * 2 ** 20
      ? [`its memory grew from ${mebibytes(before)} to ${mebibytes(most)} while a task printed ${printed}`]
      : []),
    ...(endsOf(record, task).length === 0 ? [`the task that printed ${printed} ${describeOutcome(record, task)}`] : []),
  ];
}

/** JL-39: everything of the template is in the pod. */
export function mergesTemplate(record: RunnerRecord): Finding[] {
  assumes(record, 'pod-template');
  const [task] = record.tasks;
  const [pod] = task === undefined ? [] : podsOf(record, task);
  if (task === undefined || pod === undefined) {
    return [`the task had no pod${task === undefined ? '' : `: it ${describeOutcome(record, task)}`}`];
  }
  const spec = specOf(pod);
  const agent = spec.containers.find(({ name }) => name === record.target.container);
  const has = (what: string, is: boolean): Finding[] => (is ? [] : [`the template's ${what} is not in the pod`]);
  const tolerations = spec.tolerations ?? [];
  return [
    ...has('serviceAccountName', spec.serviceAccountName === TEMPLATE_SERVICE_ACCOUNT),
    ...has('nodeSelector', spec.nodeSelector?.['kubernetes.io/os'] === 'linux'),
    ...has(
      'toleration',
      tolerations.some(({ key }) => key === 'conformance.test/template'),
    ),
    ...has(
      'imagePullSecrets',
      (spec.imagePullSecrets ?? []).some(({ name }) => name === 'conformance-pull'),
    ),
    ...has(
      'extra container',
      spec.containers.some(({ name }) => name === 'conformance-sidecar'),
    ),
    ...has('variable', agent?.env?.some(({ name, value }) => name === 'FROM_TEMPLATE' && value === 'kept') === true),
    ...has(
      'secretKeyRef',
      agent?.env?.some(({ name, valueFrom }) => name === 'FROM_SECRET' && valueFrom?.secretKeyRef !== undefined) ===
        true,
    ),
    ...(endsOf(record, task)[0]?.outcome === 'succeeded' ? [] : [`the task ${describeOutcome(record, task)}`]),
  ];
}

/** JL-40: prompts up to nearly 128 KiB arrive byte for byte. */
export function deliversPrompts(record: PromptsRecord): Finding[] {
  return record.prompts
    .filter(({ bytes }) => bytes < 131_072)
    .flatMap(({ label, bytes, sha256, seen, change }) => {
      if (seen === sha256) {
        return [];
      }
      const task = taskNamed(record, label);
      const outcome = task === undefined ? '' : `; the task ${describeOutcome(record, task)}`;
      const what = seen === undefined ? 'did not arrive' : `arrived changed${change === undefined ? '' : ` ${change}`}`;
      return [`the prompt ${label} of ${bytes} bytes ${what}${outcome}`];
    });
}

const SIZE_WORDS = /\b(long|large|big|size|bytes|limit|length|exceeds?|most|maximum)\b/i;

/** JL-40a: larger prompts arrive as they are, or the task is refused, and the reason says that it is too large. */
export function deliversOrRefusesLargePrompts(record: PromptsRecord): Finding[] {
  return record.prompts
    .filter(({ bytes }) => bytes >= 131_072)
    .flatMap(({ label, bytes, sha256, seen }) => {
      if (seen === sha256) {
        return [];
      }
      const task = record.tasks.find((submitted) => submitted.label === label);
      if (task === undefined) {
        return [];
      }
      if (seen !== undefined) {
        return [`the prompt ${label} of ${bytes} bytes arrived changed`];
      }
      const reason = refusalOf(record, task) ?? endsOf(record, task)[0]?.reason ?? '';
      return SIZE_WORDS.test(reason)
        ? []
        : [`the prompt ${label} of ${bytes} bytes did not arrive, and the task ${describeOutcome(record, task)}`];
    });
}

/** JL-43: everything that is documented to be inherited is in the agent's pod. */
export function inherits(record: ParentPodRecord): Finding[] {
  assumes(record, 'inherit');
  const { deployment } = record.target;
  const { spec, agent } = agentOf(record, 'first');
  if (deployment === undefined || spec === undefined || agent === undefined) {
    return ['the task had no pod'];
  }
  if (deployment.inherits.length === 0) {
    return ['the target file names nothing in `deployment.inherits`'];
  }
  const parent = (record.pod as { spec?: unknown }).spec as AgentPodSpec;
  const container = parent.containers.find(({ name }) => name === deployment.container);
  const envOf = (kind: 'value' | 'valueFrom') => (container?.env ?? []).filter((entry) => entry[kind] !== undefined);
  const secretsOf = (volumes: AgentPodSpec['volumes'] = []) =>
    volumes.flatMap(({ secret }) => (secret?.secretName === undefined ? [] : [{ name: secret.secretName }]));
  const isThere = {
    image: () => agent.image === container?.image,
    imagePullSecrets: () => hasEach(parent.imagePullSecrets, spec.imagePullSecrets),
    dns: () => JSON.stringify(parent.dnsConfig) === JSON.stringify(spec.dnsConfig),
    secretVolumes: () => hasEach(secretsOf(parent.volumes), secretsOf(spec.volumes)),
    value: () => hasEach(envOf('value'), agent.env),
    valueFrom: () => hasEach(envOf('valueFrom'), agent.env),
    envFrom: () => hasEach(container?.envFrom, agent.envFrom),
  };
  return deployment.inherits.flatMap((what) =>
    isThere[what]() ? [] : [`${what} of the parent pod is not in the agent's pod`],
  );
}

/** True when there are parts, and each of them is among the others. */
function hasEach(parts: object[] = [], others: object[] = []): boolean {
  const texts = others.map((other) => JSON.stringify(other));
  return parts.length > 0 && parts.every((part) => texts.includes(JSON.stringify(part)));
}

/** JL-41: the second task goes on with the session of the first. */
export function resumesSessions(record: ParentPodRecord): Finding[] {
  assumes(record, 'session');
  return describeResumption(record) ?? [];
}

/** JL-45: a task that was ended from outside is not reported as succeeded, whatever its exit code. */
export function reportsNoInterruptedTaskAsSucceeded({ runners }: RunnersRecord<InterruptionRecord>): Finding[] {
  const interrupted = runners.flatMap((record) =>
    record.interrupted.flatMap(({ label, by }) => {
      const task = taskNamed(record, label);
      return task === undefined ? [] : [{ record, task, by }];
    }),
  );
  if (interrupted.length === 0) {
    return ['no task could be interrupted'];
  }
  return interrupted.flatMap(({ record, task, by }) => {
    const ends = endsOf(record, task);
    if (ends.length > 0 && ends.every(({ outcome }) => outcome !== 'succeeded')) {
      return [];
    }
    const code = exitCodeOf(record, task);
    const agent = code === undefined ? 'whose agent got SIGTERM' : `whose agent ended with ${code} on SIGTERM`;
    const text = `the task ${task.label}, ${agent} (${by}), ${describeOutcome(record, task)}`;
    return [ends.length === 0 ? missing(text) : text];
  });
}

/** JL-46: a task ends when its agent's container does, and as that one did, whatever other containers do. */
export function endsWithItsAgent({ runners }: RunnersRecord<OtherContainersRecord>): Finding[] {
  return runners.flatMap((record) =>
    record.tasks.flatMap((task): Finding[] => {
      const wanted = task.label === 'fails' ? 'failed' : 'succeeded';
      const code = task.label === 'fails' ? 7 : 0;
      const who = `the task ${task.label}, whose agent ended with ${code} alongside ${record.alongside},`;
      const agentAt = agentEndedAt(record, task);
      const [end] = endsOf(record, task);
      if (end === undefined) {
        const seen = agentAt === undefined ? '' : ` ${secondsText(record.endedAt - agentAt)} after its agent had ended`;
        return [missing(`${who} ${describeOutcome(record, task)}${seen}`)];
      }
      const isWrongCode = code !== 0 && end.exitCode !== undefined && end.exitCode !== code;
      if (end.outcome !== wanted || isWrongCode) {
        return [`${who} ${describeOutcome(record, task)}`];
      }
      if (agentAt === undefined || end.at - agentAt <= END_SECONDS * 1000) {
        return [];
      }
      const text = `${who} was reported ${secondsText(end.at - agentAt)} after its agent had ended`;
      return [{ text, from: agentAt, to: end.at, excessMs: end.at - agentAt - END_SECONDS * 1000 }];
    }),
  );
}

/** When the agent's container was first seen to have ended, in milliseconds since the epoch. */
function agentEndedAt({ objects, target }: RunnerRecord, { marker }: SubmittedTask): number | undefined {
  return objects.find(
    ({ kind, markers, object }) =>
      kind === 'Pod' && markers.includes(marker) && terminationOf(object, target.container) !== undefined,
  )?.at;
}

function terminationOf(pod: KubernetesObject, container: string): { exitCode?: number } | undefined {
  return statusOf(pod).containerStatuses?.find(({ name }) => name === container)?.state?.terminated;
}

/** The code that the agent's container ended with, as it was seen last. */
function exitCodeOf(record: RunnerRecord, task: SubmittedTask): number | undefined {
  const [pod] = podsOf(record, task);
  return pod === undefined ? undefined : terminationOf(pod.last, record.target.container)?.exitCode;
}

/** Characters of a line that stand in a finding, on each side of where it is wrong. */
const EXCERPT = 24;

/** JL-47: every line of the agent's log is in the output, whole, once and in order. */
export function givesLinesWhole(record: BytesRecord): Finding[] {
  assumes(record, 'stream');
  const [task] = record.tasks;
  if (task === undefined || record.lines.length === 0) {
    return ['nothing was printed'];
  }
  const { output } = record;
  let from = 0;
  const findings = record.lines.flatMap(({ what, begins, text }): Finding[] => {
    const at = output.indexOf(text, from);
    if (at < 0) {
      const finding = `the line with ${what} ${describeLoss(output, text, begins)}`;
      return [output.includes(text) ? finding : missing(finding)];
    }
    from = at + text.length;
    return output.includes(text, from) ? [`the line with ${what} was given more than once`] : [];
  });
  const [end] = endsOf(record, task);
  return end?.outcome === 'succeeded' ? findings : [...findings, `the task ${describeOutcome(record, task)}`];
}

/**
 * What became of a line that is not in the output where it belongs: where it changes, what was expected there and what
 * was found.
 */
function describeLoss(output: string, line: string, begins: string): string {
  if (output.includes(line)) {
    return 'was given out of order';
  }
  // The longest beginning of the line that arrived.
  let [known, lost] = [0, line.length];
  while (known < lost) {
    const middle = Math.ceil((known + lost) / 2);
    if (output.includes(line.slice(0, middle))) {
      known = middle;
    } else {
      lost = middle - 1;
    }
  }
  // A shorter beginning is that of another line.
  if (known < begins.length) {
    return 'was not given';
  }
  const at = output.indexOf(line.slice(0, known)) + known;
  const [expected, found] = [line, output].map((text, n) => {
    const position = n === 0 ? known : at;
    return JSON.stringify(text.slice(Math.max(0, position - EXCERPT), position + EXCERPT));
  });
  return `is changed after ${known} of ${line.length} characters: expected ${expected}, found ${found}`;
}
