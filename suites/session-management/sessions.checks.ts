/** The requirements of sessions as custom resources, as functions of what was seen; nothing wrong is an empty list. */

import type { V1PodSpec } from '@kubernetes/client-node';
import { type Finding, missing, missingIf, presupposing, unlessStalled } from '../../harness/core/findings.ts';
import type { SessionsRecord } from '../../harness/roles/session-manager/sessions/launch.ts';
import {
  conditionsOf,
  deletedAt,
  eventsOf,
  everOf,
  firstAt,
  GONE_SECONDS,
  has,
  isPodReady,
  secondsToReady,
} from '../../harness/roles/session-manager/sessions/record.ts';
import {
  AUDIENCE,
  type ExpiryRecord,
  IDENTITY,
  LIVING,
  type LifeRecord,
  MARKER_TEXT,
  type ManySessionsRecord,
  PAGE,
  type RestartRecord,
  type SuspendRecord,
  TAKEN,
  TEARDOWN_SECONDS,
} from '../../harness/roles/session-manager/sessions/scenarios.ts';
import { takeoverSeconds } from '../../harness/roles/session-manager/target.ts';

/** Two watches tell of one moment at different times. */
const SKEW_MS = 2_000;
/** Clocks of node and harness are one machine's, and times in objects have no fractions. */
const EARLY_MS = 1_000;

const podName = ({ target }: SessionsRecord, session: string): string =>
  target.documented.names.pod.replaceAll('${name}', session);
const claimName = ({ target }: SessionsRecord, session: string): string | undefined =>
  target.documented.names.claim?.replaceAll('${name}', session).replaceAll('${claim}', 'data');

/** True when a session was seen to be ready before a moment. */
function wasReady(record: SessionsRecord, session: string, before: number): boolean {
  const { ready } = record.target.resource.conditions;
  const at = firstAt(eventsOf(record, 'Session', session), ({ object }) => has(object, ready));
  return at !== undefined && at < before;
}

/** What is wrong with a session that should have become ready. */
function notReady(record: SessionsRecord, session: string): Finding[] {
  if (secondsToReady(record, session) !== undefined) {
    return [];
  }
  const last = record.events.findLast(({ kind, object }) => kind === 'Session' && object.metadata?.name === session);
  return [missing(`the session ${session} never became ready: ${JSON.stringify(conditionsOf(last?.object))}`)];
}

/** SM-20 */
export function saysWhenReady(record: LifeRecord): Finding[] {
  const { ready } = record.target.resource.conditions;
  const serving = [...LIVING];
  const early = serving.flatMap((session) => {
    const at = firstAt(eventsOf(record, 'Session', session), ({ object }) => has(object, ready));
    const podAt = firstAt(eventsOf(record, 'Pod', podName(record, session)), isPodReady);
    if (at === undefined || (podAt !== undefined && at >= podAt - SKEW_MS)) {
      return [];
    }
    const text = `the session ${session} was ready before its pod ${podName(record, session)} was`;
    // One of the watches may have told of it late.
    return [podAt === undefined ? text : { text, from: at, to: podAt, excessMs: podAt - SKEW_MS - at }];
  });
  const broken = eventsOf(record, 'Session', 'broken').at(-1)?.object;
  const why = conditionsOf(broken).filter(({ type, status }) => type === ready.type && status !== ready.status);
  return [
    ...serving.flatMap((session) => notReady(record, session)),
    ...early,
    ...(has(broken, ready) ? ['a session is ready whose pod no node can run'] : []),
    ...(why.some(({ reason, message }) => (reason ?? '') !== '' && (message ?? '') !== '')
      ? []
      : [missingIf(why.length === 0, 'a session whose pod no node can run does not say why it is not ready')]),
    ...(record.page.includes(PAGE)
      ? []
      : [missing(`a ready session is not reached by its documented name: ${record.page || 'no answer'}`)]),
    ...record.deaths,
  ];
}

