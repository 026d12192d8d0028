import type { V1ConfigMap, V1Container, V1Pod, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import { bundleWorkload } from '../core/bundle.ts';
import type { ClusterHandle } from '../kubernetes/cluster-handle.ts';
import type { RequirementContext } from '../rpc/context.ts';
import { RESTRICTED_CONTAINER, RESTRICTED_POD, START_SECONDS, startInTurn } from './pods.ts';

interface WorkloadContainer {
  name: string;
  /** The workload that it runs, a folder of fixtures/workloads. */
  workload: string;
  port: number;
  env?: Record<string, string>;
  volumeMounts?: V1VolumeMount[];
}

export interface WorkloadPod {
  namespace: string;
  name: string;
  image: string;
  serviceAccount: string;
  containers: WorkloadContainer[];
  volumes?: V1Volume[];
  hostAliases?: { ip: string; hostnames: string[] }[];
}

/** Name of the ConfigMap that holds a workload's bundle. */
function bundleName(workload: string): string {
  return `bundle-${workload.replaceAll('/', '-')}`;
}

/** The ConfigMap with the one file of a workload. */
export async function bundleConfigMap(namespace: string, workload: string): Promise<V1ConfigMap> {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace, name: bundleName(workload) },
    data: { 'main.mjs': await bundleWorkload(workload) },
  };
}

/**
 * Puts a workload's one file into a namespace, once, as the ConfigMap of its name: for a pod that a requirement makes
 * itself.
 */
export async function installBundle(t: RequirementContext, namespace: string, workload: string): Promise<void> {
  await t.shared(`bundle ${workload} in ${namespace}`, async () => {
    const { core } = await t.cluster();
    await core.createNamespacedConfigMap({
      namespace,
      body: { metadata: { name: workload }, data: { 'main.mjs': await bundleWorkload(workload) } },
    });
  });
}

/** The volume with a workload's bundle. */
export function bundleVolume(workload: string): V1Volume {
  return { name: bundleName(workload), configMap: { name: bundleName(workload) } };
}

/**
 * A pod of stock Node that runs bundled workloads, one a container, and fulfils the Pod Security Standard `restricted`.
 * It is Ready when each answers `GET /healthz`. No API token is mounted.
 */
export function workloadPod(pod: WorkloadPod): V1Pod {
  const { namespace, name, image, serviceAccount, containers, volumes = [], hostAliases } = pod;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, labels: { app: name } },
    spec: {
      serviceAccountName: serviceAccount,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 2,
      securityContext: RESTRICTED_POD,
      ...(hostAliases === undefined ? {} : { hostAliases }),
      containers: containers.map((container) => workloadContainer(container, image)),
      volumes: [...[...new Set(containers.map(({ workload }) => workload))].map(bundleVolume), ...volumes],
    },
  };
}

/** A container of a bundled workload; the pod needs its {@link bundleVolume}. */
export function workloadContainer(
  { name, workload, port, env = {}, volumeMounts = [] }: WorkloadContainer,
  image: string,
): V1Container {
  return {
    name,
    image,
    imagePullPolicy: 'IfNotPresent',
    command: ['node', '/app/main.mjs'],
    env: Object.entries({ PORT: String(port), ...env }).map(([key, value]) => ({ name: key, value })),
    ports: [{ containerPort: port }],
    // Asked every second until it has started, and seldom after that: many such pods share a small machine.
    startupProbe: { httpGet: { path: '/healthz', port }, periodSeconds: 1, failureThreshold: START_SECONDS },
    readinessProbe: { httpGet: { path: '/healthz', port }, periodSeconds: 30 },
    resources: { requests: { cpu: '5m', memory: '32Mi' } },
    securityContext: RESTRICTED_CONTAINER,
    volumeMounts: [{ name: bundleName(workload), mountPath: '/app', readOnly: true }, ...volumeMounts],
  };
}

/**
 * Creates a pod when its turn has come, and waits until it is Ready.
 *
 * @throws NotTestable when it fails for good or is not Ready in time
 */
export function startWorkloadPod(cluster: ClusterHandle, pod: WorkloadPod): Promise<V1Pod> {
  const { namespace, name } = pod;
  return startInTurn(cluster, namespace, workloadPod(pod), () => cluster.podReady(namespace, name, START_SECONDS));
}
