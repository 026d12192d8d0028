/** Which Jobs a job runner makes for its tasks, and which stay. No check is content with having seen nothing. */
import type { KubernetesObject } from '@kubernetes/client-node';
import { type Finding, missing, missingIf } from '../../harness/core/findings.ts';
import { parseLabelSelector } from '../../harness/core/label-selector.ts';
import {
  aboutOutcome,
  assumes,
  describeOutcome,
  endsOf,
  jobsOf,
  leftOvers,
  type ObservedObject,
  ofKind,
  podsOf,
  type RunnerRecord,
  type SubmittedTask,
  secondsText,
  statusOf,
} from '../../harness/roles/job-runner/record.ts';
import type { IdsRecord } from '../../harness/roles/job-runner/scenarios/ids.ts';
import type { RunsRecord } from '../../harness/roles/job-runner/scenarios/interruptions.ts';
import { describeResumption, type ParentPodRecord } from '../../harness/roles/job-runner/scenarios/parent-pod.ts';
import type { CleanUpRecord } from '../../harness/roles/job-runner/scenarios/settings.ts';
import type { TasksRecord } from '../../harness/roles/job-runner/scenarios/tasks.ts';

/**
 * JL-22: one Job and one pod for each task, never a second pod, also for one that failed or was ended from outside; and
 * in its pod the agent starts once.
 */
export function runsEachTaskOnce({ tasks, interrupted }: Pick<RunsRecord, 'tasks' | 'interrupted'>): Finding[] {
  return [
    ...tasks.tasks.flatMap((task) => isNotOnce(tasks, task, 1)),
    // Whether such a task comes to a pod at all is seen of the others.
    ...interrupted.flatMap((record) => record.tasks.flatMap((task) => isNotOnce(record, task, 0))),
  ];
}

/** @param least Jobs and pods that the task must have had */
function isNotOnce(record: RunnerRecord, task: SubmittedTask, least: 0 | 1): Finding[] {
  const jobs = jobsOf(record, task);
  const pods = podsOf(record, task);
  const named = pods.map(({ name }) => name).join(', ');
  const restarts = restartsOf(record, pods);
  const isOnce = (count: number): boolean => count === 1 || (count === 0 && least === 0);
  return [
    ...(isOnce(jobs.length)
      ? []
      : [
          missingIf(
            jobs.length === 0,
            `the task ${task.label} had ${jobs.length} Jobs; it ${describeOutcome(record, task)}`,
          ),
        ]),
    ...(isOnce(pods.length)
      ? []
      : [
          missingIf(
            pods.length === 0,
            `the task ${task.label} had ${pods.length} pods (${named}); it ${describeOutcome(record, task)}`,
          ),
        ]),
    ...(restarts === 0
      ? []
      : [`the agent of the task ${task.label} was started ${restarts + 1} times in its pod (${named})`]),
  ];
}

/** How often the agent's container was started again, at most, in one of some pods. */
function restartsOf({ objects, target }: RunnerRecord, pods: ObservedObject[]): number {
  const uids = new Set(pods.map(({ uid }) => uid));
  const counts = objects
    .filter(({ kind, object }) => kind === 'Pod' && uids.has(object.metadata?.uid ?? ''))
    .map(({ object }) => statusOf(object).containerStatuses?.find(({ name }) => name === target.container))
    .map((status) => status?.restartCount ?? 0);
  return Math.max(0, ...counts);
}

/** JL-24: its Jobs and pods, and only they, are found by the declared selectors, and others' Jobs are left alone. */
export function keepsToItsOwn(record: TasksRecord): Finding[] {
  const findings: Finding[] = [];
  const { jobs, pods } = record.target.selectors;
  const others = (name: string): boolean => record.bystanders.includes(name);
  if (record.bystanders.length === 0) {
    findings.push(missing('no Job was seen, so that none of others was put alongside'));
  }
  for (const [kind, selector] of [
    ['Job', jobs],
    ['Pod', pods],
  ] as const) {
    const ofTasks = record.tasks.flatMap((task) => (kind === 'Job' ? jobsOf(record, task) : podsOf(record, task)));
    if (ofTasks.length === 0) {
      findings.push(missing(`no ${kind} of a task was seen`));
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

/** JL-30: nothing is left of what was to be cleaned up. */
export function cleansUp({ tasks: record }: CleanUpRecord): Finding[] {
  const left = leftOvers(record, record.bystanders);
  const lastEnd = Math.max(...record.tasks.flatMap((task) => endsOf(record, task).map(({ at }) => at)));
  const ran = record.tasks.some((task) => jobsOf(record, task).length > 0);
  const when = `${secondsText(record.endedAt - lastEnd)} after the last end was reported`;
  const { withinSeconds } = record.target.documented.cleanUp;
  return [
    ...(ran ? [] : [missing('no Job was seen')]),
    ...(left.length === 0
      ? []
      : [missing(`${when} (documented: ${withinSeconds} s) these are still there: ${left.join(', ')}`)]),
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
  const findings: Finding[] = retained.length === 0 ? ['there was no Job to retain'] : [];
  for (const task of retained) {
    const who = `the task ${task.label}, whose Job should be retained, ${describeOutcome(record, task)}`;
    const jobs = jobsOf(record, task);
    if (jobs.length === 0) {
      findings.push(aboutOutcome(record, task, `${who}: it had no Job`));
    }
    for (const { name, goneAt, last } of jobs) {
      const { spec = {} } = last as { spec?: { ttlSecondsAfterFinished?: number } };
      const ttl = spec.ttlSecondsAfterFinished;
      if (goneAt !== undefined || last.metadata?.deletionTimestamp !== undefined) {
        findings.push(aboutOutcome(record, task, `${who}, and its Job ${name} was deleted`));
      } else if (ttl !== undefined && ttl < (retainedSeconds ?? Number.POSITIVE_INFINITY)) {
        const what = `the cluster will delete its Job ${name}: \`ttlSecondsAfterFinished\` is ${ttl}, and ${documented}`;
        findings.push(`${who}, and ${what}`);
      }
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
    if (jobs.length === 0) {
      findings.push(
        aboutOutcome(record, task, `the task with the id ${id} got no Job; it ${describeOutcome(record, task)}`),
      );
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
    : [
        missingIf(
          findings.every((finding) => typeof finding !== 'string'),
          `of ids by the seed ${record.seed} of fast-check ${findings.length} went wrong`,
        ),
        ...findings,
      ];
}

/** JL-41: the second task goes on with the session of the first. */
export function resumesSessions(record: ParentPodRecord): Finding[] {
  assumes(record, 'session');
  return describeResumption(record) ?? [];
}
