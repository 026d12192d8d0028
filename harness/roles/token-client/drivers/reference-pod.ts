import type { V1Pod, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import type { Observer } from '../../../probes/observer.ts';
import { bundleConfigMap, workloadPod } from '../../../probes/workload-pod.ts';
import { twinFor } from '../../../rpc/candidate.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { CallAnswer } from '../driver.ts';
import { callByRequest } from './http-call.ts';
import { requestsTo } from './pod-observation.ts';

/**
 * The reference token client, or the twin's variant of it, has this name: its container, its ServiceAccount, and its
 * pod where there is one.
 */
export const CLIENT_NAME = 'token-client';
const CLIENT_PORT = 8080;
export const PROBE_PORT = 8081;
export const CACHE_FOLDER = '/var/cache/token-client';
const CONFIG_FOLDER = '/etc/conformance';

/** The workload of the candidate's token client. */
export function workloadOf({ candidate }: RequirementContext): string {
  const variant = twinFor(candidate, 'token-client')?.tokenClient.variant;
  return variant === undefined ? CLIENT_NAME : `token-client-twins/${variant}`;
}

/** Puts into a namespace what every pod of the client there needs: its ServiceAccount, its code, and the probe's. */
export async function prepareForClient(
  t: RequirementContext,
  cluster: ClusterHandle,
  namespace: string,
): Promise<void> {
  await cluster.create([
    {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { namespace, name: CLIENT_NAME },
      automountServiceAccountToken: false,
    } as object,
    await bundleConfigMap(namespace, workloadOf(t)),
    await bundleConfigMap(namespace, 'token-probe'),
  ]);
}

/** The ConfigMap of a client's pod, of its name. */
export function clientConfigMap(
  observer: Observer,
  { namespace, pod, config }: { namespace: string; pod: string; config: object },
): object {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace, name: pod },
    data: { 'config.json': JSON.stringify(config), 'ca.crt': observer.ca },
  };
}

/** The client's pod: the client itself, and a probe beside it that watches token files and shares `shared` with it. */
export function clientPod(
  t: RequirementContext,
  cluster: ClusterHandle,
  observer: Observer,
  options: {
    namespace: string;
    pod: string;
    /** Token files that the probe watches. */
    files: string[];
    /** Mounted into both containers. */
    shared: V1VolumeMount[];
    /** Mounted into the client's alone. */
    own?: V1VolumeMount[];
    volumes: V1Volume[];
  },
): V1Pod {
  const { namespace, pod, files, shared, own = [], volumes } = options;
  return workloadPod({
    namespace,
    name: pod,
    image: cluster.workloadImage,
    serviceAccount: CLIENT_NAME,
    hostAliases: observer.hostAliases,
    containers: [
      {
        name: CLIENT_NAME,
        workload: workloadOf(t),
        port: CLIENT_PORT,
        env: {
          TOKEN_CLIENT_CONFIG: `${CONFIG_FOLDER}/config.json`,
          NODE_EXTRA_CA_CERTS: `${CONFIG_FOLDER}/ca.crt`,
          // What it writes is evaluated at the level at which it writes most (TR-30).
          LOG_LEVEL: 'debug',
        },
        volumeMounts: [{ name: 'config', mountPath: CONFIG_FOLDER, readOnly: true }, ...shared, ...own],
      },
      {
        name: 'token-probe',
        workload: 'token-probe',
        port: PROBE_PORT,
        env: { TOKEN_PROBE_FILES: files.join(','), TOKEN_PROBE_REACH: observer.reach, TOKEN_PROBE_LISTENERS: 'true' },
        volumeMounts: shared,
      },
    ],
    volumes: [{ name: 'config', configMap: { name: pod } }, ...volumes],
  });
}

/** Lets the client in a pod make one call; resolves to `undefined` when it has not answered within `patienceMs`. */
export function callClientPod(
  cluster: ClusterHandle,
  { namespace, pod, provider, patienceMs }: { namespace: string; pod: string; provider: string; patienceMs: number },
): Promise<CallAnswer | undefined> {
  const request = { method: 'POST', path: '/call', body: { provider } };
  const send = requestsTo(cluster, { namespace, name: pod }, CLIENT_PORT);
  return callByRequest(send, request, { values: {}, where: 'the call', patienceMs });
}
