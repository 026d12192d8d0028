import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { KubeConfig, type KubernetesObject } from '@kubernetes/client-node';
import { Heartbeat, type Stall } from '../../../fixtures/workloads/lib/heartbeat.ts';
import { Changes } from '../../core/changes.ts';
import { HarnessError, NotTestable } from '../../core/errors.ts';
import type { PolicyRule } from '../../core/policy-rule.ts';
import type { ClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { Recorder } from '../../kubernetes/recorder.ts';
import type { OperationName } from '../../role-data/session-manager/target-file.ts';
import type { RequirementContext, TargetAccess } from '../../rpc/context.ts';
import { type Call, type CallOptions, describeCall, type Inputs, isSuccess } from './driver.ts';
import { httpClient } from './drivers/http.ts';
import { type Death, freePort, type ManagerProcess, startProcess } from './drivers/process.ts';
import { type HttpTarget, sessionManagerTarget, workloadOf } from './target.ts';

/** Name of the ServiceAccount that the manager's kubeconfig is for. */
const SERVICE_ACCOUNT = 'session-manager';

/** Beyond the time that a target documents for its start: a small machine is shared by many. */
const START_SLACK_SECONDS = 30;

/** After an answer that did not come its process may be about to end. */
const DYING_MS = 1_500;

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
  /** The manager's own output. */
  output: string[];
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
  for (const kind of Object.keys(KINDS) as ObservedKind[]) {
    const path = `/api/v1/namespaces/${namespace}/${KINDS[kind]}`;
    const recorder = await Recorder.open<KubernetesObject>(cluster, path, {
      signal: t.signal,
      onEvent: ({ at, type, object }) => {
        const { managedFields: _, ...metadata } = object.metadata ?? {};
        objects.push({ at: at.getTime(), type, kind, object: { ...object, metadata } });
        changes.notify();
      },
    });
    stack.defer(() => recorder.close());
  }
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
  const calls: Call[] = [];
  const deaths: Death[] = [];
  const output: string[] = [];
  const startedAt = Date.now();
  let running: ManagerProcess | undefined;
  const start = async (): Promise<boolean> => {
    running = startProcess(target, folder, values);
    return running.ready(client, target.startSeconds + START_SLACK_SECONDS);
  };
  /** What it said is kept; an end that nobody asked for is, too. */
  const bury = (): void => {
    output.push(...(running?.output ?? []));
    running = undefined;
  };
  stack.defer(async () => {
    await running?.stop();
  });
  const call: LaunchedManager['call'] = async (name, input, callOptions) => {
    if (running?.death !== undefined) {
      bury();
      await start();
    }
    const made = await client.call(name, input, callOptions);
    if (made.silence !== undefined && callOptions?.signal?.aborted !== true) {
      await Promise.race([running?.exited, delay(DYING_MS)]);
    }
    const death = running?.death;
    if (death !== undefined) {
      deaths.push(death);
      made.died = `its process ${death.how}; its last output: ${death.lastOutput.join(' / ')}`;
    }
    calls.push(made);
    return made;
  };
  if (!(await start())) {
    throw new NotTestable(`the session manager cannot be called: ${whyNotReady(target, running)}`);
  }
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
    calls,
    access,
    call,
    until: (accept, deadlineSeconds) => changes.until(accept, deadlineSeconds, t.signal),
    async restart() {
      await running?.stop();
      bury();
      return start();
    },
    record: () => ({
      target,
      namespace,
      startedAt,
      calls,
      objects,
      deaths,
      output: [...output, ...(running?.output ?? [])],
      stalls: heartbeat.stalls(),
    }),
  });
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
export async function createPods({ call }: Pick<LaunchedManager, 'call'>, pods: Inputs['createPod'][]): Promise<void> {
  const made = await Promise.all(pods.map((pod) => call('createPod', pod)));
  const failed = made.find((one) => !isSuccess(one));
  if (failed !== undefined) {
    throw new NotTestable(`the session manager does not create the pod that this is about: ${describeCall(failed)}`);
  }
}

function whyNotReady(target: HttpTarget, running: ManagerProcess | undefined): string {
  if (running === undefined) {
    throw new HarnessError('the session manager was not started');
  }
  const said = running.output.slice(-5).join(' / ') || 'nothing';
  const { death } = running;
  return death === undefined
    ? `GET ${target.start.ready} (start.ready of ${target.file}) was not answered 2xx within ${target.startSeconds + START_SLACK_SECONDS} s; its last output: ${said}`
    : `its process ${death.how} (start.command of ${target.file}); its last output: ${said}`;
}
