import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type Finding, textOf } from '../../harness/core/findings.ts';
import type {
  SessionCondition,
  SessionEvent,
  SessionObject,
} from '../../harness/roles/session-manager/sessions/launch.ts';
import {
  type ExpiryRecord,
  LIVING,
  type LifeRecord,
  type RestartRecord,
  type SuspendRecord,
} from '../../harness/roles/session-manager/sessions/scenarios.ts';
import type { ResourceTarget } from '../../harness/roles/session-manager/target.ts';
import { loadTarget } from '../../harness/targets/load.ts';
import {
  endsAtItsTime,
  givesIdentityAsAsked,
  leavesForeignObjects,
  makesNothingTwice,
  managesManySessions,
  removesAllOfASession,
  reportsByConditions,
  saysWhenReady,
  survivesALostPod,
  suspendsAndResumes,
} from './sessions.checks.ts';

const target = loadTarget(
  fileURLToPath(new URL('../../fixtures/targets/session-managers/reference/custom-resource.yaml', import.meta.url)),
) as ResourceTarget;

const condition = (type: string, status: string, rest: Partial<SessionCondition> = {}): SessionCondition => ({
  ...{ type, status, reason: 'Because', message: 'of this', observedGeneration: 1 },
  ...{ lastTransitionTime: '2026-01-01T00:00:00Z' },
  ...rest,
});

function event(
  at: number,
  kind: SessionEvent['kind'],
  name: string,
  object: Partial<SessionObject> = {},
): SessionEvent {
  const metadata = { name, uid: `${kind} ${name}`, labels: { 'conformance.test/session': name }, ...object.metadata };
  return { at, type: 'ADDED', kind, object: { ...object, metadata } };
}

const READY = { status: { conditions: [condition('Ready', 'True')] } };
const NOT_READY = { status: { conditions: [condition('Ready', 'False')] } };

const base = { target, namespace: 'n', createdAt: {}, deaths: [], requests: [], stalls: [] };
const texts = (findings: Parameters<typeof textOf>[0][]): string => findings.map(textOf).join('; ');

function life(events: SessionEvent[], rest: Partial<LifeRecord> = {}): LifeRecord {
  return {
    ...base,
    createdAt: Object.fromEntries(LIVING.map((name) => [name, 0])),
    ...{
      events,
      page: 'served by name',
      marker: 'written before',
      lostAt: 50_000,
      lostUid: 'Pod lost',
      endedAt: 90_000,
      secret: 'a value',
      output: [],
      apiAudiences: [],
    },
    foreign: [],
    ...rest,
  };
}

const running = LIVING.flatMap((name) => [event(10_000, 'Pod', name, READY), event(10_100, 'Session', name, READY)]);
const broken = event(10_000, 'Session', 'broken', NOT_READY);

describe('readiness (SM-20)', () => {
  test('follows the pod', () => expect(saysWhenReady(life([...running, broken]))).toEqual([]));

  test('before the pod is a finding', () => {
    const early = event(1_000, 'Session', 'web', READY);
    expect(texts(saysWhenReady(life([early, ...running, broken])))).toMatch(/web was ready before its pod/);
  });

  test('of a session that never came, or has no reason, is a finding', () => {
    expect(texts(saysWhenReady(life([broken])))).toMatch(/web never became ready/);
    const silent = event(1, 'Session', 'broken', {
      status: { conditions: [condition('Ready', 'False', { message: '' })] },
    });
    expect(texts(saysWhenReady(life([...running, silent])))).toMatch(/does not say why/);
  });
});

test('a lost pod comes back, and the session was not ready meanwhile (SM-24)', () => {
  const gone = { ...event(51_000, 'Pod', 'lost', READY), type: 'DELETED' as const };
  const next = event(60_000, 'Pod', 'lost', { ...READY, metadata: { name: 'lost', uid: 'another' } });
  const said = [event(51_100, 'Session', 'lost', NOT_READY), event(60_100, 'Session', 'lost', READY)];
  expect(survivesALostPod(life([...running, gone, next, ...said]))).toEqual([]);
  expect(texts(survivesALostPod(life([...running, gone])))).toMatch(/never came back; it was ready all the time/);
  expect(texts(survivesALostPod(life([...running, gone, next, ...said], { marker: '' })))).toMatch(/found "nothing"/);
});

const going = { metadata: { deletionTimestamp: new Date('2026-01-01T00:00:00Z') } } as Partial<SessionObject>;

