import { randomBytes } from 'node:crypto';
import type { KubernetesObject, V1PodSpec } from '@kubernetes/client-node';
import { HarnessError } from '../../../core/errors.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import { resourceTarget, takeoverSeconds } from '../target.ts';
import { type LaunchedSessions, type SessionsRecord, withSessions } from './launch.ts';
import { GONE_SECONDS, has, isPodReady, READY_SECONDS, secondsToReady } from './record.ts';
import { podSpec } from './session-object.ts';

/** What the page of the session `web` says, when it has been up for a while. */
export const PAGE = 'served by name';
const PAGE_PORT = 8080;
/** A pod that runs and is not Ready for so long. */
const SLOW_START_SECONDS = 4;
const MARKER = 'written before';
const PAGE_TRIES = 10;

let turn: Promise<unknown> = Promise.resolve();

/**
 * A controller that is deployed is one for the whole cluster: an observation that takes it away must not be beside one
 * that measures it. All of these requirements are in one file, and so in one process.
 */
function inTurn<R>(observe: () => Promise<R>): Promise<R> {
  const next = turn.then(observe);
  turn = next.catch(() => undefined);
  return next;
}

/** Makes an observation once for all files of a candidate, and keeps what became of each session as evidence. */
async function observed<R extends SessionsRecord>(
  t: RequirementContext,
  what: string,
  act: (sessions: LaunchedSessions) => Promise<R>,
): Promise<R> {
  const observe = (): Promise<R> =>
    withSessions(t, what, async (sessions) => {
      const seen = await act(sessions);
      return { ...seen, requests: await sessions.access.records() };
    });
  const isDeployed = resourceTarget(t).start === undefined;
  const record = await t.sharedByAllFiles(`sessions: ${what}`, () => (isDeployed ? inTurn(observe) : observe()));
  const names = Object.keys(record.createdAt);
  t.evidence(
    'sessions',
    names.slice(0, 10).map((name) => {
      const last = record.events.findLast(({ kind, object }) => kind === 'Session' && object.metadata?.name === name);
      return { name, last: last?.type, conditions: last?.object.status?.conditions };
    }),
  );
  if (record.deaths.length > 0) {
    t.evidence('process exits', record.deaths);
  }
  return record;
}

function isReady(sessions: LaunchedSessions, name: string): boolean {
  return has(sessions.latest('Session', name), sessions.target.resource.conditions.ready);
}

async function untilReady(sessions: LaunchedSessions, names: string[]): Promise<boolean> {
  return sessions.until(() => names.every((name) => isReady(sessions, name)), READY_SECONDS);
}

function podOf(sessions: LaunchedSessions, name: string) {
  return sessions.latest('Pod', sessions.nameOf('Pod', name) ?? name);
}

async function run(sessions: LaunchedSessions, name: string, script: string): Promise<string> {
  const { cluster, namespace } = sessions;
  const pod = sessions.nameOf('Pod', name) ?? name;
  const { stdout, stderr } = await cluster.exec(namespace, pod, 'agent', ['/bin/sh', '-c', script]);
  return `${stdout}${stderr}`.trim();
}

export interface LifeRecord extends SessionsRecord {
  /** What another session's pod got by the documented name of a Service. */
  page: string;
  /** What the pod that took the place of a lost one found on its claim. */
  marker: string;
  /** When the pod of the session `lost` was deleted by the harness, and its uid. */
  lostAt: number;
  lostUid: string;
  /** When the session `ended` was ended. */
  endedAt: number;
  /** Objects of the harness's own that have the names of sessions, before and after. */
  foreign: { kind: string; name: string; before: string; after: string }[];
  /** The value of a Secret that the session `keyed` refers to by a variable. */
  secret: string;
  /** The controller's own output. */
  output: string[];
  /** Audiences that the cluster's API server takes. */
  apiAudiences: string[];
}

/** Sessions that get a pod of their own, whatever becomes of it. */
export const LIVING = ['web', 'client', 'lost', 'ended', 'identified', 'keyed'] as const;

/** Names whose pod, Service or claim is somebody else's. */
export const TAKEN = { Pod: 'taken-pod', Service: 'taken-service', PersistentVolumeClaim: 'taken-claim' } as const;