/** SM-21 */
export function removesAllOfASession(record: LifeRecord): Finding[] {
  const { claimsAtEnd, names } = record.target.documented;
  const gone = (kind: 'Pod' | 'Service' | 'PersistentVolumeClaim', name: string): boolean =>
    eventsOf(record, kind, name).at(-1)?.type === 'DELETED';
  const claim = claimName(record, 'ended');
  const neighbour = claimName(record, 'lost');
  const claimGone = claim !== undefined && gone('PersistentVolumeClaim', claim);
  const deleted = (kind: 'Pod' | 'PersistentVolumeClaim', name: string): boolean =>
    deletedAt(eventsOf(record, kind, name)) !== undefined;
  const wasThere = eventsOf(record, 'Pod', podName(record, 'ended')).length > 0;
  return [
    ...(wasThere ? [] : [missing('the session to be ended never had a pod')]),
    ...(eventsOf(record, 'Session', 'ended').at(-1)?.type === 'DELETED'
      ? []
      : [missing(`its record was not gone after ${GONE_SECONDS} s`)]),
    ...(gone('Pod', podName(record, 'ended')) ? [] : [missing('the pod of an ended session is still there')]),
    ...(names.service === undefined || gone('Service', names.service.replaceAll('${name}', 'ended'))
      ? []
      : [missing('the Service of an ended session is still there')]),
    ...(claim === undefined || claimGone === (claimsAtEnd === 'deleted')
      ? []
      : [
          missingIf(
            !claimGone,
            `the claim of an ended session was ${claimGone ? 'deleted' : 'kept'}, and is documented to be ${claimsAtEnd}`,
          ),
        ]),
    ...(neighbour !== undefined && deleted('PersistentVolumeClaim', neighbour)
      ? ['the claim of another session was deleted']
      : []),
    ...(deleted('Pod', podName(record, 'web')) ? ['the pod of another session was deleted'] : []),
  ];
}

/** SM-22 */
export function suspendsAndResumes(record: SuspendRecord): Finding[] {
  const session = 'resting';
  const { conditions } = record.target.resource;
  const pods = eventsOf(record, 'Pod', podName(record, session));
  const claim = claimName(record, session);
  const sessions = eventsOf(record, 'Session', session);
  const saidSuspended = (from: number, to: number): boolean =>
    sessions.some(({ at, object }) => at >= from && at <= to && has(object, conditions.suspended));
  const between = pods.filter(
    ({ at, type }) => type === 'ADDED' && at > record.suspendedAgainAt && at < record.resumedAt,
  );
  const uids = everOf(record, 'Pod', session);
  const wentAtFirst = pods.some(
    ({ at, type }) => type === 'DELETED' && at > record.suspendedAt && at <= record.suspendedAgainAt,
  );
  const last = sessions.at(-1)?.object;
  return [
    ...notReady(record, session),
    ...(wentAtFirst ? [] : [missing(`${GONE_SECONDS} s after it was suspended its pod was still there`)]),
    ...(saidSuspended(record.suspendedAt, record.resumedAt) ? [] : [missing('it never said that it is suspended')]),
    ...(between.length > 0 ? presupposing(wentAtFirst, ['suspended twice, it had a pod again']) : []),
    ...(claim !== undefined && deletedAt(eventsOf(record, 'PersistentVolumeClaim', claim)) !== undefined
      ? ['its claim was deleted']
      : []),
    ...(record.marker === MARKER_TEXT
      ? []
      : presupposing(record.marker !== '' && wasReady(record, session, record.suspendedAt), [
          `resumed, its data was ${JSON.stringify(record.marker || 'not there')}`,
        ])),
    ...overlapping(record, session),
    ...(pods.at(-1)?.type === 'DELETED' ? [] : [missing('asked to be suspended last, it has a pod')]),
    ...(has(last, conditions.suspended)
      ? []
      : [missing(`asked to be suspended last, it says ${JSON.stringify(conditionsOf(last))}`)]),
    ...(uids.size < 2 ? [missing('it was never resumed with another pod')] : []),
    ...record.deaths,
  ];
}

/** Two pods of one session that were there at the same time. */
function overlapping({ events }: SessionsRecord, session: string): Finding[] {
  const there = new Set<string>();
  let most = 0;
  for (const { kind, type, object } of events) {
    const { uid = '', labels, deletionTimestamp } = object.metadata ?? {};
    if (kind === 'Pod' && labels?.['conformance.test/session'] === session) {
      if (type === 'DELETED' || deletionTimestamp !== undefined) {
        there.delete(uid);
      } else {
        there.add(uid);
      }
      most = Math.max(most, there.size);
    }
  }
  return most > 1 ? [`the session ${session} had ${most} pods at once`] : [];
}

