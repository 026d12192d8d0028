/** The rows of the role `job-runner` that are judged from a part of its own; see {@link ./tasks.ts}. */

import type { Finding } from '../../../core/findings.ts';
import type { Target } from '../../../targets/load.ts';
import { hasBegun, type RunnerRecord } from '../launch.ts';
import type { SignalRecord } from '../scenarios/disruptions.ts';
import { type FaultRecord, faultSeconds } from '../scenarios/faults.ts';
import type { IdsRecord, LimitRecord } from '../scenarios/ids.ts';
import type { MemoryRecord, OutputRecord } from '../scenarios/output.ts';
import type { DeploymentRecord } from '../scenarios/parent-pod.ts';
import type { PromptsRecord } from '../scenarios/prompts.ts';
import type { RefusalRecord } from '../scenarios/refusals.ts';
import { TEMPLATE_SERVICE_ACCOUNT } from '../scenarios/settings.ts';
import {
  endsOf,
  jobsOf,
  leftByPreflight,
  ofKind,
  outputOf,
  podsOf,
  refusalOf,
  SLACK_SECONDS,
} from '../scenarios/tasks.ts';
import { fate, leavesNothingRunning, specOf } from './tasks.ts';

type JobRunnerTarget = Target<'job-runner'>;

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** JL-20: no work is accepted where the pods of tasks cannot be created; what the proof made is gone again. */
export function provesFirst(good: RunnerRecord, refusals: RefusalRecord[]): Finding[] {
  const accepted = refusals.filter(({ readiness }) => readiness?.ready === true);
  const left = [good, ...refusals].flatMap((record) => {
    const readyAt = record.readiness?.at ?? record.endedAt;
    return leftByPreflight(record).map(
      (object) => `${object} of its preflight was still there ${seconds(record.endedAt - readyAt)} after that`,
    );
  });
  return [...accepted.map(({ cause }) => `it accepted work although ${cause}`), ...left];
}

/** JL-21, JL-44: the runner exits or refuses, and names the cause. */
export function refusesToStart(refusals: RefusalRecord[], { startSeconds }: JobRunnerTarget): Finding[] {
  const findings: Finding[] = refusals.length === 0 ? ['nothing was tried'] : [];
  for (const { readiness, cause, named, events, exit } of refusals) {
    const said = events.flatMap((event) => (event.type === 'log' ? [event.text] : []));
    const late = readiness?.ready === true && exit !== undefined;
    if (readiness === undefined)
      findings.push(`with ${cause} it neither started nor said why not within ${startSeconds} s`);
    else if (readiness.ready && !late) findings.push(`with ${cause} it started all the same`);
    else {
      const words = [...(readiness.ready ? [] : [readiness.reason]), ...said].join('\n');
      if (!new RegExp(named, 'i').test(words))
        findings.push(`with ${cause} it did not start, but does not name that: ${words.slice(0, 300)}`);
    }
  }
  return findings;
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
    if (jobs.length === 0) findings.push(`the task with the id ${id} got no Job; it ${fate(record, task)}`);
    for (const { name } of jobs) {
      const other = byName.get(name);
      if (other !== undefined) findings.push(`the tasks ${other} and ${id} share the Job ${name}`);
      byName.set(name, id);
    }
  }
  if (record.tasks.length === 0) return ['no task was submitted'];
  return findings.length === 0
    ? []
    : [`of ids by the seed ${record.seed} of fast-check ${findings.length} went wrong`, ...findings];
}