/**
 * Sessions that serve, that wait, that cannot start, that lose their pod, that are ended, and whose names are taken.
 */
export function observeLife(t: RequirementContext): Promise<LifeRecord> {
  return observed(t, 'life', async (sessions) => {
    const { cluster, namespace, image } = sessions;
    const foreign = await createForeign(sessions);
    const secret = randomBytes(16).toString('hex');
    const keys = { metadata: { name: KEYS, namespace }, stringData: { [KEY_VARIABLE]: secret } };
    await cluster.create([{ apiVersion: 'v1', kind: 'Secret', ...keys }]);
    const page = `sleep ${SLOW_START_SECONDS}; mkdir -p /tmp/www && echo '${PAGE}' >/tmp/www/index.html && exec busybox httpd -f -p ${PAGE_PORT} -h /tmp/www`;
    const [server] = podSpec(image, {}, ['/bin/sh', '-c', page]).containers;
    const probe = { httpGet: { path: '/', port: PAGE_PORT }, periodSeconds: 1, failureThreshold: 1 };
    const web = server === undefined ? [] : [{ ...server, readinessProbe: probe }];
    await Promise.all([
      sessions.create('web', { podSpec: { containers: web } }),
      sessions.create('client'),
      sessions.create('lost', { claims: ['data'] }),
      sessions.create('ended', { claims: ['data'] }),
      sessions.create('broken', { podSpec: { nodeSelector: { 'conformance.test/no-such-node': 'true' } } }),
      sessions.create('identified', { podSpec: withToken(image) }),
      sessions.create('keyed', { podSpec: withKey(image) }),
      ...foreign.map(({ session, claims }) => sessions.create(session, { claims })),
    ]);
    await untilReady(sessions, [...LIVING]);
    const service = sessions.nameOf('Service', 'web');
    let got = '';
    // A name that has just been made needs some time until cluster DNS knows it, and nothing says when.
    for (let times = 1; service !== undefined && !got.includes(PAGE) && times <= PAGE_TRIES; times += 1) {
      got = isReady(sessions, 'client')
        ? await run(sessions, 'client', `wget -qO- http://${service}:${PAGE_PORT}/`)
        : '';
      await sessions.watchFor(got.includes(PAGE) ? 0 : 1);
    }
    if (isReady(sessions, 'lost')) {
      await run(sessions, 'lost', `echo '${MARKER}' >/data/marker`);
    }
    const lost = podOf(sessions, 'lost');
    const lostUid = lost?.metadata?.uid ?? '';
    const lostAt = Date.now();
    if (lost !== undefined) {
      await cluster.request(`/api/v1/namespaces/${namespace}/pods/${lost.metadata?.name}?gracePeriodSeconds=0`, {
        method: 'DELETE',
      });
    }
    const isBack = (): boolean => {
      const pod = podOf(sessions, 'lost');
      return pod !== undefined && pod.metadata?.uid !== lostUid && isPodReady({ type: 'MODIFIED', object: pod });
    };
    const recreates = sessions.target.documented.lostPod === 'recreated';
    await sessions.until(
      recreates ? () => isBack() && isReady(sessions, 'lost') : () => !isReady(sessions, 'lost'),
      READY_SECONDS,
    );
    const marker = isBack() ? await run(sessions, 'lost', 'cat /data/marker') : '';
    const endedAt = Date.now();
    await Promise.all([sessions.end('ended'), ...foreign.map(({ session }) => sessions.end(session))]);
    const isGone = (): boolean =>
      sessions.latest('Session', 'ended') === undefined &&
      podOf(sessions, 'ended') === undefined &&
      foreign.every(({ session }) => sessions.latest('Session', session) === undefined);
    await sessions.until(isGone, GONE_SECONDS);
    // What is removed besides comes by the garbage collector, a moment later.
    await sessions.watchFor(SETTLED_SECONDS);
    const after = await Promise.all(foreign.map(({ path }) => describe(sessions, path)));
    return {
      ...sessions.record(),
      ...{ page: got, marker, lostAt, lostUid, endedAt, secret, output: await sessions.output() },
      apiAudiences: cluster.apiAudiences,
      foreign: foreign.map(({ kind, name, before }, index) => ({ kind, name, before, after: after[index] ?? '' })),
    };
  });
}

