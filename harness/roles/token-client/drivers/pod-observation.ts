import { setTimeout as delay } from 'node:timers/promises';
import type { V1Pod } from '@kubernetes/client-node';
import type { Stall } from '../../../../fixtures/workloads/lib/heartbeat.ts';
import type { RemainingFile } from '../../../../fixtures/workloads/token-probe/files.ts';
import type { Listener } from '../../../../fixtures/workloads/token-probe/listeners.ts';
import type { FileObservations } from '../../../../fixtures/workloads/token-probe/probe.ts';
import { DeadlineExceeded, describeError, HarnessError } from '../../../core/errors.ts';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import type { Observer } from '../../../probes/observer.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { SessionDriver } from '../driver.ts';
import { type ClientPodFacts, isSameProcess, type ProcessIdentity } from '../record.ts';
import { ContainerLog } from './container-log.ts';
import type { SendRequest } from './http-call.ts';
import { secretsOf } from './pod-secrets.ts';

/** A pod in which a token client runs, with a token probe beside it that watches the same files. */
export interface ClientPod {
  namespace: string;
  name: string;
  /** The container that is the client. */
  container: string;
  probePort: number;
  /** Folders that the client may write to, as both containers see them. */
  writableFolders: string[];
}

/** Where the admission plugin ServiceAccount mounts its token (Kubernetes, "Configure Service Accounts for Pods"). */
const API_TOKEN_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

function factsOf({ metadata, spec, status }: V1Pod): ClientPodFacts {
  return {
    address: status?.podIP ?? '',
    createdAt: new Date(metadata?.creationTimestamp ?? 0).toISOString(),
    hasApiToken: (spec?.containers ?? []).some(({ volumeMounts = [] }) =>
      volumeMounts.some(({ mountPath }) => mountPath === API_TOKEN_FOLDER),
    ),
  };
}

/**
 * How late the kubelet may report that a container ended, in seconds: it relists its containers once a second (generic
 * PLEG), restarts the container, and writes the pod's status after that; each step takes longer on a busy node. Nothing
 * in the API says that a status is up to date, since an unchanged one is not written again.
 */
const STATUS_DELAY_SECONDS = 10;

/** What a pod's status says of the process in one of its containers. */
export function identityOf(pod: V1Pod, container: string): ProcessIdentity {
  const status = pod.status?.containerStatuses?.find(({ name }) => name === container);
  const instance = status?.state?.running === undefined ? undefined : status.containerID;
  return {
    podUid: pod.metadata?.uid ?? '',
    restarts: status?.restartCount ?? 0,
    ...(instance === undefined ? {} : { instance }),
    pod: factsOf(pod),
  };
}

/**
 * The process in a container once the kubelet has had the time to report a restart. It watches the pod and resolves at
 * the first sign that the process known before is gone: another pod, a higher restart count, another container, or none
 * that runs. Otherwise it resolves with what it saw last, {@link STATUS_DELAY_SECONDS} later: a status that has not
 * changed by then is taken for current.
 *
 * @param known the process as it was before what may have ended it
 */
export async function identityAfter(
  cluster: Pick<ClusterHandle, 'watchPod'>,
  { namespace, name, container }: Pick<ClientPod, 'namespace' | 'name' | 'container'>,
  known: ProcessIdentity,
  deadlineSeconds = STATUS_DELAY_SECONDS,
): Promise<ProcessIdentity> {
  let last = known;
  try {
    return await cluster.watchPod(
      namespace,
      name,
      ({ type, object }) => {
        last = identityOf(object, container);
        // Its uid stays the same: whoever compares it must see that the process is gone.
        if (type === 'DELETED') {
          return { ...last, podUid: `${last.podUid} (deleted)` };
        }
        return isSameProcess(known, last) ? undefined : last;
      },
      { what: `a restart of the container ${container} of pod ${namespace}/${name}`, deadlineSeconds },
    );
  } catch (error) {
    if (!(error instanceof DeadlineExceeded)) {
      throw error;
    }
    return last;
  }
}

