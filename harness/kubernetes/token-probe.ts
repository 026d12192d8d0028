import type { V1Container, V1Pod, V1PodSpec, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import type { FileObservations } from '../../fixtures/workloads/token-probe/probe.ts';
import { bundleWorkload } from '../environment/workloads.ts';
import type { RequirementContext } from '../run/context.ts';
import { DeadlineExceeded, HarnessError, NotTestable } from '../run/errors.ts';

export type { FileObservations } from '../../fixtures/workloads/token-probe/probe.ts';

/** The projected tokens of one volume: file name → audience. */
export type TokenVolume = Record<string, string>;

export interface ProbePodOptions {
  name: string;
  serviceAccount: string;
  /** Volumes by name, mounted at `/var/run/secrets/tokens/NAME`. */
  volumes: Record<string, TokenVolume>;
}

/** A pod in which a probe watches token files (fixtures/workloads/token-probe), read through the API server's pod proxy. */
export interface ProbePod {
  name: string;
  namespace: string;
  /** The pod when it became Ready. */
  pod: V1Pod;
  path(volume: string, file: string): string;
  observations(): Promise<FileObservations[]>;
  /** A whole token that the probe saw; it must not leave the process. */
  token(sha256: string): Promise<string>;
}

const PORT = 8081;
const BUNDLE = 'token-probe';
const TOKENS_FOLDER = '/var/run/secrets/tokens';
/** Where Kubernetes itself mounts a pod's API token. */
export const API_TOKEN_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';
/** What the harness asks for: Kubernetes' minimum. */
export const ASKED_SECONDS = 600;

/** Security settings under which every pod of the harness runs: Pod Security `restricted`, read-only root file system. */
export const RESTRICTED_POD = {
  runAsNonRoot: true,
  runAsUser: 1000,
  fsGroup: 1000,
  seccompProfile: { type: 'RuntimeDefault' },
};
export const RESTRICTED_CONTAINER = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

/** How long a pod of the harness's own may take to start, also where many of them do so on a small machine. */
const START_SECONDS = 120;

/** Pods of one worker that start at the same time at most: a node that starts a hundred at once starts none of them in time. */
const STARTING_AT_ONCE = 6;
let starting = 0;
const queue: (() => void)[] = [];

/** Creates a pod and waits by `ready`, when it is its turn. */
async function startPod<T>(
  t: RequirementContext,
  namespace: string,
  pod: V1Pod & { metadata: { name: string } },
  ready: (name: string) => Promise<T>,
): Promise<T> {
  const { core } = await t.cluster();
  if (starting >= STARTING_AT_ONCE) {
    await new Promise<void>((resolve) => {
      queue.push(resolve);
    });
  }
  starting += 1;
  try {
    await core.createNamespacedPod({ namespace, body: pod });
    return await ready(pod.metadata.name);
  } finally {
    starting -= 1;
    queue.shift()?.();
  }
}

/** One container of the workload image under `restricted`. */
function podSpec(image: string, serviceAccountName: string, container: Omit<V1Container, 'image'>): V1PodSpec {
  return {
    serviceAccountName,
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 5,
    securityContext: RESTRICTED_POD,
    containers: [
      {
        image,
        imagePullPolicy: 'IfNotPresent',
        resources: { requests: { cpu: '10m', memory: '32Mi' }, limits: { memory: '256Mi' } },
        securityContext: RESTRICTED_CONTAINER,
        ...container,
      },
    ],
  };
}

/** Starts a pod that does nothing until it is told to end, and ends at once then. @throws NotTestable when it does not run */
export async function startIdlePod(
  t: RequirementContext,
  namespace: string,
  name: string,
  serviceAccount: string,
): Promise<V1Pod> {
  const cluster = await t.cluster();
  const spec = podSpec(cluster.workloadImage, serviceAccount, {
    name: 'idle',
    command: ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 1; done'],
  });
  return startPod(t, namespace, { metadata: { name }, spec }, () => cluster.podReady(namespace, name, START_SECONDS));
}

/**
 * Runs a shell script in a pod to its end.
 *
 * @param automountServiceAccountToken what the pod says of the API token; absent: nothing
 * @returns the exit code
 * @throws NotTestable when it does not end in time
 */
export async function runInPod(
  t: RequirementContext,
  namespace: string,
  name: string,
  options: { serviceAccount: string; script: string; automountServiceAccountToken?: boolean },
): Promise<number> {
  const cluster = await t.cluster();
  const { automountServiceAccountToken } = options;
  const spec: V1PodSpec = {
    ...podSpec(cluster.workloadImage, options.serviceAccount, {
      name: 'script',
      command: ['sh', '-c', options.script],
    }),
    ...(automountServiceAccountToken === undefined ? {} : { automountServiceAccountToken }),
  };
  return startPod(t, namespace, { metadata: { name }, spec }, async () => {
    try {
      return await cluster.watchPod(
        namespace,
        name,
        ({ object }) => object.status?.containerStatuses?.[0]?.state?.terminated?.exitCode,
        { what: `pod ${namespace}/${name} to end`, deadlineSeconds: START_SECONDS },
      );
    } catch (error) {
      throw error instanceof DeadlineExceeded ? new NotTestable(error.message) : error;
    }
  });
}

function tokenVolume(name: string, tokens: TokenVolume): V1Volume {
  return {
    name,
    projected: {
      sources: Object.entries(tokens).map(([path, audience]) => ({
        serviceAccountToken: { path, audience, expirationSeconds: ASKED_SECONDS },
      })),
    },
  };
}

/** Puts the probe's code into a namespace, once. */
async function installBundle(t: RequirementContext, namespace: string): Promise<void> {
  await t.shared(`bundle ${BUNDLE} in ${namespace}`, async () => {
    const { core } = await t.cluster();
    await core.createNamespacedConfigMap({
      namespace,
      body: { metadata: { name: BUNDLE }, data: { 'main.mjs': await bundleWorkload(BUNDLE) } },
    });
  });
}

/**
 * Starts a probe pod and waits until it is Ready. The ServiceAccount must exist.
 *
 * @throws NotTestable when the cluster does not run it
 */
export async function startProbePod(
  t: RequirementContext,
  namespace: string,
  options: ProbePodOptions,
): Promise<ProbePod> {
  const cluster = await t.cluster();
  await installBundle(t, namespace);
  const volumes = Object.entries(options.volumes);
  const path = (volume: string, file: string): string => `${TOKENS_FOLDER}/${volume}/${file}`;
  const files = volumes.flatMap(([volume, tokens]) => Object.keys(tokens).map((file) => path(volume, file)));
  const mounts: V1VolumeMount[] = volumes.map(([name]) => ({
    name,
    mountPath: `${TOKENS_FOLDER}/${name}`,
    readOnly: true,
  }));
  const pod = await startPod(
    t,
    namespace,
    {
      metadata: { name: options.name },
      spec: {
        ...podSpec(cluster.workloadImage, options.serviceAccount, {
          name: 'probe',
          command: ['node', '/app/main.mjs'],
          env: [
            { name: 'TOKEN_PROBE_FILES', value: files.join(',') },
            // Long enough for some reads also where the machine is busy with other things.
            { name: 'TOKEN_PROBE_BURST_MS', value: '1000' },
            { name: 'PORT', value: String(PORT) },
          ],
          ports: [{ containerPort: PORT }],
          readinessProbe: { httpGet: { path: '/healthz', port: PORT }, periodSeconds: 1 },
          volumeMounts: [{ name: 'app', mountPath: '/app', readOnly: true }, ...mounts],
        }),
        volumes: [
          { name: 'app', configMap: { name: BUNDLE } },
          ...volumes.map(([name, tokens]) => tokenVolume(name, tokens)),
        ],
      },
    },
    (name) => cluster.podReady(namespace, name, START_SECONDS),
  );
  const get = async <T>(path: string): Promise<T> => {
    const response = await cluster.podFetch(namespace, options.name, PORT, path);
    if (!response.ok) {
      throw new HarnessError(
        `the probe in ${namespace}/${options.name} answered ${response.status}: ${await response.text()}`,
      );
    }
    return (await response.json()) as T;
  };
  return {
    name: options.name,
    namespace,
    pod,
    path,
    observations: async () => (await get<{ files: FileObservations[] }>('/observations')).files,
    async token(sha256) {
      const response = await cluster.podFetch(namespace, options.name, PORT, `/tokens/${sha256}`);
      if (!response.ok) {
        throw new HarnessError(
          `the probe in ${namespace}/${options.name} does not know the token ${sha256.slice(0, 12)}`,
        );
      }
      return response.text();
    },
  };
}

/** Creates a ServiceAccount; with `automount` given, it says so of its pods. */
export async function createServiceAccount(
  t: RequirementContext,
  namespace: string,
  name: string,
  automount?: boolean,
): Promise<void> {
  const { core } = await t.cluster();
  await core.createNamespacedServiceAccount({
    namespace,
    body: { metadata: { name }, ...(automount === undefined ? {} : { automountServiceAccountToken: automount }) },
  });
}
