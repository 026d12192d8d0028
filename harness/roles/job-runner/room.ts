import { hasBegun, type RunnerRecord, statusOf } from './record.ts';

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