/** SM-23 */
export function endsAtItsTime(record: ExpiryRecord): Finding[] {
  const { expiry, conditions } = record.target.resource;
  const torn = (session: string, from: number, due: number): Finding[] => {
    const pods = eventsOf(record, 'Pod', podName(record, session));
    const goesAt = deletedAt(pods);
    if (pods.length === 0) {
      return [missing(`the session ${session} never had a pod`)];
    }
    if (goesAt === undefined || goesAt > due) {
      return [
        unlessStalled(`the session ${session} was not torn down ${TEARDOWN_SECONDS} s after its time`, from, due),
      ];
    }
    return goesAt < from - EARLY_MS
      ? [`the session ${session} was torn down ${((from - goesAt) / 1000).toFixed(1)} s before its time`]
      : [];
  };
  const due = TEARDOWN_SECONDS * 1000;
  const keptEvents = eventsOf(record, 'Session', 'kept');
  const kept = keptEvents.at(-1);
  const takeover = takeoverSeconds(record.target) * 1000;
  return [
    ...torn('kept', record.endsAt, record.endsAt + due),
    ...(deletedAt(keptEvents) === undefined ? [] : ['its record should have been kept; it was deleted']),
    ...(conditions.expired === undefined || has(kept?.object, conditions.expired)
      ? []
      : [missing(`kept, it does not say that its time was over: ${JSON.stringify(conditionsOf(kept?.object))}`)]),
    ...(expiry?.policy === undefined
      ? []
      : [
          ...torn('dropped', record.endsAt, record.endsAt + due),
          ...(eventsOf(record, 'Session', 'dropped').at(-1)?.type === 'DELETED'
            ? []
            : [missing('its record should have been deleted; it is still there')]),
        ]),
    ...(record.missedAt === undefined || record.backAt === undefined
      ? []
      : torn('missed', record.missedAt, record.backAt + due + takeover)),
    ...record.deaths,
  ];
}

/** SM-24 */
export function survivesALostPod(record: LifeRecord): Finding[] {
  const { conditions } = record.target.resource;
  const pods = eventsOf(record, 'Pod', podName(record, 'lost'));
  const goneAt = firstAt(pods, ({ type, object }) => type === 'DELETED' && object.metadata?.uid === record.lostUid);
  const next = pods.find(({ object, type }) => object.metadata?.uid !== record.lostUid && isPodReady({ object, type }));
  if (goneAt === undefined) {
    return [missing('the pod of the session was never lost: it had none')];
  }
  const sessions = eventsOf(record, 'Session', 'lost').filter(({ at }) => at >= record.lostAt);
  const said = sessions.some(({ object }) => !has(object, conditions.ready));
  if (record.target.documented.lostPod === 'failed') {
    return said ? [] : [missing('its pod was lost, and it is still ready')];
  }
  return [
    ...(next === undefined ? [missing('its pod was lost, and never came back')] : []),
    ...(said ? [] : [missing('it was ready all the time, also while it had no pod')]),
    ...(next !== undefined && record.marker !== MARKER_TEXT
      ? presupposing(record.marker !== '' && wasReady(record, 'lost', record.lostAt), [
          `the pod that came back found ${JSON.stringify(record.marker || 'nothing')} on its claim`,
        ])
      : []),
    ...(has(sessions.at(-1)?.object, conditions.ready)
      ? []
      : [missing('when its pod was back, it was not ready again')]),
  ];
}

/** SM-25 */
export function leavesForeignObjects(record: LifeRecord): Finding[] {
  const { ready } = record.target.resource.conditions;
  return [
    ...record.foreign
      .filter(({ before, after }) => before !== after)
      .map(({ kind, name, before, after }) => `the ${kind} ${name}, which is not its own, was ${before}; now ${after}`),
    ...record.foreign.flatMap(({ kind }) => {
      const session = TAKEN[kind as keyof typeof TAKEN];
      const events = eventsOf(record, 'Session', session);
      const says = events.some(({ object }) =>
        conditionsOf(object).some(
          ({ type, status, message }) => type === ready.type && status !== ready.status && (message ?? '') !== '',
        ),
      );
      return [
        ...(events.some(({ object }) => has(object, ready))
          ? [`the session ${session} is ready with a ${kind} that is not its own`]
          : []),
        ...(says ? [] : [missing(`the session ${session} does not say that its ${kind} is somebody else’s`)]),
      ];
    }),
    ...(record.foreign.length === 0 ? ['no name could be taken: nothing is documented'] : []),
  ];
}

