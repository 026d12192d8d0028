import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { KubernetesObject, V1Deployment, V1Pod, V1PodSpec } from '@kubernetes/client-node';
import { parseAllDocuments } from 'yaml';
import { Heartbeat, type Stall } from '../../../../fixtures/workloads/lib/heartbeat.ts';
import { Changes } from '../../../core/changes.ts';
import { HarnessError, NotTestable, UsageError } from '../../../core/errors.ts';
import { fill } from '../../../core/placeholders.ts';
import { describeExit, type ProcessGroup, startTargetProcess } from '../../../core/process-group.ts';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import { describePod } from '../../../kubernetes/pod-status.ts';
import { Recorder } from '../../../kubernetes/recorder.ts';
import type { RequirementContext, TargetAccess } from '../../../rpc/context.ts';
import { type ResourceTarget, resourceTarget, workloadOf } from '../target.ts';

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
  stalls: Stall[];
}

export interface SessionOptions {
  podSpec?: Partial<V1PodSpec>;
  /** Names of volumes that are claims, mounted at `/NAME`. */
  claims?: string[];
  /** Fields by JSON Pointer, set beside the template. */
  fields?: Record<string, unknown>;
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
  readonly replicas?: {
    kill(index: number): Promise<void>;
    start(index: number): Promise<void>;
    readonly count: number;
  };
  /** The name of a session's pod, service or claim, as documented; undefined where none is. */
  nameOf(kind: OwnedKind, session: string, claim?: string): string | undefined;
  record(): SessionsRecord;
}

const LAST_LINES = 20;

/** The smallest container that runs, under Pod Security `restricted`. */
export function podSpec(image: string, rest: Partial<V1PodSpec> = {}, command = ['sleep', '3600']): V1PodSpec {
  return {
    terminationGracePeriodSeconds: 1,
    securityContext: { runAsNonRoot: true, fsGroup: 65532, seccompProfile: { type: 'RuntimeDefault' } },
    ...rest,
    containers: rest.containers ?? [
      {
        name: 'agent',
        image,
        imagePullPolicy: 'IfNotPresent',
        command,
        resources: { requests: { cpu: '5m', memory: '8Mi' }, limits: { memory: '32Mi' } },
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      },
    ],
  };
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
  const { resource, documented } = target;
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
  const sessionsPath = `/apis/${resource.apiVersion}/namespaces/${namespace}/${resource.plural}`;
  const paths: [SessionEvent['kind'], string][] = [
    ['Session', sessionsPath],
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
        events.push({ at: at.getTime(), type, kind, object: { ...object, metadata } as SessionObject });
        changes.notify();
      },
    });
    stack.defer(() => recorder.close());
  }
  const deaths: string[] = [];
  const deployed = target.start === undefined ? deployedReplicas(cluster, target) : undefined;
  stack.defer(async () => deployed?.restore());
  const replicas = target.start === undefined ? deployed : await startReplicas();
  const createdAt: Record<string, number> = {};
  const request = async (method: string, path: string, body?: object): Promise<void> => {
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
  };
  const latest: LaunchedSessions['latest'] = (kind, name) => {
    const last = events.findLast((event) => event.kind === kind && event.object.metadata?.name === name);
    return last === undefined || last.type === 'DELETED' ? undefined : last.object;
  };
  return await act({
    target,
    cluster,
    namespace,
    image,
    access,
    events,
    async create(name, { podSpec: rest = {}, claims = [], fields = {} } = {}) {
      const mounts = claims.map((claim) => ({ name: claim, mountPath: `/${claim}` }));
      const spec = podSpec(image, rest);
      const [container] = spec.containers;
      const whole = {
        ...spec,
        containers:
          container === undefined
            ? []
            : [{ ...container, volumeMounts: [...(container.volumeMounts ?? []), ...mounts] }],
      };
      const templates = claims.map((claim) => ({
        metadata: { name: claim },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '16Mi' } } },
      }));
      const values = {
        ...{ name, namespace, podSpec: whole, labels: { 'conformance.test/session': name } },
        claims: templates.length === 0 ? undefined : templates,
      };
      const filled = fill(resource.template, values, `${target.file}: resource.template`) as Record<string, unknown>;
      const object = { ...filled, apiVersion: resource.apiVersion, kind: resource.kind, metadata: { name, namespace } };
      for (const [field, value] of Object.entries(fields)) {
        put(object, field, value);
      }
      createdAt[name] = Date.now();
      await request('POST', sessionsPath, object);
    },
    set: (name, field, value) => request('PATCH', `${sessionsPath}/${name}`, [{ op: 'add', path: field, value }]),
    end: (name) => request('DELETE', `${sessionsPath}/${name}`),
    latest,
    until: async (isMet, deadlineSeconds) =>
      (await changes.until(() => isMet() || undefined, deadlineSeconds, t.signal)) === true,
    async watchFor(seconds) {
      await changes.until(() => undefined, seconds, t.signal);
    },
    ...(replicas === undefined ? {} : { replicas }),
    nameOf(kind, session, claim = '') {
      const { names } = documented;
      const template = { Pod: names.pod, Service: names.service, PersistentVolumeClaim: names.claim }[kind];
      return template === undefined
        ? undefined
        : fill(template, { name: session, namespace, claim }, `${target.file}: documented.names`);
    },
    record: () => ({ target, namespace, events, createdAt, deaths, stalls: heartbeat.stalls() }),
  });

  async function startReplicas(): Promise<NonNullable<LaunchedSessions['replicas']>> {
    const { command, env, replicas: count } = target.start ?? { command: [], env: {}, replicas: 0 };
    const kubeconfig = join(folder, 'kubeconfig');
    await writeFile(kubeconfig, access.kubeConfig, { mode: 0o600 });
    const groups: ProcessGroup[] = [];
    const expected = new Set<ProcessGroup>();
    stack.defer(async () => {
      await Promise.all(groups.map((group) => group.stop()));
    });
    const start = async (index: number): Promise<void> => {
      const values = {
        ...{ namespace, kubeconfig, folder, replica: `replica-${index}`, image },
        ...{ 'target.folder': target.folder, workload: workloadOf(t, 'custom-resource') },
      };
      const located = (fill(command, values, `${target.file}: start.command`) as string[]).map((part) =>
        /^\.{1,2}\//.test(part) ? resolve(target.folder, part) : part,
      );
      const group = startTargetProcess(located, {
        cwd: folder,
        env: fill(env, values, `${target.file}: start.env`) as Record<string, string>,
      });
      const lines: string[] = [];
      for (const stream of [group.child.stdout, group.child.stderr]) {
        stream?.on('data', (chunk: Buffer) => {
          lines.push(...chunk.toString().split('\n').filter(Boolean));
          lines.splice(0, Math.max(0, lines.length - LAST_LINES));
        });
      }
      void group.exited.then((exit) => {
        if (!expected.has(group) && groups[index] === group) {
          deaths.push(`replica ${index} ${describeExit(exit)}; its last output: ${lines.join(' / ')}`);
          changes.notify();
        }
      });
      groups[index] = group;
    };
    stack.defer(() => {
      for (const group of groups) {
        expected.add(group);
      }
    });
    for (let index = 0; index < count; index += 1) {
      await start(index);
    }
    return {
      count,
      start,
      async kill(index) {
        const group = groups[index];
        if (group === undefined) {
          throw new HarnessError(`there is no replica ${index}`);
        }
        expected.add(group);
        await group.stop();
      },
    };
  }
}

