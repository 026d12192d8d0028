import { isByOwner } from '../../kubernetes/refused-objects.ts';
import { isByOwnQuota } from '../../probes/quotas.ts';
import { endsOf, hasBegun, jobsOf, podsOf, type RunnerRecord, type SubmittedTask, statusOf } from './record.ts';

/** An event of the API, as far as it is looked at. */
export interface ClusterEvent {
  reason?: string;
  message?: string;
  involvedObject?: { uid?: string };
}

/**
 * A task that ended before it had a pod because a quota or a policy of the cluster refused it: that says nothing of the
 * runner.
 *
 * @param events those of the namespace
 * @returns the sentence for a harness error, in the words of the refusal; undefined where there was none
 */
export function refusedByPolicy(
  record: Pick<RunnerRecord, 'tasks' | 'events' | 'objects'>,
  events: readonly ClusterEvent[],
): string | undefined {
  for (const task of tasksWithoutPod(record)) {
    const uids = jobsOf(record, task).map(({ uid }) => uid);
    const refused = events.find(
      ({ reason, message = '', involvedObject }) =>
        reason === 'FailedCreate' &&
        uids.includes(involvedObject?.uid ?? '') &&
        isByOwner(message) &&
        !isByOwnQuota(message),
    );
    if (refused !== undefined) {
      return (
        `the cluster refused the pod of the task ${task.label}, so that this says nothing of the runner: ` +
        `${refused.message} (give the namespace room, or the runner's pods what the policy asks for)`
      );
    }
  }
  return undefined;
}

/** Tasks with a Job that ended before it had a pod. */
export function tasksWithoutPod(record: Pick<RunnerRecord, 'tasks' | 'events' | 'objects'>): SubmittedTask[] {
  return record.tasks.filter(
    (task) => endsOf(record, task).length > 0 && podsOf(record, task).length === 0 && jobsOf(record, task).length > 0,
  );
}

/** What the scheduler reports where nodes are full; that none of them will ever do is another matter. */
const NO_ROOM = /\b(Insufficient [a-z-]+|Too many pods)\b/;

/**
 * A task that ended before its agent ran because the cluster was full, which is no fault of the runner. A task that
 * asked for processors itself is left out.
 *
 * @returns the sentence for a harness error; undefined where there was room
 */
export function lackedRoom(
  record: Pick<RunnerRecord, 'tasks' | 'events' | 'objects'>,
  container: string,
): string | undefined {
  for (const { task, marker, label } of record.tasks) {
    const hasEnded = record.events.some((event) => event.type === 'ended' && event.task === task.id);
    if (task.resources?.requests?.cpu !== undefined || !hasEnded) {
      continue;
    }
    const pods = record.objects.filter(({ kind, markers }) => kind === 'Pod' && markers.includes(marker));
    if (pods.some(({ object }) => hasBegun(object, container))) {
      continue;
    }
    const message = pods
      .flatMap(({ object }) => statusOf(object).conditions ?? [])
      .filter(({ type, status, reason }) => type === 'PodScheduled' && status === 'False' && reason === 'Unschedulable')
      .map((condition) => condition.message ?? '')
      .find((text) => NO_ROOM.test(text));
    if (message !== undefined) {
      return (
        `the cluster had no room for the pod of the task ${label}, which ended before it ran, so that this says ` +
        `nothing of the runner: ${message} (give the cluster more room, or the pods smaller requests)`
      );
    }
  }
  return undefined;
}