/** JL-26: each fault is reported as a failure, within its time. */
export function reportsFaults(records: FaultRecord[], target: JobRunnerTarget): Finding[] {
  const findings: Finding[] = [];
  let judged = 0;
  for (const record of records) {
    for (const { fault, label, since } of record.faults) {
      const task = record.tasks.find((submitted) => submitted.label === label);
      if (task === undefined) continue;
      judged += 1;
      const allowed = faultSeconds(target, fault);
      const [end] = endsOf(record, task);
      if (refusalOf(record, task) !== undefined) findings.push(`${fault}: the task ${fate(record, task)}`);
      else if (end === undefined)
        findings.push(
          `${fault}: nothing was reported ${seconds(record.endedAt - since)} after it could not succeed (${allowed} s)`,
        );
      else if (end.outcome === 'succeeded' || end.outcome === 'cancelled')
        findings.push(`${fault}: the task ${fate(record, task)}`);
      else if (end.at - since > (allowed + SLACK_SECONDS) * 1000) {
        const text = `${fault}: reported ${seconds(end.at - since)} after it could not succeed (${allowed} s)`;
        findings.push({ text, from: since, to: end.at, excessMs: end.at - since - (allowed + SLACK_SECONDS) * 1000 });
      }
    }
  }
  return judged === 0 ? ['no fault could be brought about'] : findings;
}

/** JL-27 for tasks that could not begin. */
export function leavesNothingBehindFaults(records: FaultRecord[]): Finding[] {
  return records.flatMap((record) =>
    record.tasks.some((task) => endsOf(record, task).length > 0) ? leavesNothingRunning(record) : [],
  );
}

/** JL-31: it ends in time; its own Jobs are deleted or preserved, as it documents, and others are left alone. */
export function obeysSigterm(record: SignalRecord, { documented }: JobRunnerTarget): Finding[] {
  const { jobs: documentedJobs, withinSeconds } = documented.onSigterm;
  const findings: Finding[] = [];
  const [task] = record.tasks;
  if (record.exitedAt === undefined)
    findings.push(
      `it had not ended ${seconds(record.lookedAt - record.signalledAt)} after SIGTERM (documented: ${withinSeconds} s)`,
    );
  else if (record.exitedAt - record.signalledAt > withinSeconds * 1000) {
    const took = record.exitedAt - record.signalledAt;
    const text = `it ended ${seconds(took)} after SIGTERM (documented: ${withinSeconds} s)`;
    findings.push({ text, from: record.signalledAt, to: record.exitedAt, excessMs: took - withinSeconds * 1000 });
  }
  const jobs = task === undefined ? [] : jobsOf(record, task);
  if (jobs.length === 0) findings.push('no Job of its own was there when it was told to end');
  // A runner that goes on cleans up after its tasks, as ever.
  for (const { name, uid } of record.exitedAt === undefined ? [] : jobs) {
    const deletion = record.objects.find(
      ({ type, object: { metadata }, at }) =>
        metadata?.uid === uid &&
        (type === 'DELETED' || metadata.deletionTimestamp !== undefined) &&
        at <= record.lookedAt,
    );
    // One that waits for its tasks before it ends cleans up after those that are done.
    const isDone =
      task !== undefined &&
      endsOf(record, task).some(({ outcome, at }) => outcome === 'succeeded' && at <= (deletion?.at ?? 0));
    if (deletion !== undefined && documentedJobs === 'preserve' && !isDone)
      findings.push(
        `it documents to preserve its Jobs, and ${name} was deleted ${seconds(deletion.at - record.signalledAt)} after SIGTERM`,
      );
    if (deletion === undefined && documentedJobs === 'delete')
      findings.push(
        `it documents to delete its Jobs, and ${name} was still there ${seconds(record.lookedAt - record.signalledAt)} after SIGTERM`,
      );
  }
  for (const { name, goneAt } of ofKind(record, 'Job').filter((job) => record.bystanders.includes(job.name))) {
    if (goneAt !== undefined) findings.push(`Job ${name}, which is not the runner's, was deleted`);
  }
  return findings;
}

/** JL-32: the end of a task that was preserved is reported after the restart, once. */
export function takesUp(record: SignalRecord): Finding[] {
  const [task] = record.tasks;
  if (task === undefined || record.restarted === undefined) return ['it was not started again'];
  if (!record.restarted.ready) return ['it did not become ready again'];
  const ends = endsOf(record, task);
  return ends.length === 1 && ends[0]?.outcome === 'succeeded'
    ? []
    : [`the task that was preserved, and succeeded, ${fate(record, task)}`];
}

/** No UUID. */
const UNUSUAL = /[^0-9a-f-]/;