/**
 * All replicas of a controller that is deployed count as one: they are scaled away, and back. `restore` brings back what
 * is away still.
 */
function deployedReplicas(
  cluster: ClusterHandle,
  target: ResourceTarget,
): (NonNullable<LaunchedSessions['replicas']> & { restore(): Promise<void> }) | undefined {
  const { deployment } = target.install;
  if (deployment === undefined || !cluster.owned) {
    return undefined;
  }
  const path = deploymentPath(deployment);
  /** Pods before it was taken away; undefined: it is there. */
  let wanted: number | undefined;
  const scale = async (replicas: number): Promise<void> => {
    const response = await cluster.request(path, {
      method: 'PATCH',
      headers: { 'content-type': 'application/merge-patch+json' },
      body: JSON.stringify({ spec: { replicas } }),
    });
    if (response.status !== 200) {
      throw new HarnessError(
        `the Deployment ${deployment.name} was not scaled: ${response.status} ${await response.text()}`,
      );
    }
  };
  const restore = async (): Promise<void> => {
    if (wanted !== undefined) {
      await scale(wanted);
      wanted = undefined;
      await untilAvailable(cluster, target, deployment);
    }
  };
  return {
    count: 1,
    async kill() {
      const { spec } = (await (await cluster.request(path)).json()) as V1Deployment;
      wanted = spec?.replicas ?? 1;
      await scale(0);
      const pods = podsPath(deployment.namespace, spec?.selector.matchLabels ?? {});
      await cluster.request(`${pods}&gracePeriodSeconds=0`, { method: 'DELETE' });
    },
    start: restore,
    restore,
  };
}

const ESTABLISHED_SECONDS = 30;
const LOOK_EVERY_MS = 200;