test('what is asked to go is deleted, though a claim waits for its pod and a pod has its grace (SM-21)', () => {
  const gone = (kind: SessionEvent['kind'], name: string): SessionEvent => ({
    ...event(95_000, kind, name),
    type: 'DELETED',
  });
  const claim = (session: string): string => `data-${session}`;
  const ended = [gone('Session', 'ended'), gone('Pod', 'ended'), gone('Service', 'ended')];
  const claims = ['lost', 'ended'].map((session) => event(9_000, 'PersistentVolumeClaim', claim(session)));
  const all = [...running, ...claims, ...ended];
  const findings = (more: SessionEvent[]): string => texts(removesAllOfASession(life([...all, ...more])));
  const usual = findings([]);
  expect(usual).not.toMatch(/another session/);
  expect(findings([event(96_000, 'PersistentVolumeClaim', claim('lost'), going)])).toMatch(
    /the claim of another session was deleted/,
  );
  expect(findings([event(96_000, 'Pod', 'web', going)])).toMatch(/the pod of another session was deleted/);
});

test('a record that is to be kept is deleted, too, where a finalizer holds it yet (SM-23)', () => {
  const over = { status: { conditions: [condition('Ready', 'False', { reason: 'SandboxExpired' })] } };
  const record = (more: SessionEvent[]): ExpiryRecord => ({
    ...base,
    endsAt: 20_000,
    events: [
      ...['kept', 'dropped'].flatMap((name) => [
        event(1_000, 'Pod', name),
        { ...event(21_000, 'Pod', name), type: 'DELETED' as const },
      ]),
      event(21_000, 'Session', 'kept', over),
      { ...event(21_000, 'Session', 'dropped'), type: 'DELETED' as const },
      ...more,
    ],
  });
  expect(endsAtItsTime(record([]))).toEqual([]);
  expect(texts(endsAtItsTime(record([event(22_000, 'Session', 'kept', { ...over, ...going })])))).toMatch(
    /should have been kept; it was deleted/,
  );
});

test('what has the right name and another owner stays as it was, and the session says so (SM-25)', () => {
  const foreign = [{ kind: 'Pod', name: 'taken-pod', before: 'u1, there', after: 'u1, there' }];
  const says = event(1, 'Session', 'taken-pod', NOT_READY);
  expect(leavesForeignObjects(life([says], { foreign }))).toEqual([]);
  expect(texts(leavesForeignObjects(life([event(1, 'Session', 'taken-pod', READY)], { foreign })))).toMatch(
    /is ready with a Pod/,
  );
  const adopted = [{ kind: 'Pod', name: 'taken-pod', before: 'u1, there', after: 'u1, there, owned by a session' }];
  expect(texts(leavesForeignObjects(life([says], { foreign: adopted })))).toMatch(/is not its own, was u1, there; now/);
});

test('one object of each kind is made for a session (SM-26)', () => {
  const session = [event(1, 'Session', 'one', READY), event(0, 'Pod', 'one')];
  const record = (events: SessionEvent[]): RestartRecord => ({
    ...base,
    createdAt: { one: 0 },
    events,
    names: ['one'],
  });
  expect(makesNothingTwice(record(session))).toEqual([]);
  const second = event(2, 'Pod', 'one', {
    metadata: { name: 'one-again', uid: 'second', labels: { 'conformance.test/session': 'one' } },
  });
  expect(texts(makesNothingTwice(record([...session, second])))).toMatch(/got 2 objects Pod/);
});

test('an API token that nobody asked for is a finding (SM-27)', () => {
  const token = (audience?: string) => ({
    name: 'v',
    projected: {
      sources: [
        { serviceAccountToken: { path: 't', expirationSeconds: 600, ...(audience === undefined ? {} : { audience }) } },
      ],
    },
  });
  const pods = (client: object[]) => [
    event(0, 'Pod', 'identified', {
      spec: { serviceAccountName: 'conformance-session', volumes: [token('conformance.test/provider')] },
    }),
    event(0, 'Pod', 'client', { spec: { volumes: client } }),
  ];
  expect(givesIdentityAsAsked(life(pods([])))).toEqual([]);
  expect(texts(givesIdentityAsAsked(life(pods([token()]))))).toMatch(/client has an API token that was not asked for/);
});

test('conditions are whole, and of the generation that was asked last (SM-29)', () => {
  const record = (generation: number, seen: SessionCondition): SuspendRecord => ({
    ...base,
    events: [
      event(1, 'Session', 'resting', {
        metadata: { name: 'resting', generation },
        status: { conditions: [seen] },
      } as Partial<SessionObject>),
    ],
    ...{ suspendedAt: 0, suspendedAgainAt: 0, resumedAt: 0, marker: '', turnedAt: 0 },
  });
  expect(reportsByConditions(record(1, condition('Ready', 'True')))).toEqual([]);
  expect(texts(reportsByConditions(record(2, condition('Ready', 'True'))))).toMatch(
    /of the generation 1, when 2 was asked last/,
  );
  const { reason: _, ...bare } = condition('Ready', 'True');
  expect(texts(reportsByConditions(record(1, bare)))).toMatch(/has no reason/);
});

