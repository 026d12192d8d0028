import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KubernetesObject } from '@kubernetes/client-node';
import { Heartbeat, type Stall } from '../../../../fixtures/workloads/lib/heartbeat.ts';
import { Changes } from '../../../core/changes.ts';
import { NotTestable } from '../../../core/errors.ts';
import type { ApiRecord } from '../../../kubernetes/api-record.ts';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import { Recorder } from '../../../kubernetes/recorder.ts';
import type { RequirementContext, TargetAccess } from '../../../rpc/context.ts';
import { type ResourceTarget, resourceTarget, workloadOf } from '../target.ts';
import { install } from './install.ts';
import { conditionsOf } from './record.ts';
import { deployedReplicas, outputOfDeployment, ProcessReplicas, type Replicas } from './replicas.ts';
import { documentedName, type SessionOptions, sessionObject } from './session-object.ts';

/** Name of the ServiceAccount that the controller's kubeconfig is for. */
const SERVICE_ACCOUNT = 'session-controller';

const KINDS = { Pod: 'pods', Service: 'services', PersistentVolumeClaim: 'persistentvolumeclaims' } as const;
export type OwnedKind = keyof typeof KINDS;

/** A condition of a session's status. */
export interface SessionCondition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  observedGeneration?: number;
  lastTransitionTime?: string;
}

export type SessionObject = KubernetesObject & {
  metadata?: { generation?: number };
  spec?: unknown;
  status?: { conditions?: SessionCondition[] };
};

/**
 * One event of a session or of an object that it may need, as plain data, without managed fields. Times in milliseconds
 * since the epoch.
 */
export interface SessionEvent {
  at: number;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  kind: OwnedKind | 'Session';
  object: SessionObject;
}

/** Everything that was seen of a controller, as plain data. */
export interface SessionsRecord {
  target: ResourceTarget;
  namespace: string;
  events: SessionEvent[];
  /** When each session was asked for. */
  createdAt: Record<string, number>;
  /** Ends of its processes that nobody had asked for, with their last output. */
  deaths: string[];
  /** What it asked of the API server; nothing where it is deployed, and so does not go through the recording proxy. */
  requests: ApiRecord[];
  stalls: Stall[];
}

/** Sessions under a controller that is observed. */
export interface LaunchedSessions {
  readonly target: ResourceTarget;
  readonly cluster: ClusterHandle;
  readonly namespace: string;
  readonly image: string;
  readonly access: TargetAccess;
  readonly events: SessionEvent[];
  create(name: string, options?: SessionOptions): Promise<void>;
  /** Sets one field of a session's object. */
  set(name: string, field: string, value: unknown): Promise<void>;
  end(name: string): Promise<void>;
  /** The last that was seen of an object; undefined where it is not there. */
  latest(kind: SessionEvent['kind'], name: string): SessionObject | undefined;
  until(isMet: () => boolean, deadlineSeconds: number): Promise<boolean>;
  /** Watches for so long: what must not happen would be seen. */
  watchFor(seconds: number): Promise<void>;
  /**
   * Kills one replica of the controller at once, as a node that is lost does. Absent on a cluster that is not the
   * harness's own.
   */
  readonly replicas?: Replicas;
  /** The name of a session's pod, service or claim, as documented; undefined where none is. */
  nameOf(kind: OwnedKind, session: string, claim?: string): string | undefined;
  /** Lines that the controller has written since the observation began. */
  output(): Promise<string[]>;
  record(): SessionsRecord;
}

/**
 * Installs what the target brings, starts its controller with its documented rights in a namespace of its own, under
 * watches that were opened before; gives it to `act`, and ends it whatever happens.
 *
 * @throws NotTestable when the custom resource is not installed, or the controller does not come up
 */
export function withSessions<R>(
  t: RequirementContext,
  purpose: string,
  act: (sessions: LaunchedSessions) => Promise<R>,
): Promise<R> {
  const { podSecurity } = resourceTarget(t);
  return t.withNamespace(`sessions ${purpose}`, podSecurity, (namespace) => launched(t, namespace, act));
}

