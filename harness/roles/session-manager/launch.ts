import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig, type KubernetesObject } from '@kubernetes/client-node';
import { Heartbeat, type Stall } from '../../../fixtures/workloads/lib/heartbeat.ts';
import { Changes } from '../../core/changes.ts';
import { NotTestable } from '../../core/errors.ts';
import { freePort } from '../../core/free-port.ts';
import type { PolicyRule } from '../../core/policy-rule.ts';
import type { ClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { Recorder } from '../../kubernetes/recorder.ts';
import type { OperationName } from '../../role-data/session-manager/target-file.ts';
import type { RequirementContext, TargetAccess } from '../../rpc/context.ts';
import { CalledManager } from './called-manager.ts';
import { type Call, type CallOptions, describeCall, type Inputs, isSuccess } from './driver.ts';
import { httpClient } from './drivers/http.ts';
import { type Death, startProcess } from './drivers/process.ts';
import { type HttpTarget, sessionManagerTarget, workloadOf } from './target.ts';

/** Name of the ServiceAccount that the manager's kubeconfig is for. */
const SERVICE_ACCOUNT = 'session-manager';

/** One event of an object in the manager's namespace, as plain data, without managed fields. */
export interface ObjectEvent {
  /** When the harness saw it, in milliseconds since the epoch. */
  at: number;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  kind: ObservedKind;
  object: KubernetesObject & { spec?: unknown; status?: unknown };
}

const KINDS = { Pod: 'pods', Service: 'services' } as const;
export type ObservedKind = keyof typeof KINDS;

/** Everything that was seen of a manager, as plain data. */
export interface ManagerRecord {
  target: HttpTarget;
  namespace: string;
  startedAt: number;
  calls: Call[];
  objects: ObjectEvent[];
  /** Ends of its process that nobody had asked for. */
  deaths: Death[];
  /** The manager's own output, as far as it is kept, and how many lines are not. */
  output: string[];
  outputLost: number;
  /** When the harness stalled. */
  stalls: Stall[];
}

export interface LaunchOptions {
  /** Part of the namespace's name, and of nothing else. */
  purpose: string;
  /** Instead of the documented rights. */
  rules?: PolicyRule[];
  /** It is left as it starts, and not told its namespace and kubeconfig. */
  unconfigured?: boolean;
}

/** A manager under observation. */
export interface LaunchedManager {
  readonly target: HttpTarget;
  readonly cluster: ClusterHandle;
  readonly namespace: string;
  /** The workload image, which obeys its environment. */
  readonly image: string;
  /** Path of the kubeconfig with its rights. */
  readonly kubeconfig: string;
  /** Folder of its own, where further files may be put. */
  readonly folder: string;
  readonly objects: ObjectEvent[];
  readonly calls: Call[];
  /** The proxy by which it reaches the API server: what it asked for there, faults, rights. */
  readonly access: TargetAccess;
  /**
   * Calls it; one that has died is started again first. What came of the call is recorded, and nothing of it is thrown.
   */
  call<Name extends OperationName>(name: Name, input: Inputs[Name], options?: CallOptions): Promise<Call<Name>>;
  /** Waits until `accept` gives something at an event of an object; undefined when it has not in time. */
  until<R>(accept: () => R | undefined, deadlineSeconds: number): Promise<R | undefined>;
  /** Ends its process as a kubelet does, and starts it again. @returns false when it did not become ready */
  restart(): Promise<boolean>;
  /** Waits for an end of its process that the last call may have brought about. */
  settle(): Promise<void>;
  record(): ManagerRecord;
}

/**
 * Starts the manager with its documented rights in a namespace of its own, under watches that were opened before; gives
 * it to `act`, and ends it whatever happens.
 *
 * @throws NotTestable when it does not start, or cannot be told its configuration
 */
export function withSessionManager<R>(
  t: RequirementContext,
  options: LaunchOptions,
  act: (manager: LaunchedManager) => Promise<R>,
): Promise<R> {
  const { podSecurity } = sessionManagerTarget(t);
  return t.withNamespace(`manager ${options.purpose}`, podSecurity, (namespace) =>
    launched(t, namespace, options, act),
  );
}

async function launched<R>(
  t: RequirementContext,
  namespace: string,
  options: LaunchOptions,
  act: (manager: LaunchedManager) => Promise<R>,
): Promise<R> {
  const target = sessionManagerTarget(t);
  await using stack = new AsyncDisposableStack();
  const [cluster, image, folder, port, secondPort] = await Promise.all([
    t.cluster(),
    t.image('workload'),
    mkdtemp(join(tmpdir(), 'conformance-session-manager-')),
    freePort(),
    freePort(),
  ]);
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const heartbeat = new Heartbeat('the harness').start();
  stack.defer(() => heartbeat.stop());
  const access = await t.targetAccess({
    namespace,
    serviceAccount: SERVICE_ACCOUNT,
    rules: options.rules ?? [...target.rules.namespaced, ...target.rules.undocumented],
    clusterRules: target.rules.cluster,
  });
  stack.defer(() => access.close());
  const changes = new Changes();
  const objects: ObjectEvent[] = [];
  await watchObjects(t, cluster, namespace, stack, (event) => {
    objects.push(event);
    changes.notify();
  });
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, access.kubeConfig, { mode: 0o600 });
  const clusterCa = join(folder, 'ca.crt');
  await writeFile(clusterCa, certificateAuthorityOf(access.kubeConfig));
  const token = randomBytes(24).toString('hex');
  const values = {
    ...{ port, secondPort, folder, kubeconfig, clusterCa, namespace, image, token },
    ...{ workload: workloadOf(t, 'http'), 'target.folder': target.folder },
  };
  const client = httpClient({ target, address: `http://127.0.0.1:${port}`, values: { token }, signal: t.signal });
  const startedAt = Date.now();
  const manager = new CalledManager(target, client, () => startProcess(target, folder, values));
  stack.defer(() => manager.stop());
  if (!(await manager.start())) {
    throw new NotTestable(`the session manager cannot be called: ${manager.whyNotReady()}`);
  }
  const call: LaunchedManager['call'] = (name, input, callOptions) => manager.call(name, input, callOptions);
  if (options.unconfigured !== true && target.http.operations.configure !== undefined) {
    const configured = await call('configure', { enabled: true, namespace, kubeconfig });
    if (configured.status === undefined || configured.status >= 300) {
      throw new NotTestable(
        `the session manager does not take its configuration (http.operations.configure of ${target.file}): ${configured.silence ?? `${configured.status} ${configured.text}`}`,
      );
    }
  }
  return await act({
    target,
    cluster,
    namespace,
    image,
    kubeconfig,
    folder,
    objects,
    calls: manager.calls,
    access,
    call,
    until: (accept, deadlineSeconds) => changes.until(accept, deadlineSeconds, t.signal),
    restart: () => manager.restart(),
    settle: () => manager.settle(),
    record: () => ({
      target,
      namespace,
      startedAt,
      calls: manager.calls,
      objects,
      deaths: manager.deaths,
      output: manager.output(),
      outputLost: manager.outputLost(),
      stalls: heartbeat.stalls(),
    }),
  });
}