/** JL-33: never more than the limit at once, by the pods that were seen; the surplus is refused or waits. */
export function keepsLimits(records: LimitRecord[]): Finding[] {
  return records.flatMap((record) => {
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
      if (most === 0 && UNUSUAL.test(tasks[0]?.task.agent ?? '')) return [];
      const stories = (): string => tasks.map((task) => `${task.label} ${fate(record, task)}`).join('; ');
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
    if (kind !== 'Pod' || !uids.has(uid)) continue;
    const { phase, containerStatuses = [] } = (object.status ?? {}) as {
      phase?: string;
      containerStatuses?: { state?: { terminated?: object } }[];
    };
    const ended =
      type === 'DELETED' ||
      ['Succeeded', 'Failed'].includes(phase ?? '') ||
      (containerStatuses.length > 0 && containerStatuses.every(({ state }) => state?.terminated !== undefined));
    if (ended) active.delete(uid);
    else active.add(uid);
    most = Math.max(most, active.size);
  }
  return most;
}

/** Output arrives within this time of being written. */
const STREAM_SECONDS = 5;

/** JL-34: every line once and in order, over a broken connection, and while the task runs. */
export function streamsOutput(record: OutputRecord, target: JobRunnerTarget): Finding[] {
  const [task] = record.tasks;
  if (task === undefined) return ['no task was submitted'];
  const findings: Finding[] = [];
  // Who never asks for the log has it from elsewhere, by a connection that is none of the API server's.
  const elsewhere = record.logs.length === 0 && outputOf(record, task) !== '';
  if (!elsewhere && !record.logs.some(({ fault }) => fault !== undefined))
    findings.push('no connection for its log was seen, so that none was broken');
  const numbers = [...outputOf(record, task).matchAll(/\bline (\d+)\b/g)].map(([, number]) => Number(number));
  const wanted = Array.from({ length: record.lines }, (_, index) => index + 1);
  if (numbers.join() !== wanted.join())
    findings.push(`of lines 1 to ${record.lines} it gave ${numbers.join(', ') || 'none'}`);
  const running = record.objects.find(({ kind, object, markers }) => {
    const { containerStatuses = [] } = (object.status ?? {}) as {
      containerStatuses?: { name: string; state?: { running?: object } }[];
    };
    return (
      kind === 'Pod' &&
      markers.includes(task.marker) &&
      containerStatuses.some(({ name, state }) => name === target.container && state?.running !== undefined)
    );
  });
  const first = record.events.find(
    (event) => event.type === 'output' && event.task === task.task.id && /\bline 1\b/.test(event.text),
  );
  if (running !== undefined && first !== undefined) {
    const late = first.at - running.at - STREAM_SECONDS * 1000;
    const text = `its first line came ${seconds(first.at - running.at)} after the agent was seen to run`;
    if (late > 0) findings.push({ text, from: running.at, to: first.at, excessMs: late });
  }
  return findings;
}

/**
 * JL-37: nothing is lost, nothing done or told twice. A task that came while the API server was away may be refused, so that whoever
 * submitted it keeps it; one that was claimed and then failed is lost.
 */
export function livesThroughTroubles(record: OutputRecord, target: JobRunnerTarget): Finding[] {
  return record.tasks.flatMap((task) => {
    if (task.label === 'amid' && refusalOf(record, task) !== undefined) return [];
    const ends = endsOf(record, task);
    const jobs = jobsOf(record, task);
    const numbers = [...outputOf(record, task).matchAll(/\bline (\d+)\b/g)].map(([, number]) => Number(number));
    const lines = Number(task.task.env?.WORKLOAD_LINES);
    const wanted = Array.from({ length: lines }, (_, index) => index + 1);
    const streams = target.capabilities.includes('stream');
    return [
      ...(ends.length === 1 && ends[0]?.outcome === 'succeeded'
        ? []
        : [
            `the task ${task.label}${jobs.length === 0 ? '' : ', with which nothing was wrong,'} ${fate(record, task)}`,
          ]),
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
export function boundsLogs(record: OutputRecord, { documented }: JobRunnerTarget): Finding[] {
  const [task] = record.tasks;
  if (task === undefined) return ['no task was submitted'];
  const limit = documented.logLimitBytes;
  const read = record.logs.reduce((sum, { bytes }) => sum + bytes, 0);
  const told = Number(outputOf(record, task) || 0);
  const [end] = endsOf(record, task);
  const outcome = task.task.env?.WORKLOAD_EXIT_CODE === '0' ? 'succeeded' : 'failed';
  return [
    ...(record.logs.length === 0 && told === 0 ? ['it read no log'] : []),
    ...(read > limit * REREAD_FACTOR ? [`it read ${read} bytes of the log of one task; documented are ${limit}`] : []),
    ...(told > limit * REREAD_FACTOR ? [`it gave ${told} bytes of output; documented are ${limit}`] : []),
    ...(end?.outcome === outcome ? [] : [`the task with the long output, which ${outcome}, ${fate(record, task)}`]),
  ];
}

/** What a program may need more under load than before it: buffers, and what its language has not yet collected. */
const MEMORY_MIB = 80;

/** JL-35a: the runner's own memory does not grow with what an agent prints. */
export function boundsMemory(record: MemoryRecord, { container }: JobRunnerTarget): Finding[] {
  const [task] = record.tasks;
  if (task === undefined || podsOf(record, task).length === 0) return ['the task had no pod'];
  // Nothing was printed where nobody ran.
  if (!record.objects.some(({ kind, object }) => kind === 'Pod' && hasBegun(object, container)))
    return [`the agent of the task never ran: it ${fate(record, task)}`];
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
    ...(endsOf(record, task).length === 0 ? [`the task that printed ${printed} ${fate(record, task)}`] : []),
  ];
}

/** JL-39: everything of the template is in the pod. */
export function mergesTemplate(record: RunnerRecord, target: JobRunnerTarget): Finding[] {
  const [task] = record.tasks;
  const [pod] = task === undefined ? [] : podsOf(record, task);
  if (task === undefined || pod === undefined)
    return [`the task had no pod${task === undefined ? '' : `: it ${fate(record, task)}`}`];
  const spec = specOf(pod);
  const agent = spec.containers.find(({ name }) => name === target.container);
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
    ...(endsOf(record, task)[0]?.outcome === 'succeeded' ? [] : [`the task ${fate(record, task)}`]),
  ];
}

/** JL-40: prompts up to nearly 128 KiB arrive byte for byte. */
export function deliversPrompts(record: PromptsRecord): Finding[] {
  return record.prompts
    .filter(({ bytes }) => bytes < 131_072)
    .flatMap(({ label, bytes, sha256, seen }) => {
      if (seen === sha256) return [];
      const task = record.tasks.find((submitted) => submitted.label === label);
      const story = task === undefined ? '' : `; the task ${fate(record, task)}`;
      return [
        `the prompt ${label} of ${bytes} bytes ${seen === undefined ? 'did not arrive' : 'arrived changed'}${story}`,
      ];
    });
}

const SIZE_WORDS = /\b(long|large|big|size|bytes|limit|length|exceeds?|most|maximum)\b/i;

/** JL-40a: larger prompts arrive as they are, or the task is refused, and the reason says that it is too large. */
export function deliversOrRefusesLargePrompts(record: PromptsRecord): Finding[] {
  return record.prompts
    .filter(({ bytes }) => bytes >= 131_072)
    .flatMap(({ label, bytes, sha256, seen }) => {
      if (seen === sha256) return [];
      const task = record.tasks.find((submitted) => submitted.label === label);
      if (task === undefined) return [];
      if (seen !== undefined) return [`the prompt ${label} of ${bytes} bytes arrived changed`];
      const reason = refusalOf(record, task) ?? endsOf(record, task)[0]?.reason ?? '';
      return SIZE_WORDS.test(reason)
        ? []
        : [`the prompt ${label} of ${bytes} bytes did not arrive, and the task ${fate(record, task)}`];
    });
}

interface DeploymentSpec {
  containers: {
    name: string;
    image?: string;
    env?: { name: string; value?: string; valueFrom?: object }[];
    envFrom?: object[];
    volumeMounts?: { name: string; mountPath: string; subPath?: string; readOnly?: boolean }[];
  }[];
  volumes?: { name: string; secret?: { secretName?: string }; persistentVolumeClaim?: { claimName?: string } }[];
  imagePullSecrets?: { name?: string }[];
  dnsConfig?: object;
}

/** The specification of a task's pod, and its agent's container. */
function agentOf(record: RunnerRecord, label: string, container: string) {
  const task = record.tasks.find((submitted) => submitted.label === label);
  const [pod] = task === undefined ? [] : podsOf(record, task);
  const spec = pod === undefined ? undefined : (specOf(pod) as unknown as DeploymentSpec);
  return { spec, agent: spec?.containers.find(({ name }) => name === container) };
}

const NO_POD = ['the task had no pod'];

/** JL-43: everything that is documented to be inherited is in the agent's pod. */
export function inherits(record: DeploymentRecord, target: JobRunnerTarget): Finding[] {
  const { deployment } = target;
  const { spec, agent } = agentOf(record, 'first', target.container);
  if (deployment === undefined || spec === undefined || agent === undefined) return NO_POD;
  const from = (record.pod as { spec?: unknown }).spec as DeploymentSpec;
  const own = from.containers.find(({ name }) => name === deployment.container);
  const envOf = (kind: 'value' | 'valueFrom') => (own?.env ?? []).filter((each) => each[kind] !== undefined);
  const hasEach = (parts: object[] | undefined, whole: object[] | undefined): boolean =>
    (parts ?? []).length > 0 &&
    (parts ?? []).every((part) => (whole ?? []).some((each) => JSON.stringify(each) === JSON.stringify(part)));
  const secrets = (volumes: DeploymentSpec['volumes'] = []) =>
    volumes.flatMap(({ secret }) => (secret?.secretName === undefined ? [] : [{ name: secret.secretName }]));
  const is = {
    image: () => agent.image === own?.image,
    imagePullSecrets: () => hasEach(from.imagePullSecrets, spec.imagePullSecrets),
    dns: () => JSON.stringify(from.dnsConfig) === JSON.stringify(spec.dnsConfig),
    secretVolumes: () => hasEach(secrets(from.volumes), secrets(spec.volumes)),
    value: () => hasEach(envOf('value'), agent.env),
    valueFrom: () => hasEach(envOf('valueFrom'), agent.env),
    envFrom: () => hasEach(own?.envFrom, agent.envFrom),
  };
  if (deployment.inherits.length === 0) return ['the target file names nothing in `deployment.inherits`'];
  return deployment.inherits.flatMap((what) =>
    is[what]() ? [] : [`${what} of the deployment's pod is not in the agent's pod`],
  );
}

/** PV-20: the deployment's claim is at the same path in the agent's pod. */
export function mountsTheClaim(record: DeploymentRecord, target: JobRunnerTarget): Finding[] {
  const { spec, agent } = agentOf(record, 'first', target.container);
  if (spec === undefined || agent === undefined) return NO_POD;
  const { claim, claimMountPath } = target.deployment ?? {};
  const mount = agent.volumeMounts?.find(({ mountPath }) => mountPath === claimMountPath);
  const volume = spec.volumes?.find(({ name }) => name === mount?.name);
  return volume?.persistentVolumeClaim?.claimName === claim
    ? []
    : [
        `at ${claimMountPath} the agent has ${volume === undefined ? 'nothing' : JSON.stringify(volume)}, and not the claim ${claim}`,
      ];
}

/** PV-21: what one side writes on the claim, the other reads. */
export function sharesFiles(record: DeploymentRecord): Finding[] {
  const { fromDeployment, fromAgent } = record.written;
  return [
    ...(record.logs.first?.includes(`: ${fromDeployment}`) === true
      ? []
      : ['the agent did not read what the deployment had written']),
    ...(record.readBack === fromAgent
      ? []
      : [`the deployment read ${JSON.stringify(record.readBack)}, and not what the agent had written`]),
  ];
}

/** PV-22: two agents have no home in common. */
export function keepsAgentsApart(record: DeploymentRecord, target: JobRunnerTarget): Finding[] {
  const homes = ['first', 'other'].map((label) => {
    const { spec, agent } = agentOf(record, label, target.container);
    const home = /\benv HOME=([^\s"\\]+)/.exec(record.logs[label] ?? '')?.[1];
    if (spec === undefined || agent === undefined || home === undefined) return undefined;
    const [mount] = (agent.volumeMounts ?? [])
      .filter(({ mountPath }) => home === mountPath || home.startsWith(`${mountPath.replace(/\/$/, '')}/`))
      .toSorted((a, b) => b.mountPath.length - a.mountPath.length);
    const claim = spec.volumes?.find(({ name }) => name === mount?.name)?.persistentVolumeClaim?.claimName;
    return claim === undefined
      ? 'a place of its own'
      : [claim, mount?.subPath, home.slice(mount?.mountPath.length)].filter(Boolean).join('/');
  });
  const [one, other] = homes;
  if (one === undefined || other === undefined) return ['an agent did not tell its HOME'];
  return one === other && one !== 'a place of its own' ? [`two agents share the home ${one}`] : [];
}

const MISSING_WORDS = /not found|missing|does not exist|no such|not in the namespace|\b404\b/i;

/** What a runner said at its start: of its own accord, and as warnings. */
function saidAtStart({ readiness, events }: RunnerRecord): string {
  const warnings = readiness?.ready === true ? (readiness.warnings ?? []) : [];
  return [...warnings, ...events.flatMap((event) => (event.type === 'log' ? [event.text] : []))].join('\n');
}

/** PV-23: what is wrong with the claim is said at the start: that it is missing, by a refusal or a warning, and that it is not RWX. */
export function checksTheClaim(record: DeploymentRecord, missing: RefusalRecord[], target: JobRunnerTarget): Finding[] {
  const modes = ((record.claim as { spec?: { accessModes?: string[] } } | undefined)?.spec?.accessModes ?? []).join(
    ', ',
  );
  const warned = modes.includes('ReadWriteMany') || /ReadWriteMany|RWX|ReadWriteOnce|RWO/.test(saidAtStart(record));
  const untold = missing.filter((refusal) => {
    const said = saidAtStart(refusal);
    const tells = new RegExp(refusal.named, 'i').test(said) && MISSING_WORDS.test(said);
    return refusal.readiness?.ready !== true || !tells;
  });
  return [
    ...(missing.length > 0 && untold.length === 0 ? [] : refusesToStart(untold, target)),
    ...(warned ? [] : [`the claim is ${modes}, and nothing was said of that`]),
  ];
}

/** PV-24: the claim is there, and not being deleted. */
export function leavesTheClaim(record: DeploymentRecord): Finding[] {
  if (record.claim === undefined) return ['no claim was seen'];
  const deleted = record.claim.metadata?.deletionTimestamp;
  return deleted === undefined ? [] : [`the shared claim was deleted at ${String(deleted)}`];
}

/** JL-41, PV-25: the second task goes on with the session of the first. */
export function resumesSessions(record: DeploymentRecord): Finding[] {
  const first = record.tasks.find(({ label }) => label === 'first');
  const session = first === undefined ? undefined : endsOf(record, first)[0]?.session;
  if (first === undefined || session === undefined)
    return [`no session was named: the task ${first === undefined ? 'was not submitted' : fate(record, first)}`];
  const again = record.tasks.find(({ label }) => label === 'again');
  const turn = new RegExp(`session ${escapedId(session)} turn (\\d+)`).exec(record.logs.again ?? '')?.[1];
  if (again === undefined || turn === undefined)
    return [
      `the second task did not go on with the session ${session}: it ${again === undefined ? 'was not submitted' : fate(record, again)}`,
    ];
  return turn === '2' ? [] : [`the session ${session} knew nothing of the first task: this was its turn ${turn}`];
}

function escapedId(text: string): string {
  return text.replaceAll(/[^a-zA-Z0-9_]/g, '\\$&');
}