async function launched<R>(
  t: RequirementContext,
  namespace: string,
  act: (sessions: LaunchedSessions) => Promise<R>,
): Promise<R> {
  const target = resourceTarget(t);
  await using stack = new AsyncDisposableStack();
  const [cluster, image, folder] = await Promise.all([
    t.cluster(),
    t.image('workload'),
    mkdtemp(join(tmpdir(), 'conformance-sessions-')),
  ]);
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const heartbeat = new Heartbeat('the harness').start();
  stack.defer(() => heartbeat.stop());
  await install(t, cluster, target);
  const access = await t.targetAccess({
    namespace,
    serviceAccount: SERVICE_ACCOUNT,
    rules: [...target.rules.namespaced, ...target.rules.undocumented],
    clusterRules: target.rules.cluster,
  });
  stack.defer(() => access.close());
  const changes = new Changes();
  const events: SessionEvent[] = [];
  await watchAll({ t, cluster, target, namespace, stack }, (event) => {
    events.push(event);
    changes.notify();
  });
  const deaths: string[] = [];
  const onDeath = (what: string): void => {
    deaths.push(what);
    changes.notify();
  };
  const begin = new Date();
  const processes =
    target.start === undefined
      ? undefined
      : await startProcesses(t, { target, folder, namespace, image, access, stack, onDeath });
  const replicas = processes ?? deployedIn(cluster, target, stack);
  const createdAt: Record<string, number> = {};
  const sessionsPath = pathOfSessions(target, namespace);
  const request = (method: string, path: string, body?: object): Promise<void> =>
    requestSession(cluster, target, method, path, body);
  return await act({
    target,
    cluster,
    namespace,
    image,
    access,
    events,
    async create(name, options = {}) {
      const object = sessionObject(target, { name, namespace, image }, options);
      createdAt[name] = Date.now();
      await request('POST', sessionsPath, object);
    },
    set: (name, field, value) => request('PATCH', `${sessionsPath}/${name}`, [{ op: 'add', path: field, value }]),
    end: (name) => request('DELETE', `${sessionsPath}/${name}`),
    latest(kind, name) {
      const last = events.findLast((event) => event.kind === kind && event.object.metadata?.name === name);
      return last === undefined || last.type === 'DELETED' ? undefined : last.object;
    },
    async until(isMet, deadlineSeconds) {
      // Nothing comes any more of a controller that has ended.
      const met = await changes.until(
        () => isMet() || (processes?.haveDied === true ? false : undefined),
        deadlineSeconds,
        t.signal,
      );
      if (met === false && !events.some(({ kind, object }) => kind === 'Session' && conditionsOf(object).length > 0)) {
        throw new NotTestable(
          `the controller of sessions does not run (start.command of ${target.file}): ${deaths.join('; ')}`,
        );
      }
      return met === true;
    },
    async watchFor(seconds) {
      await changes.until(() => undefined, seconds, t.signal);
    },
    ...(replicas === undefined ? {} : { replicas }),
    nameOf: (kind, session, claim = '') => documentedName(target, kind, { name: session, namespace, claim }),
    output: async () => processes?.output() ?? (await outputOfDeployment(cluster, target, begin)),
    record: () => ({ target, namespace, events, createdAt, deaths, requests: [], stalls: heartbeat.stalls() }),
  });
}

function pathOfSessions({ resource: { apiVersion, plural } }: ResourceTarget, namespace: string): string {
  return `/apis/${apiVersion}/namespaces/${namespace}/${plural}`;
}

/** Watches sessions, and the objects that they may need. */
async function watchAll(
  {
    t,
    cluster,
    target,
    namespace,
    stack,
  }: {
    t: RequirementContext;
    cluster: ClusterHandle;
    target: ResourceTarget;
    namespace: string;
    stack: AsyncDisposableStack;
  },
  onEvent: (event: SessionEvent) => void,
): Promise<void> {
  const paths: [SessionEvent['kind'], string][] = [
    ['Session', pathOfSessions(target, namespace)],
    ...(Object.keys(KINDS) as OwnedKind[]).map((kind): [OwnedKind, string] => [
      kind,
      `/api/v1/namespaces/${namespace}/${KINDS[kind]}`,
    ]),
  ];
  for (const [kind, path] of paths) {
    const recorder = await Recorder.open<KubernetesObject>(cluster, path, {
      signal: t.signal,
      onEvent: ({ at, type, object }) => {
        const { managedFields: _, ...metadata } = object.metadata ?? {};
        onEvent({ at: at.getTime(), type, kind, object: { ...object, metadata } as SessionObject });
      },
    });
    stack.defer(() => recorder.close());
  }
}

function deployedIn(cluster: ClusterHandle, target: ResourceTarget, stack: AsyncDisposableStack): Replicas | undefined {
  const replicas = deployedReplicas(cluster, target);
  stack.defer(async () => replicas?.restore());
  return replicas;
}

async function startProcesses(
  t: RequirementContext,
  {
    target,
    folder,
    namespace,
    image,
    access,
    stack,
    onDeath,
  }: {
    target: ResourceTarget;
    folder: string;
    namespace: string;
    image: string;
    access: TargetAccess;
    stack: AsyncDisposableStack;
    onDeath: (what: string) => void;
  },
): Promise<ProcessReplicas> {
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, access.kubeConfig, { mode: 0o600 });
  const replicas = new ProcessReplicas({
    target,
    folder,
    values: {
      ...{ namespace, kubeconfig, folder, image },
      ...{ 'target.folder': target.folder, workload: workloadOf(t, 'custom-resource') },
    },
    onDeath,
  });
  stack.defer(() => replicas.stop());
  await replicas.startAll();
  return replicas;
}

/** @throws NotTestable where the API server does not take it */
async function requestSession(
  cluster: ClusterHandle,
  target: ResourceTarget,
  method: string,
  path: string,
  body?: object,
): Promise<void> {
  const response = await cluster.request(path, {
    method,
    headers: { 'content-type': method === 'PATCH' ? 'application/json-patch+json' : 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (response.status >= 300) {
    throw new NotTestable(
      `the API server does not take the session (resource of ${target.file}): ${method} ${path}: ${response.status} ${text.slice(0, 300)}`,
    );
  }
}