describe('what had not come, or gone, by the end may be the machine’s fault, and what was seen is not', () => {
  const suspend = (events: SessionEvent[], rest: Partial<SuspendRecord> = {}): SuspendRecord => ({
    ...base,
    events,
    createdAt: { resting: 0 },
    ...{ suspendedAt: 20_000, suspendedAgainAt: 30_000, resumedAt: 40_000, marker: 'written before', turnedAt: 90_000 },
    ...rest,
  });
  const ready = [event(1, 'Pod', 'resting', READY), event(2, 'Session', 'resting', READY)];
  const gone = { ...event(25_000, 'Pod', 'resting'), type: 'DELETED' as const };
  const expiry = (events: SessionEvent[]): ExpiryRecord => ({ ...base, endsAt: 20_000, events });
  const taken = [{ kind: 'Pod', name: 'taken-pod', before: 'u1, there', after: 'u1, there' }];
  const many = {
    ...base,
    ...{ events: [], createdAt: {}, names: ['many-0'], refused: 0, asked: 0 },
  };

  test.each<[what: string, findings: Finding[], text: string]>([
    ['SM-20', saysWhenReady(life([broken])), 'web never became ready'],
    ['SM-20', saysWhenReady(life(running)), 'does not say why it is not ready'],
    ['SM-20', saysWhenReady(life([...running, broken], { page: '' })), 'not reached by its documented name'],
    ['SM-21', removesAllOfASession(life(running)), 'its record was not gone after 90 s'],
    ['SM-21', removesAllOfASession(life(running)), 'the pod of an ended session is still there'],
    ['SM-21', removesAllOfASession(life(running)), 'the Service of an ended session is still there'],
    ['SM-21', removesAllOfASession(life(running)), 'the claim of an ended session was kept'],
    ['SM-21', removesAllOfASession(life([])), 'never had a pod'],
    ['SM-22', suspendsAndResumes(suspend(ready)), 'its pod was still there'],
    ['SM-22', suspendsAndResumes(suspend(ready)), 'it never said that it is suspended'],
    ['SM-22', suspendsAndResumes(suspend(ready)), 'asked to be suspended last, it has a pod'],
    ['SM-22', suspendsAndResumes(suspend(ready)), 'asked to be suspended last, it says'],
    ['SM-22', suspendsAndResumes(suspend(ready)), 'it was never resumed'],
    ['SM-22', suspendsAndResumes(suspend(ready, { marker: '' })), 'its data was "not there"'],
    [
      'SM-22, of a pod that was late',
      suspendsAndResumes(suspend([...ready, event(31_000, 'Pod', 'resting')])),
      'suspended twice, it had a pod again',
    ],
    ['SM-23', endsAtItsTime(expiry([])), 'the session kept never had a pod'],
    ['SM-23', endsAtItsTime(expiry([])), 'it does not say that its time was over'],
    ['SM-23', endsAtItsTime(expiry([])), 'its record should have been deleted'],
    ['SM-24', survivesALostPod(life([])), 'was never lost'],
    ['SM-24', survivesALostPod(life([{ ...event(51_000, 'Pod', 'lost'), type: 'DELETED' }])), 'never came back'],
    ['SM-25', leavesForeignObjects(life([], { foreign: taken })), 'does not say that its Pod is somebody else’s'],
    ['SM-26', makesNothingTwice({ ...base, createdAt: { one: 0 }, events: [], names: ['one'] }), 'never became ready'],
    ['SM-27', givesIdentityAsAsked(life([])), 'never had a pod'],
    ['SM-28', managesManySessions(many), 'of 1 sessions 1 never became ready'],
    ['SM-28', managesManySessions(many), 'none of its requests met the overload'],
    ['SM-29', reportsByConditions(suspend([])), 'its status has no conditions'],
  ])('%s: %#', (_, findings, text) => {
    expect(findings).toContainEqual({ text: expect.stringContaining(text), missing: true });
  });

  test.each<[what: string, findings: Finding[], text: string]>([
    [
      'SM-20',
      saysWhenReady(life([...running, event(1, 'Session', 'broken', READY)])),
      'ready whose pod no node can run',
    ],
    ['SM-22', suspendsAndResumes(suspend([...ready, gone, event(31_000, 'Pod', 'resting')])), 'it had a pod again'],
    ['SM-22', suspendsAndResumes(suspend(ready, { marker: 'another' })), 'its data was "another"'],
    [
      'SM-25',
      leavesForeignObjects(life([event(1, 'Session', 'taken-pod', READY)], { foreign: taken })),
      'is ready with',
    ],
  ])('%s, seen: %#', (_, findings, text) => {
    expect(findings).toContainEqual(expect.stringContaining(text));
  });

  test('a pod that was seen to be ready after its session by one of two watches, so much later (SM-20)', () => {
    const early = event(5_000, 'Session', 'web', READY);
    expect(saysWhenReady(life([early, ...running, broken]))).toEqual([
      { text: expect.stringContaining('before its pod'), from: 5_000, to: 10_000, excessMs: 3_000 },
    ]);
  });
});