const SETTLED_SECONDS = 5;

/** A pod with a token for somebody else than the API server, as a ServiceAccount of its own. */
function withToken(image: string): Partial<V1PodSpec> {
  const [container] = podSpec(image).containers;
  const mount = { name: 'identity', mountPath: '/var/run/identity', readOnly: true };
  return {
    serviceAccountName: IDENTITY,
    containers: container === undefined ? [] : [{ ...container, volumeMounts: [mount] }],
    volumes: [
      {
        name: 'identity',
        projected: {
          sources: [{ serviceAccountToken: { path: 'token', audience: AUDIENCE, expirationSeconds: 600 } }],
        },
      },
    ],
  };
}

/** Secret, key and variable that the session `keyed` refers to. */
const KEYS = 'conformance-keys';
export const KEY_VARIABLE = 'AGENT_KEY';

/** A pod with a variable from a Secret. */
function withKey(image: string): Partial<V1PodSpec> {
  const [container] = podSpec(image).containers;
  const env = [{ name: KEY_VARIABLE, valueFrom: { secretKeyRef: { name: KEYS, key: KEY_VARIABLE } } }];
  return { containers: container === undefined ? [] : [{ ...container, env }] };
}

/** ServiceAccount and audience that the session `identified` asks for. */
export const IDENTITY = 'conformance-session';
export const AUDIENCE = 'conformance.test/provider';

interface Foreign {
  kind: string;
  name: string;
  session: string;
  claims: string[];
  path: string;
  before: string;
}

/** Objects that have the names which sessions will want, and a ServiceAccount for one of them. */
async function createForeign(sessions: LaunchedSessions): Promise<Foreign[]> {
  const { cluster, namespace, image } = sessions;
  const base = `/api/v1/namespaces/${namespace}`;
  const specs = {
    Pod: podSpec(image),
    Service: { clusterIP: 'None', selector: { app: 'somebody-else' } },
    PersistentVolumeClaim: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '16Mi' } } },
  };
  const plurals = { Pod: 'pods', Service: 'services', PersistentVolumeClaim: 'persistentvolumeclaims' };
  const made: Foreign[] = [];
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: IDENTITY, namespace } };
  await cluster.create([account]);
  for (const kind of ['Pod', 'Service', 'PersistentVolumeClaim'] as const) {
    const session = TAKEN[kind];
    const name = sessions.nameOf(kind, session, 'data');
    if (name !== undefined) {
      const object: KubernetesObject & { spec: object } = {
        apiVersion: 'v1',
        kind,
        metadata: { name, namespace },
        spec: specs[kind],
      };
      await cluster.create([object]);
      const path = `${base}/${plurals[kind]}/${name}`;
      const claims = kind === 'PersistentVolumeClaim' ? ['data'] : [];
      made.push({ kind, name, session, claims, path, before: await describe(sessions, path) });
    }
  }
  return made;
}

/** Uid, owners and labels of an object, in one line. */
async function describe({ cluster }: LaunchedSessions, path: string): Promise<string> {
  const response = await cluster.request(path);
  if (response.status === 404) {
    return 'it is gone';
  }
  const { metadata } = (await response.json()) as KubernetesObject;
  if (response.status !== 200) {
    throw new HarnessError(`GET ${path} was answered ${response.status}`);
  }
  const owners = (metadata?.ownerReferences ?? []).map(({ kind, name }) => `${kind} ${name}`).join(', ') || 'nobody';
  const state = metadata?.deletionTimestamp === undefined ? 'there' : 'being deleted';
  return `${metadata?.uid}, ${state}, owned by ${owners}, labels ${JSON.stringify(metadata?.labels ?? {})}`;
}

export interface SuspendRecord extends SessionsRecord {
  suspendedAt: number;
  suspendedAgainAt: number;
  resumedAt: number;
  /** What the resumed session found on its claim. */
  marker: string;
  /** When the quick turns were over, and which state was asked for last. */
  turnedAt: number;
}