type PodDriver = Omit<
  SessionDriver,
  | 'providers'
  | 'latePath'
  | 'simulated'
  | 'capabilities'
  | 'configurable'
  | 'tokenRequest'
  | 'timeLimitMs'
  | 'defaultLifeSeconds'
  | 'reloadSeconds'
  | 'call'
>;

/** Everything of a driver that does not depend on how the client is called. */
export function podDriver(
  t: RequirementContext,
  cluster: ClusterHandle,
  client: ClientPod,
  observer: Observer,
): PodDriver {
  const { namespace, name, container } = client;
  const probe = async (path: string, body?: object): Promise<unknown> => {
    const init =
      body === undefined
        ? {}
        : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const response = await cluster.podFetch(namespace, name, client.probePort, path, init);
    if (!response.ok) {
      throw new HarnessError(`the token probe answers ${response.status} to ${path}: ${await response.text()}`);
    }
    return response.json();
  };
  const read = (): Promise<V1Pod> => cluster.core.readNamespacedPod({ namespace, name });
  const log = new ContainerLog(cluster, client).follow();
  return {
    async observations() {
      return ((await probe('/observations')) as { files: FileObservations[] }).files;
    },
    clockAheadMs: () => observer.clockAheadMs(),
    async stalls() {
      const [beside, observed] = await Promise.all([
        probe('/stalls') as Promise<{ stalls: Stall[] }>,
        observer.stalls(),
      ]);
      return [...beside.stalls, ...observed];
    },
    async pulse() {
      await probe('/pulse');
    },
    records: () => observer.records(),
    refuseNext: (provider) => observer.refuseNext(provider),
    act: (provider, act, lifeSeconds) => observer.act(provider, act, lifeSeconds),
    async copy(from, to) {
      // It is early in the session, and the log is short.
      await Promise.all([probe('/copy', { from, to }), log.look()]);
    },
    async pad(from, to) {
      await probe('/pad', { from, to });
    },
    async link(from, to) {
      await probe('/link', { from, to });
    },
    async project(from, to) {
      await probe('/project', { from, to });
    },
    async remaining() {
      const folders = await Promise.all(
        client.writableFolders.map((folder) => probe(`/remaining?path=${encodeURIComponent(folder)}`)),
      );
      return folders.flatMap((folder) => (folder as { files: RemainingFile[] }).files);
    },
    async listeners() {
      return ((await probe('/listeners')) as { listeners: Listener[] }).listeners;
    },
    async identity() {
      return identityOf(await read(), container);
    },
    identityAfter(known) {
      t.progress(`watches the pod ${name} for a restart that the kubelet has not reported yet`);
      return identityAfter(cluster, client, known);
    },
    // The right to run commands in pods is not asked of the owner of a cluster for this.
    ...(cluster.owned ? { finish: () => finish(t, cluster, client) } : {}),
    output: () => log.read(),
    async secrets() {
      return secretsOf(await read());
    },
    until: (instant) => delay(Math.max(0, instant.getTime() - Date.now()), undefined, { signal: t.signal }),
    progress: (message) => t.progress(message),
  };
}

/** Asks the client's process, the first one of its container, to end; waits until the kubelet has reported that. */
async function finish(t: RequirementContext, cluster: ClusterHandle, client: ClientPod): Promise<void> {
  const { namespace, name, container } = client;
  const known = identityOf(await cluster.core.readNamespacedPod({ namespace, name }), container);
  try {
    await cluster.exec(namespace, name, container, ['/bin/sh', '-c', 'kill -TERM 1']);
  } catch (error) {
    t.progress(`what the client in the pod ${name} writes at its end is not seen: ${describeError(error)}`);
    return;
  }
  await identityAfter(cluster, client, known);
}

/** The way to the client's pod, through the API server's proxy. */
export function requestsTo(
  cluster: ClusterHandle,
  { namespace, name }: Pick<ClientPod, 'namespace' | 'name'>,
  port: number,
): SendRequest {
  return (path, init) => cluster.podFetch(namespace, name, port, path, init);
}