/** Applies what the target brings, once for a cluster, and sees that its custom resource is served. */
async function install(t: RequirementContext, cluster: ClusterHandle, target: ResourceTarget): Promise<void> {
  const { apiVersion, plural } = target.resource;
  const { files, deployment } = target.install;
  await t.shared(`install ${target.name}`, async () => {
    const objects = files.flatMap((file) => readInstalled(target, file));
    for (const image of new Set(objects.flatMap(imagesOf))) {
      await t.provideImage(image);
    }
    for (const object of objects) {
      const { status, text } = await post(cluster, object);
      // 409: it is there already, from another candidate of the same run or by its owner's hand.
      if (status >= 300 && status !== 409) {
        throw new NotTestable(
          `install.files of ${target.file}: ${object.kind} ${object.metadata?.name}: ${status} ${text.slice(0, 300)}`,
        );
      }
    }
    await waitFor(ESTABLISHED_SECONDS, async () => {
      const response = await cluster.request(`/apis/${apiVersion}`);
      const { resources = [] } = (await response.json().catch(() => ({}))) as { resources?: { name: string }[] };
      return resources.some(({ name }) => name === plural)
        ? undefined
        : `the cluster serves no ${plural} of ${apiVersion} (resource of ${target.file}): install its CRD, or name it in install.files`;
    });
    if (deployment !== undefined) {
      await untilAvailable(cluster, target, deployment);
    }
  });
}

interface Deployment {
  namespace: string;
  name: string;
}

const deploymentPath = ({ namespace, name }: Deployment): string =>
  `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`;

/** @throws NotTestable with what its pods lack */
async function untilAvailable(cluster: ClusterHandle, target: ResourceTarget, deployment: Deployment): Promise<void> {
  await waitFor(target.install.seconds, async () => {
    const response = await cluster.request(deploymentPath(deployment));
    const { status, spec } = (await response.json()) as V1Deployment;
    if ((status?.availableReplicas ?? 0) > 0) {
      return undefined;
    }
    const pods =
      response.status === 200
        ? await podsOf(cluster, deployment.namespace, spec?.selector.matchLabels ?? {})
        : `there is none (${response.status})`;
    return `the Deployment ${deployment.name} in ${deployment.namespace} is not available (install.deployment of ${target.file}): ${pods}`;
  });
}

/**
 * Creates an object as it is written. The Kubernetes client knows the kinds of the API by its own types, and leaves out
 * what these spell in another way: `x-kubernetes-preserve-unknown-fields` in the schema of a CRD, without which every
 * session would lose its fields.
 */
async function post(cluster: ClusterHandle, object: KubernetesObject): Promise<{ status: number; text: string }> {
  const { apiVersion = 'v1', kind = '', metadata = {} } = object;
  const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const discovery = await cluster.request(base);
  const { resources = [] } = (await discovery.json().catch(() => ({}))) as {
    resources?: { name: string; kind: string; namespaced: boolean }[];
  };
  const resource = resources.find((one) => one.kind === kind && !one.name.includes('/'));
  if (resource === undefined) {
    return { status: 404, text: `the cluster knows no ${kind} of ${apiVersion}` };
  }
  const scope = resource.namespaced ? `/namespaces/${metadata.namespace ?? 'default'}` : '';
  const response = await cluster.request(`${base}${scope}/${resource.name}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(object),
  });
  return { status: response.status, text: await response.text() };
}

/** The images of the pods that an object describes. */
export function imagesOf(object: KubernetesObject): string[] {
  const { template } = ((object as { spec?: object }).spec ?? {}) as { template?: { spec?: Partial<V1PodSpec> } };
  const { initContainers = [], containers = [] } = template?.spec ?? {};
  return [...initContainers, ...containers].flatMap(({ image }) => image ?? []);
}

function podsPath(namespace: string, labels: Record<string, string>): string {
  const selector = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector.join(','))}`;
}

/** How the pods of a Deployment are, for a message. */
async function podsOf(cluster: ClusterHandle, namespace: string, labels: Record<string, string>): Promise<string> {
  const response = await cluster.request(podsPath(namespace, labels));
  const { items = [] } = (await response.json()) as { items?: V1Pod[] };
  return items.map((pod) => `${pod.metadata?.name}: ${describePod(pod)}`).join('; ') || 'it has no pods';
}

/** Asks until there is nothing more to say. @throws NotTestable with what was said last */
async function waitFor(seconds: number, problem: () => Promise<string | undefined>): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  for (let said = await problem(); said !== undefined; said = await problem()) {
    if (Date.now() > deadline) {
      throw new NotTestable(said);
    }
    await new Promise((done) => setTimeout(done, LOOK_EVERY_MS));
  }
}

/** The objects in one of `install.files`. @throws UsageError that names the file and the field */
export function readInstalled(target: ResourceTarget, file: string): KubernetesObject[] {
  const path = resolve(target.folder, file);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(
      `${path}, an entry of install.files of ${target.file}, cannot be read: ${(error as Error).message}`,
    );
  }
  return parseAllDocuments(text).flatMap((document) => {
    const object = document.toJS() as KubernetesObject | null;
    return object === null ? [] : [object];
  });
}

/** Sets the value at a JSON Pointer (RFC 6901), making the objects on the way. */
function put(tree: Record<string, unknown>, pointer: string, value: unknown): void {
  const keys = pointer
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = keys.pop() ?? '';
  let at = tree;
  for (const key of keys) {
    at[key] ??= {};
    at = at[key] as Record<string, unknown>;
  }
  at[last] = value;
}
