/** How a job runner ends tasks, and what it reports of their ends. No check is content with having seen nothing. */
import type { KubernetesObject } from '@kubernetes/client-node';
import { type Finding, missing, missingIf } from '../../harness/core/findings.ts';
import type { PodFault } from '../../harness/role-data/job-runner/target-file.ts';
import {
  aboutOutcome,
  assumes,
  describeContainers,
  describeOutcome,
  endOfPod,
  endsOf,
  hasFinished,
  isOverForGood,
  jobsOf,
  podsOf,
  type RunnerRecord,
  type RunnersRecord,
  refusalOf,
  SLACK_SECONDS,
  type SubmittedTask,
  secondsText,
  statusOf,
  taskNamed,
} from '../../harness/roles/job-runner/record.ts';
import {
  type EndsRecord,
  type FaultRecord,
  faultSeconds,
  type TimeLimitsRecord,
} from '../../harness/roles/job-runner/scenarios/faults.ts';
import type { InterruptionRecord } from '../../harness/roles/job-runner/scenarios/interruptions.ts';
import { END_SECONDS, type OtherContainersRecord } from '../../harness/roles/job-runner/scenarios/other-containers.ts';
import { SILENT_SECONDS } from '../../harness/roles/job-runner/scenarios/output.ts';
import { TIME_LIMIT_SECONDS } from '../../harness/roles/job-runner/scenarios/tasks.ts';

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
      findings.push(
        aboutOutcome(record, task, `the task ${label} ${describeOutcome(record, task)}: ${ends.length} ends, not one`),
      );
    }
    for (const end of ends) {
      if (end.outcome !== outcome) {
        findings.push(
          aboutOutcome(
            record,
            task,
            `the task ${label}, whose agent ends with ${label === 'fails' ? 7 : 0}, ${describeOutcome(record, task)}`,
          ),
        );
      } else if (
        label === 'fails' &&
        end.exitCode !== 7 &&
        (end.exitCode !== undefined || !/\b7\b/.test(end.reason ?? ''))
      ) {
        findings.push(
          aboutOutcome(
            record,
            task,
            `the task ${label} ended with exit code 7; it ${describeOutcome(record, task)}, which does not say so`,
          ),
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
      return [missing(`${who} had no pod`)];
    }
    const ends = endsOf(record, task);
    const early = ends.find((end) => end.at < task.at + SILENT_SECONDS * 1000);
    return [
      ...(ends.length === 1 && ends[0]?.outcome === 'succeeded'
        ? []
        : [
            aboutOutcome(
              record,
              task,
              `${who}, which printed nothing for ${SILENT_SECONDS} s and succeeded, ${describeOutcome(record, task)}`,
            ),
          ]),
      ...(early === undefined
        ? []
        : [aboutOutcome(record, task, `that was reported ${secondsText(early.at - task.at)} after it was submitted`)]),
    ];
  });
}

/** JL-27: a task that was reported as ended has no pod that runs, or could. */
export function leavesNothingRunning({ tasks, faults }: EndsRecord): Finding[] {
  // A fault that no task met leaves nothing behind.
  const ended = faults.filter((record) => record.tasks.some((task) => endsOf(record, task).length > 0));
  return [tasks, ...ended].flatMap(stillRunning);
}

/** Whoever was to delete an object, and was only slow, has asked for that by then. */
const LEFT_ALONE_MS = 30_000;

/**
 * Whether an object was there to the end of a record, without anybody having asked for its deletion, so long after the
 * end of its task was reported that no machine is to blame for it.
 */
function wasLeftAlone({ endedAt }: RunnerRecord, reportedAt: number | undefined, last: KubernetesObject): boolean {
  return (
    reportedAt !== undefined && endedAt - reportedAt >= LEFT_ALONE_MS && last.metadata?.deletionTimestamp === undefined
  );
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
      const late = { text, from: end.at, to: over ?? record.endedAt, excessMs: (over ?? record.endedAt) - limit };
      findings.push(over === undefined && wasLeftAlone(record, end.at, pod.last) ? text : late);
    }
    for (const job of jobsOf(record, task)) {
      const excessMs = record.endedAt - end.at - SLACK_SECONDS * 1000;
      if (!isOverForGood(job) && excessMs > 0) {
        const text = `the task ${task.label} ${describeOutcome(record, task)}, but its Job ${job.name} goes on and may start pods`;
        findings.push({ text, from: end.at, to: record.endedAt, excessMs });
      }
    }
  }
  return evaluated === 0 ? [missing('no end was reported')] : findings;
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
    findings.push(aboutOutcome(record, task, `the task that was cancelled ${describeOutcome(record, task)}`));
  }
  const pods = podsOf(record, task);
  if (pods.length === 0) {
    findings.push(missing('the task that was cancelled had no pod'));
  }
  for (const { name, goneAt, last } of pods) {
    if (goneAt === undefined && !hasFinished(last)) {
      const text = `the task was cancelled, and its pod ${name} is ${statusOf(last).phase}`;
      findings.push(missingIf(!wasLeftAlone(record, end?.at, last), text));
    }
  }
  for (const { name, goneAt, last } of jobsOf(record, task)) {
    if (goneAt === undefined) {
      const text = `the task was cancelled, and its Job ${name} is still there`;
      findings.push(missingIf(!wasLeftAlone(record, end?.at, last), text));
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
    ...(isReported
      ? []
      : [
          aboutOutcome(
            record,
            task,
            `the task with a time limit of ${limit} s ${describeOutcome(record, task)}${late}`,
          ),
        ]),
    ...(pods.length === 0 ? [missing('the task with a time limit had no pod')] : []),
    ...running.map(({ name, last }) =>
      missing(`its pod ${name} is still ${statusOf(last).phase} ${after} after it was submitted`),
    ),
  ];
}

/** JL-26: each fault is reported as a failure, within its time. */
export function reportsFaults({ runners }: RunnersRecord<FaultRecord>): Finding[] {
  const met = runners.flatMap((record) =>
    record.faults.flatMap(({ fault, label, since }) => {
      const task = taskNamed(record, label);
      return task === undefined ? [] : [{ record, fault, task, since }];
    }),
  );
  return met.length === 0 ? [missing('no fault could be brought about')] : met.flatMap(reportsFault);
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
    return [missing(`${who}: nothing was reported ${after} after the task ${task.label} could not succeed (${limit})`)];
  }
  if (end === undefined || end.outcome === 'succeeded' || end.outcome === 'cancelled') {
    return [`${who}: the task ${task.label} ${describeOutcome(record, task)}`];
  }
  const excessMs = end.at - since - (allowed + SLACK_SECONDS) * 1000;
  const text = `${who}: reported ${secondsText(end.at - since)} after it could not succeed (${limit})`;
  return excessMs > 0 ? [{ text, from: since, to: end.at, excessMs }] : [];
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
    return [missing('no task could be interrupted')];
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
        return [aboutOutcome(record, task, `${who} ${describeOutcome(record, task)}`)];
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
