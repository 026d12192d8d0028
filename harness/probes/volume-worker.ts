import type { V1Affinity, V1Pod, V1PodSpec, V1Toleration } from '@kubernetes/client-node';
import type { VolumeOperations } from '../../fixtures/workloads/volume-worker/operations.ts';
import { HarnessError, Violation } from '../core/errors.ts';
import type { RequirementContext } from '../rpc/context.ts';
import { podSpec, RESTRICTED_POD, START_SECONDS, startInTurn } from './pods.ts';
import { installBundle } from './workload-pod.ts';

export type { VolumeOperations } from '../../fixtures/workloads/volume-worker/operations.ts';

/** What a pod mounts of a claim. */
export interface ClaimMount {
  claim: string;
  mountPath: string;
  subPath?: string;
  readOnly?: boolean;
  /** The pod's volume is `readOnly`, and with it every mount of it. */
  readOnlyClaim?: boolean;
}

export interface VolumeWorkerOptions {
  name: string;
  mounts: ClaimMount[];
  /** Name of a pod on whose node it has to run. */
  sameNodeAs?: string;
  /** Name of the node on which it has to run. */
  node?: string;
  tolerations?: V1Toleration[];
}

/** A pod that works on volumes at the harness's orders (fixtures/workloads/volume-worker). */
export interface VolumeWorkerPod {
  name: string;
  namespace: string;
  pod: V1Pod;
  /** @throws Violation when the operation failed in the pod for another reason than those that are answers */
  do<Name extends keyof VolumeOperations>(
    operation: Name,
    request: VolumeOperations[Name]['request'],
  ): Promise<VolumeOperations[Name]['response']>;
}

const PORT = 8081;

/**
 * Longest request, as it goes in a URL. It has no body: Go's HTTP/1 server closes that as it begins to answer, and the
 * API server's proxy, which may still look for its end, cuts answers of more than some kilobytes then
 * (golang/go#40747).
 */
const LONGEST_REQUEST = 2_048;
const BUNDLE = 'volume-worker';
const HOST_NAME = 'kubernetes.io/hostname';

/**
 * Uid, gid and fsGroup of an agent's pod as the Paperclip adapter documents it; a volume whose root is right is left as
 * it is.
 */
const AGENT = { ...RESTRICTED_POD, runAsGroup: 1000, fsGroupChangePolicy: 'OnRootMismatch' };

/** Volumes and mounts of a pod: one volume for each claim and way to use it. */
export function claimVolumes(mounts: ClaimMount[]): {
  volumes: NonNullable<V1PodSpec['volumes']>;
  volumeMounts: { name: string; mountPath: string; subPath?: string; readOnly?: boolean }[];
} {
  const nameOf = ({ claim, readOnlyClaim }: ClaimMount): string => (readOnlyClaim ? `${claim}-read-only` : claim);
  const volumes = new Map(
    mounts.map((mount) => [
      nameOf(mount),
      {
        name: nameOf(mount),
        persistentVolumeClaim: { claimName: mount.claim, ...(mount.readOnlyClaim ? { readOnly: true } : {}) },
      },
    ]),
  );
  return {
    volumes: [...volumes.values()],
    volumeMounts: mounts.map((mount) => ({
      name: nameOf(mount),
      mountPath: mount.mountPath,
      ...(mount.subPath === undefined ? {} : { subPath: mount.subPath }),
      ...(mount.readOnly ? { readOnly: true } : {}),
    })),
  };
}

function affinity({ sameNodeAs, node }: VolumeWorkerOptions): V1Affinity {
  return {
    ...(node === undefined
      ? {}
      : {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [node] }] }],
            },
          },
        }),
    ...(sameNodeAs === undefined
      ? {}
      : {
          podAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: [
              { labelSelector: { matchLabels: { worker: sameNodeAs } }, topologyKey: HOST_NAME },
            ],
          },
        }),
  };
}

/**
 * Starts a worker and waits until it is Ready.
 *
 * @throws NotTestable when the cluster does not run it
 */
export async function startVolumeWorker(
  t: RequirementContext,
  namespace: string,
  options: VolumeWorkerOptions,
): Promise<VolumeWorkerPod> {
  const cluster = await t.cluster();
  await installBundle(t, namespace, BUNDLE);
  const { name, mounts, tolerations } = options;
  const { volumes, volumeMounts } = claimVolumes(mounts);
  const spec: V1PodSpec = {
    ...podSpec(cluster.workloadImage, 'default', {
      name: 'worker',
      command: ['node', '/app/main.mjs'],
      env: [{ name: 'PORT', value: String(PORT) }],
      ports: [{ containerPort: PORT }],
      readinessProbe: { httpGet: { path: '/healthz', port: PORT }, periodSeconds: 1 },
      volumeMounts: [{ name: 'app', mountPath: '/app', readOnly: true }, ...volumeMounts],
    }),
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 2,
    securityContext: AGENT,
    affinity: affinity(options),
    ...(tolerations === undefined ? {} : { tolerations }),
    volumes: [{ name: 'app', configMap: { name: BUNDLE } }, ...volumes],
  };
  const pod = await startInTurn(cluster, namespace, { metadata: { name, labels: { worker: name } }, spec }, () =>
    cluster.podReady(namespace, name, START_SECONDS),
  );
  return {
    name,
    namespace,
    pod,
    async do(operation, request) {
      const query = new URLSearchParams({ request: JSON.stringify(request) }).toString();
      if (query.length > LONGEST_REQUEST) {
        throw new HarnessError(
          `${operation} of a volume worker takes ${query.length} bytes; ${LONGEST_REQUEST} are allowed`,
        );
      }
      const response = await cluster.podFetch(namespace, name, PORT, `/${operation}?${query}`, { method: 'POST' });
      const text = await response.text();
      if (response.ok) {
        return JSON.parse(text) as never;
      }
      const message = errorOf(text);
      if (response.status === 500 && message !== undefined) {
        throw new Violation(`${operation} in the pod ${name} failed: ${message}`);
      }
      throw new HarnessError(
        `the worker in ${namespace}/${name} answered ${operation} with ${response.status}: ${text}`,
      );
    },
  };
}

/** The worker's own message for a failure; the API server's errors have another form. */
function errorOf(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    return typeof error === 'string' ? error : undefined;
  } catch {
    return undefined;
  }
}
