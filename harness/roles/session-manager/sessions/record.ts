/** What the scenarios and the checks of sessions as custom resources look up in what was seen. */

import type { V1PodSpec } from '@kubernetes/client-node';
import type { ResourceTarget } from '../target.ts';
import type { OwnedKind, SessionCondition, SessionEvent, SessionObject, SessionsRecord } from './launch.ts';
import { documentedName } from './session-object.ts';

/**
 * From its creation to Ready of a session that does nothing, with a claim to be provisioned, on a small machine that
 * many share.
 */
export const READY_SECONDS = 120;
/**
 * From its deletion until all of a session is gone: a garbage collector learns of a new custom resource within 30 s.
 */
export const GONE_SECONDS = 90;

type Conditions = ResourceTarget['resource']['conditions'];

/** True when the status of a session has the condition that the target file names. */
export function has(object: SessionObject | undefined, wanted: Conditions['suspended']): boolean {
  return wanted !== undefined && conditionsOf(object).some((condition) => isOne(condition, wanted));
}

function isOne({ type, status, reason }: SessionCondition, wanted: NonNullable<Conditions['suspended']>): boolean {
  return type === wanted.type && status === wanted.status && (wanted.reason === undefined || reason === wanted.reason);
}

export function conditionsOf(object: SessionObject | undefined): SessionCondition[] {
  return object?.status?.conditions ?? [];
}

/** Events of one object. */
export function eventsOf(
  { events }: Pick<SessionsRecord, 'events'>,
  kind: SessionEvent['kind'],
  name: string,
): SessionEvent[] {
  return events.filter((event) => event.kind === kind && event.object.metadata?.name === name);
}

/** The pods of sessions as they were first seen, after admission; a session that had none is not there. */
export function podsOfSessions(
  record: Pick<SessionsRecord, 'target' | 'namespace' | 'events'>,
  sessions: readonly string[],
): [name: string, spec: V1PodSpec][] {
  const { target, namespace } = record;
  return sessions.flatMap((session) => {
    const name = documentedName(target, 'Pod', { name: session, namespace, claim: '' }) ?? session;
    const spec = eventsOf(record, 'Pod', name)[0]?.object.spec;
    return spec === undefined ? [] : [[name, spec as V1PodSpec] as [string, V1PodSpec]];
  });
}

/** Uids of all objects of a kind that were ever there and have a label or an owner of this session. */
export function everOf({ events }: Pick<SessionsRecord, 'events'>, kind: OwnedKind, session: string): Set<string> {
  const own = events.filter(
    (event) =>
      event.kind === kind &&
      (event.object.metadata?.labels?.['conformance.test/session'] === session ||
        event.object.metadata?.ownerReferences?.some(({ name }) => name === session)),
  );
  return new Set(own.map(({ object }) => object.metadata?.uid ?? ''));
}

/** When an object was first seen as it is wanted. */
export function firstAt(events: SessionEvent[], is: (event: SessionEvent) => boolean): number | undefined {
  return events.find(is)?.at;
}

/**
 * When an object was first seen to be gone, or asked to go: a pod has its grace, and a claim stays as long as a pod
 * uses it (Kubernetes, Storage Object in Use Protection).
 */
export function deletedAt(events: SessionEvent[]): number | undefined {
  return firstAt(events, ({ type, object }) => type === 'DELETED' || object.metadata?.deletionTimestamp !== undefined);
}

export function isPodReady({ object, type }: Pick<SessionEvent, 'object' | 'type'>): boolean {
  return (
    type !== 'DELETED' &&
    conditionsOf(object).some((condition) => condition.type === 'Ready' && condition.status === 'True')
  );
}

/** Seconds from the request for a session until it was first seen to be ready. */
export function secondsToReady(record: SessionsRecord, session: string): number | undefined {
  const { ready } = record.target.resource.conditions;
  const at = firstAt(eventsOf(record, 'Session', session), ({ object }) => has(object, ready));
  const from = record.createdAt[session];
  return at === undefined || from === undefined ? undefined : (at - from) / 1000;
}