/** SM-26 */
export function makesNothingTwice(record: RestartRecord): Finding[] {
  return [
    ...record.names.flatMap((session) => [
      ...notReady(record, session),
      ...(['Pod', 'Service', 'PersistentVolumeClaim'] as const).flatMap((kind) => {
        const { size } = everOf(record, kind, session);
        return size > 1 ? [`the session ${session} got ${size} objects ${kind}`] : [];
      }),
    ]),
    ...record.deaths,
  ];
}

/** SM-27 */
export function givesIdentityAsAsked(record: LifeRecord): Finding[] {
  const specOf = (session: string): V1PodSpec | undefined =>
    eventsOf(record, 'Pod', podName(record, session))[0]?.object.spec as V1PodSpec | undefined;
  const tokensOf = (spec: V1PodSpec | undefined) =>
    (spec?.volumes ?? []).flatMap(({ projected }) =>
      (projected?.sources ?? []).flatMap(({ serviceAccountToken }) => serviceAccountToken ?? []),
    );
  const identified = specOf('identified');
  const asked = tokensOf(identified).filter(({ audience }) => audience === AUDIENCE);
  const api = (session: string): Finding[] =>
    tokensOf(specOf(session)).some(({ audience }) => audience === undefined)
      ? [`the pod of the session ${session} has an API token that was not asked for`]
      : [];
  return identified === undefined
    ? [missing('the session that asks for a ServiceAccount never had a pod')]
    : [
        ...(identified.serviceAccountName === IDENTITY
          ? []
          : [`asked for the ServiceAccount ${IDENTITY}, its pod has ${identified.serviceAccountName}`]),
        ...(asked.length === 1 && asked[0]?.expirationSeconds === 600
          ? []
          : [`asked for one token for ${AUDIENCE} of 600 s, its pod has ${JSON.stringify(tokensOf(identified))}`]),
        ...api('identified'),
        ...api('client'),
      ];
}

/** Requests for one session that failed, beyond which it is a storm: each is tried again at growing intervals. */
const REFUSED_AT_MOST = 10;

/** SM-28 */
export function managesManySessions(record: ManySessionsRecord): Finding[] {
  const late = record.names.filter((name) => secondsToReady(record, name) === undefined);
  const twice = record.names.filter((name) => everOf(record, 'Pod', name).size > 1);
  const most = REFUSED_AT_MOST * record.names.length;
  return [
    ...(late.length > 0
      ? [
          missing(
            `of ${record.names.length} sessions ${late.length} never became ready: ${late.slice(0, 5).join(', ')}`,
          ),
        ]
      : []),
    ...(twice.length > 0 ? [`sessions with two pods: ${twice.join(', ')}`] : []),
    // A controller that is deployed by its own manifests does not go through the recording proxy.
    ...(record.refused === 0 && record.target.start !== undefined
      ? [missing('none of its requests met the overload')]
      : []),
    ...(record.refused > most
      ? [`while the API server was overloaded it asked ${record.refused} times, for ${record.names.length} sessions`]
      : []),
    ...record.deaths,
  ];
}

const CONDITION_FIELDS = ['type', 'status', 'reason', 'observedGeneration', 'lastTransitionTime'] as const;

/** SM-29 */
export function reportsByConditions(record: SuspendRecord): Finding[] {
  const last = eventsOf(record, 'Session', 'resting').at(-1)?.object;
  const { generation = 0 } = last?.metadata ?? {};
  const conditions = conditionsOf(last);
  return [
    ...(conditions.length === 0 ? [missing('its status has no conditions')] : []),
    ...conditions.flatMap((condition) => {
      const lacking = CONDITION_FIELDS.filter((field) => (condition[field] ?? '') === '');
      return lacking.length === 0 ? [] : [`the condition ${condition.type} has no ${lacking.join(', ')}`];
    }),
    ...conditions
      .filter(({ observedGeneration }) => observedGeneration !== undefined && observedGeneration !== generation)
      .map(({ type, observedGeneration }) =>
        missing(`${type} is of the generation ${observedGeneration}, when ${generation} was asked last`),
      ),
  ];
}