/** Suspends and resumes a session with a claim, each twice, and then in quick turns. */
export function observeSuspend(t: RequirementContext): Promise<SuspendRecord> {
  return observed(t, 'suspend', async (sessions) => {
    const { suspend, conditions } = sessions.target.resource;
    if (suspend === undefined) {
      throw new HarnessError(`${sessions.target.file} says nothing of resource.suspend`);
    }
    const name = 'resting';
    const set = (suspended: boolean): Promise<void> =>
      sessions.set(name, suspend.field, suspended ? suspend.suspended : suspend.running);
    const isSuspended = (): boolean =>
      has(sessions.latest('Session', name), conditions.suspended) && podOf(sessions, name) === undefined;
    await sessions.create(name, { claims: ['data'] });
    if (await untilReady(sessions, [name])) {
      await run(sessions, name, `echo '${MARKER}' >/data/marker`);
    }
    const suspendedAt = Date.now();
    await set(true);
    await sessions.until(isSuspended, GONE_SECONDS);
    const suspendedAgainAt = Date.now();
    await set(true);
    await sessions.watchFor(SETTLED_SECONDS);
    const resumedAt = Date.now();
    await set(false);
    await set(false);
    const marker = (await untilReady(sessions, [name])) ? await run(sessions, name, 'cat /data/marker') : '';
    for (const suspended of [true, false, true, false, true]) {
      await set(suspended);
    }
    await sessions.until(isSuspended, GONE_SECONDS);
    await sessions.watchFor(SETTLED_SECONDS);
    return { ...sessions.record(), suspendedAt, suspendedAgainAt, resumedAt, marker, turnedAt: Date.now() };
  });
}

export const MARKER_TEXT = MARKER;

export interface ExpiryRecord extends SessionsRecord {
  /**
   * When each session was to end (milliseconds since the epoch), and when the controller was back for the one that it
   * missed.
   */
  endsAt: number;
  missedAt?: number;
  backAt?: number;
}

/** Seconds from now: enough to be Ready before. */
const LIFE_SECONDS = 20;
/** It is torn down within 30 s (SM-23). */
export const TEARDOWN_SECONDS = 30;

/** Sessions that end at a time, with their record kept or deleted; and one whose controller is away at its time. */
export function observeExpiry(t: RequirementContext): Promise<ExpiryRecord> {
  return observed(t, 'expiry', async (sessions) => {
    const { expiry, conditions } = sessions.target.resource;
    if (expiry === undefined) {
      throw new HarnessError(`${sessions.target.file} says nothing of resource.expiry`);
    }
    const { policy } = expiry;
    const fields = (at: number, kept: boolean): Record<string, unknown> => ({
      [expiry.time]: new Date(at).toISOString().replace(/\.\d+Z$/, 'Z'),
      ...(policy === undefined ? {} : { [policy.field]: kept ? policy.retain : policy.delete }),
    });
    const endsAt = Math.ceil(Date.now() / 1000 + LIFE_SECONDS) * 1000;
    const missedAt = endsAt + 10_000;
    await sessions.create('kept', { fields: fields(endsAt, true) });
    if (policy !== undefined) {
      await sessions.create('dropped', { fields: fields(endsAt, false) });
    }
    const { replicas } = sessions;
    if (replicas !== undefined) {
      await sessions.create('missed', { fields: fields(missedAt, true) });
    }
    const areGone = (names: string[]) => (): boolean => names.every((name) => podOf(sessions, name) === undefined);
    await t.clock.until(new Date(endsAt), 'two sessions end then');
    const isKeptOver = (): boolean =>
      conditions.expired === undefined || has(sessions.latest('Session', 'kept'), conditions.expired);
    const isDropped = (): boolean => policy === undefined || sessions.latest('Session', 'dropped') === undefined;
    // A record follows its pod: it is deleted, or says that its time was over, when the pod is gone.
    await sessions.until(() => areGone(['kept', 'dropped'])() && isKeptOver() && isDropped(), TEARDOWN_SECONDS);
    await sessions.watchFor(SETTLED_SECONDS);
    if (replicas === undefined) {
      return { ...sessions.record(), endsAt };
    }
    const all = Array.from({ length: replicas.count }, (_, index) => index);
    await Promise.all(all.map((index) => replicas.kill(index)));
    await t.clock.until(new Date(missedAt + 1_000), 'a session ends while its controller is away');
    await Promise.all(all.map((index) => replicas.start(index)));
    const backAt = Date.now();
    await sessions.until(areGone(['missed']), TEARDOWN_SECONDS + takeover(sessions));
    return { ...sessions.record(), endsAt, missedAt, backAt };
  });
}

