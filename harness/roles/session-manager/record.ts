/** What the scenarios and the checks of session managers look up in what was seen. */

import type { V1Pod, V1PodSpec, V1Service } from '@kubernetes/client-node';
import type { ApiRecord } from '../../kubernetes/api-record.ts';
import type { OperationName } from '../../role-data/session-manager/target-file.ts';
import { type Call, isSuccess } from './driver.ts';
import type { LaunchedManager, ManagerRecord, ObjectEvent } from './launch.ts';

/** From its creation to the start of a pod that does nothing, on a small machine that many share. */
export const POD_SECONDS = 90;
/** From its deletion until a pod is gone: a grace of 30 s, and the kubelet's work. */
export const GONE_SECONDS = 60;

/** The last that was seen of an object; undefined where it was never there, or is gone. */
export function latest(objects: ObjectEvent[], kind: 'Pod', name: string): V1Pod | undefined;
export function latest(objects: ObjectEvent[], kind: 'Service', name: string): V1Service | undefined;
export function latest(objects: ObjectEvent[], kind: ObjectEvent['kind'], name: string): V1Pod | V1Service | undefined {
  const last = objects.findLast((event) => event.kind === kind && event.object.metadata?.name === name);
  return last === undefined || last.type === 'DELETED' ? undefined : (last.object as V1Pod | V1Service);
}

/** The object as it was created. */
export function first(objects: ObjectEvent[], kind: 'Pod', name: string): V1Pod | undefined;
export function first(objects: ObjectEvent[], kind: 'Service', name: string): V1Service | undefined;
export function first(objects: ObjectEvent[], kind: ObjectEvent['kind'], name: string): V1Pod | V1Service | undefined {
  return objects.find((event) => event.kind === kind && event.object.metadata?.name === name)?.object as
    | V1Pod
    | undefined;
}

/**
 * A pod without what the cluster put into it: as the manager asked for it, where its request could be read, but for
 * values, commands and arguments; otherwise as it was admitted. Undefined where it was never there.
 */
export function ownPodOf(
  { objects, requests }: { objects: ObjectEvent[]; requests: readonly ApiRecord[] },
  name: string,
): V1PodSpec | undefined {
  const admitted = first(objects, 'Pod', name)?.spec;
  if (admitted === undefined) {
    return undefined;
  }
  const asked = requests.find(({ pod, code }) => pod?.name === name && code >= 200 && code <= 299);
  return asked?.pod?.spec ?? admitted;
}

/** When an object was seen to be gone, or asked to go. */
export function deletedAt(objects: ObjectEvent[], kind: ObjectEvent['kind'], name: string): number | undefined {
  return objects.find(
    ({ kind: of, type, object }) =>
      of === kind &&
      object.metadata?.name === name &&
      (type === 'DELETED' || object.metadata.deletionTimestamp !== undefined),
  )?.at;
}

export function hasEnded(pod: V1Pod | undefined): boolean {
  return pod?.status?.phase === 'Succeeded' || pod?.status?.phase === 'Failed';
}

export function isReady(pod: V1Pod | undefined): boolean {
  return pod?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
}

/**
 * True when a pod was Ready when a call was made, and had not ended when it was answered. A command in one that does
 * not run is refused whatever the manager does.
 */
export function ranDuring(
  { objects }: Pick<ManagerRecord, 'objects'>,
  name: string,
  call: Pick<Call, 'at' | 'endedAt'> | undefined,
): boolean {
  const { at = 0, endedAt = 0 } = call ?? {};
  const own = objects.filter(({ kind, object }) => kind === 'Pod' && object.metadata?.name === name);
  const before = own.filter((event) => event.at <= at);
  const { object } = before.at(-1) ?? {};
  const during = own.filter((event) => event.at > at && event.at <= endedAt + REPORTED_SECONDS * 1000);
  return (
    isReady(object as V1Pod | undefined) &&
    during.every((event) => event.type !== 'DELETED' && isReady(event.object as V1Pod))
  );
}

/** The end of a container is reported at most so long after a command in it was refused for that. */
export const REPORTED_SECONDS = 10;

/** A pod whose creation was answered by an error may be there all the same: it is then seen within so long. */
const REFUSED_SECONDS = 3;

/** Longest time that a pod is waited for. */
function patienceFor(manager: Pick<LaunchedManager, 'calls'>, name: string): number {
  const created = callsOf(manager, 'createPod', name).at(0);
  return created === undefined || isSuccess(created) ? POD_SECONDS : REFUSED_SECONDS;
}

/** Waits until a pod is Ready; false when it has not become so in time, or cannot any more. */
export async function untilReady(manager: LaunchedManager, name: string): Promise<boolean> {
  const seen = (): boolean | undefined => {
    const pod = latest(manager.objects, 'Pod', name);
    return isReady(pod) || hasEnded(pod) ? isReady(pod) : undefined;
  };
  return (await untilSeen(manager, name, seen)) === true;
}

/** Waits until pods have come to their end. */
export async function untilEnded(manager: LaunchedManager, names: string[]): Promise<void> {
  const ended = (name: string) => (): true | undefined =>
    hasEnded(latest(manager.objects, 'Pod', name)) ? true : undefined;
  await Promise.all(names.map((name) => untilSeen(manager, name, ended(name))));
}

/** Waits for a pod to be as it is wanted, and not for long where nobody has ever seen it. */
async function untilSeen<R>(
  manager: LaunchedManager,
  name: string,
  accept: () => R | undefined,
): Promise<R | undefined> {
  const isThere = (): true | undefined => (first(manager.objects, 'Pod', name) === undefined ? undefined : true);
  const there = await manager.until(isThere, patienceFor(manager, name));
  return there === undefined ? undefined : manager.until(accept, POD_SECONDS);
}

/** Calls of one operation, those for one name if it is given. */
export function callsOf<Name extends OperationName>(
  { calls }: Pick<ManagerRecord, 'calls'>,
  operation: Name,
  name?: string,
): Call<Name>[] {
  return calls.filter(
    (call): call is Call<Name> =>
      call.operation === operation && (name === undefined || (call.input as { name?: string }).name === name),
  );
}
