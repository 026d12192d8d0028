/** How a job runner itself starts, asks, keeps limits and ends. No check is content with having seen nothing. */

import { type Finding, missing, missingIf } from '../../harness/core/findings.ts';
import {
  aboutOutcome,
  assumes,
  describeOutcome,
  endsOf,
  jobsOf,
  leftByPreflight,
  ofKind,
  podsOf,
  type RunnerRecord,
  type RunnersRecord,
  refusalOf,
  secondsText,
  sigtermSeconds,
  statusOf,
} from '../../harness/roles/job-runner/record.ts';
import type { SignalRecord } from '../../harness/roles/job-runner/scenarios/disruptions.ts';
import type { LimitRecord } from '../../harness/roles/job-runner/scenarios/ids.ts';
import {
  describeStart,
  type PreflightRecord,
  type RefusalRecord,
} from '../../harness/roles/job-runner/scenarios/refusals.ts';
import type { TasksRecord } from '../../harness/roles/job-runner/scenarios/tasks.ts';

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
    const text = `it asked ${events.length} times for Events of healthy pods, for example ${example}`;
    findings.push(unlessNewsWereLate(text, events, record.objects));
  }
  return findings;
}

/** That pods run may have come to a runner later than it usually does, where it asked of single pods. */
function unlessNewsWereLate(text: string, asked: TasksRecord['requests'], objects: TasksRecord['objects']): Finding {
  const spans = asked.map(({ at, fieldSelector }) => {
    const own = podNamedBy(fieldSelector, objects);
    return { from: own.find((event) => isHealthy(event))?.at ?? Number.NaN, to: Date.parse(at) };
  });
  const longest = Math.max(...spans.map(({ from, to }) => to - from));
  return Number.isNaN(longest)
    ? text
    : {
        text,
        from: Math.min(...spans.map(({ from }) => from)),
        to: Math.max(...spans.map(({ to }) => to)),
        excessMs: Math.max(1, longest - NEWS_MS),
      };
}

/** Events of the pod that a field selector names; none where it names none. */
function podNamedBy(fieldSelector: string | undefined, objects: TasksRecord['objects']): TasksRecord['objects'] {
  const [, by, value] = /involvedObject\.(name|uid)=([^,]+)/.exec(fieldSelector ?? '') ?? [];
  return objects.filter(
    ({ kind, object }) => kind === 'Pod' && value !== undefined && object.metadata?.[by as 'name' | 'uid'] === value,
  );
}

function isHealthy({ object }: TasksRecord['objects'][number]): boolean {
  const { phase = 'Pending' } = statusOf(object);
  return phase === 'Running' || phase === 'Succeeded';
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
  if (!/involvedObject\.(name|uid)=[^,]/.test(fieldSelector)) {
    return true;
  }
  const own = podNamedBy(fieldSelector, objects);
  const asked = Date.parse(at);
  const known = own.filter((event) => event.at <= asked - NEWS_MS);
  const since = own.filter((event) => event.at > asked - NEWS_MS && event.at <= asked);
  const last = known.at(-1);
  return own.length > 0 && last !== undefined && [last, ...since].every(isHealthy);
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
    return leftByPreflight(record).map((object) =>
      missing(`${object} of its preflight was still there ${after} after that`),
    );
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
    return [missing(`it had not ended ${secondsText(lookedAt - signalledAt)} after SIGTERM (${limit})`)];
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
    return [missing('no Job of its own was there at SIGTERM')];
  }
  // A runner that goes on cleans up after its tasks, as ever.
  if (record.exitedAt === undefined) {
    return [];
  }
  return jobs.flatMap(({ name, uid }) => {
    const deletedAt = deletionOf(record, uid);
    if (documented === 'delete' && deletedAt === undefined) {
      const after = secondsText(lookedAt - signalledAt);
      return [
        missing(
          `documented: it deletes its Jobs when it is terminated; ${name} was still there ${after} after SIGTERM`,
        ),
      ];
    }
    // A runner that waits for its tasks before it ends cleans up after those that are done.
    const isDone = endsOf(record, task).some(({ outcome, at }) => outcome === 'succeeded' && at <= (deletedAt ?? 0));
    if (documented === 'preserve' && deletedAt !== undefined && !isDone) {
      const after = secondsText(deletedAt - signalledAt);
      return [`documented: it keeps its Jobs when it is terminated; ${name} was deleted ${after} after SIGTERM`];
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
    return [missing('it was not started again')];
  }
  if (!record.restarted.ready) {
    return [missing('it did not become ready again')];
  }
  const ends = endsOf(record, task);
  return ends.length === 1 && ends[0]?.outcome === 'succeeded'
    ? []
    : [aboutOutcome(record, task, `the task that was preserved, and succeeded, ${describeOutcome(record, task)}`)];
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
      // Those that were given up before they ran, too.
      const wrong = tasks.filter((task) => !ended.includes(task) && !refused.includes(task));
      const mayCome = wrong.length > 0 && wrong.every((task) => typeof aboutOutcome(record, task, '') !== 'string');
      const stories = (): string => tasks.map((task) => `${task.label} ${describeOutcome(record, task)}`).join('; ');
      return [
        ...(most > record.count ? [`${who} had ${most} pods at once; its limit is ${record.count}`] : []),
        ...(most === 0 ? [missing(`${who} had no pod`)] : []),
        ...(record.surplus === 'queued' && ended.length < tasks.length
          ? [missingIf(mayCome, `${who}: what is too much waits, it is documented; but ${stories()}`)]
          : []),
        ...(record.surplus === 'refused' && (refused.length === 0 || ended.length + refused.length < tasks.length)
          ? [missingIf(mayCome, `${who}: what is too much is refused, it is documented; but ${stories()}`)]
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
