import { setTimeout as delay } from 'node:timers/promises';
import { ApiException, type V1Pod } from '@kubernetes/client-node';
import type { Stall } from '../../../../fixtures/workloads/lib/heartbeat.ts';
import type { RemainingFile } from '../../../../fixtures/workloads/token-probe/files.ts';
import type { Listener } from '../../../../fixtures/workloads/token-probe/listeners.ts';
import type { FileObservations } from '../../../../fixtures/workloads/token-probe/probe.ts';
import { HarnessError } from '../../../core/errors.ts';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import type { Observer } from '../../../probes/observer.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { SessionDriver } from '../driver.ts';
import type { ClientPodFacts } from '../record.ts';
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

type PodDriver = Omit<
  SessionDriver,
  'providers' | 'latePath' | 'simulated' | 'capabilities' | 'timeLimitMs' | 'defaultLifeSeconds' | 'call'
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
    if (!response.ok)
      throw new HarnessError(`the token probe answers ${response.status} to ${path}: ${await response.text()}`);
    return response.json();
  };
  const read = (): Promise<V1Pod> => cluster.core.readNamespacedPod({ namespace, name });
  const restartsOf = (pod: V1Pod): number =>
    pod.status?.containerStatuses?.find((status) => status.name === container)?.restartCount ?? 0;
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
    act: (provider, act) => observer.act(provider, act),
    async copy(from, to) {
      await probe('/copy', { from, to });
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
      const pod = await read();
      return { podUid: pod.metadata?.uid ?? '', restarts: restartsOf(pod), pod: factsOf(pod) };
    },
    async output() {
      const log = { namespace, name, container };
      const parts =
        restartsOf(await read()) > 0 ? [await cluster.core.readNamespacedPodLog({ ...log, previous: true })] : [];
      // The client of the API gives an empty log as undefined.
      const last = await cluster.core.readNamespacedPodLog(log).catch((error: unknown) => {
        // A container that waits for its restart has no log yet.
        if (error instanceof ApiException && error.code === 400) return '';
        throw error;
      });
      return [...parts, last].map((part) => part ?? '').join('\n');
    },
    async secrets() {
      return secretsOf(await read());
    },
    until: (instant) => delay(Math.max(0, instant.getTime() - Date.now()), undefined, { signal: t.signal }),
    progress: (message) => t.progress(message),
  };
}

/** The way to the client's pod, through the API server's proxy. */
export function requestsTo(
  cluster: ClusterHandle,
  { namespace, name }: Pick<ClientPod, 'namespace' | 'name'>,
  port: number,
): SendRequest {
  return (path, init) => cluster.podFetch(namespace, name, port, path, init);
}