function takeover({ target }: LaunchedSessions): number {
  return takeoverSeconds(target);
}

export interface RestartRecord extends SessionsRecord {
  names: string[];
}

/** Sessions that come while each replica of the controller is killed and started again. */
export function observeRestarts(t: RequirementContext): Promise<RestartRecord> {
  return observed(t, 'restarts', async (sessions) => {
    const { replicas } = sessions;
    if (replicas === undefined) {
      return t.notApplicable(
        'the cluster is not the harness’s own, and the controller there is not the harness’s to kill',
      );
    }
    const names: string[] = [];
    const create = async (...more: string[]): Promise<void> => {
      names.push(...more);
      await Promise.all(more.map((name) => sessions.create(name, { claims: ['data'] })));
    };
    await create('before-1', 'before-2');
    await untilReady(sessions, names);
    for (let index = 0; index < replicas.count; index += 1) {
      await create(`amid-${index}`);
      await replicas.kill(index);
      await create(`after-${index}`);
      if (replicas.count === 1) {
        await replicas.start(index);
      }
      await sessions.until(() => isReady(sessions, `after-${index}`), READY_SECONDS + takeover(sessions));
      if (replicas.count > 1) {
        await replicas.start(index);
      }
    }
    await untilReady(sessions, names);
    await sessions.watchFor(SETTLED_SECONDS);
    return { ...sessions.record(), names };
  });
}

export interface ManySessionsRecord extends SessionsRecord {
  names: string[];
  /** Requests to the API server that the harness answered with an error, and all of them. */
  refused: number;
  asked: number;
}

export const SESSIONS_AT_ONCE = 50;
const MANY_READY_SECONDS = 240;
/** The API server is overloaded for so long, from the beginning. */
const OVERLOADED_SECONDS = 5;
const FAILURES = 10;

/** Fifty sessions at once, while the API server is overloaded and fails at times. */
export async function observeManySessions(t: RequirementContext): Promise<ManySessionsRecord> {
  const record = await observed(t, 'many', async (sessions) => {
    const names = Array.from({ length: SESSIONS_AT_ONCE }, (_, index) => `many-${index}`);
    await sessions.create('first');
    await untilReady(sessions, ['first']);
    const writes = { verbs: ['create', 'patch'], resources: ['pods', 'services'] };
    await sessions.access.setFaults([
      { kind: 'too-many-requests', ...writes, forSeconds: OVERLOADED_SECONDS, seconds: 1 },
      { kind: 'server-error', ...writes, afterSeconds: OVERLOADED_SECONDS, times: FAILURES },
    ]);
    await Promise.all(names.map((name) => sessions.create(name)));
    await sessions.until(() => names.every((name) => isReady(sessions, name)), MANY_READY_SECONDS);
    // What is made twice comes when the first one is there.
    await sessions.watchFor(SETTLED_SECONDS);
    const requests = await sessions.access.records();
    const refused = requests.filter(({ fault }) => fault !== undefined).length;
    return { ...sessions.record(), names, refused, asked: requests.length };
  });
  const seconds = record.names
    .map((name) => secondsToReady(record, name) ?? Number.POSITIVE_INFINITY)
    .sort((a, b) => a - b);
  t.evidence('seconds from creation to ready', {
    one: secondsToReady(record, 'first'),
    [`of ${seconds.length} at once`]: { median: seconds[Math.floor(seconds.length / 2)], last: seconds.at(-1) },
    requests: record.asked,
    refused: record.refused,
  });
  return record;
}