/** Watches the objects of the kinds that a manager makes. */
async function watchObjects(
  t: RequirementContext,
  cluster: ClusterHandle,
  namespace: string,
  stack: AsyncDisposableStack,
  onEvent: (event: ObjectEvent) => void,
): Promise<void> {
  for (const kind of Object.keys(KINDS) as ObservedKind[]) {
    const path = `/api/v1/namespaces/${namespace}/${KINDS[kind]}`;
    const recorder = await Recorder.open<KubernetesObject>(cluster, path, {
      signal: t.signal,
      onEvent: ({ at, type, object }) => {
        const { managedFields: _, ...metadata } = object.metadata ?? {};
        onEvent({ at: at.getTime(), type, kind, object: { ...object, metadata } });
      },
    });
    stack.defer(() => recorder.close());
  }
}

/** PEM of the certificates by which the API server of a kubeconfig is known; empty where it names none. */
function certificateAuthorityOf(kubeConfig: string): string {
  const config = new KubeConfig();
  config.loadFromString(kubeConfig);
  return Buffer.from(config.getCurrentCluster()?.caData ?? '', 'base64').toString();
}

/**
 * Makes pods that an observation is about.
 *
 * @throws NotTestable where the manager does not make one: without it there is nothing to be seen
 */
export async function createPods(
  { call, target }: Pick<LaunchedManager, 'call' | 'target'>,
  pods: Inputs['createPod'][],
): Promise<void> {
  const made = await Promise.all(pods.map((pod) => call('createPod', pod)));
  const failed = made.find((one) => !isSuccess(one));
  if (failed !== undefined) {
    throw new NotTestable(
      `the session manager does not create the pod that this is about (http.operations.createPod of ${target.file}): ${describeCall(failed)}`,
    );
  }
}
