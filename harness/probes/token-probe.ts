import type { V1Pod, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import type { FileObservations } from '../../fixtures/workloads/token-probe/probe.ts';
import { HarnessError } from '../core/errors.ts';
import type { RequirementContext } from '../rpc/context.ts';
import { podSpec, RESTRICTED_POD, START_SECONDS, startInTurn } from './pods.ts';
import { installBundle } from './workload-pod.ts';

export type { FileObservations } from '../../fixtures/workloads/token-probe/probe.ts';

/** The projected tokens of one volume: file name → audience. */
export type TokenVolume = Record<string, string>;

export interface ProbePodOptions {
  name: string;
  serviceAccount: string;
  /** Volumes by name, mounted at `/var/run/secrets/tokens/NAME`. */
  volumes: Record<string, TokenVolume>;
  /** What is asked for each token, in seconds; default {@link ASKED_SECONDS}. */
  askedSeconds?: number;
  /** `defaultMode` of the volumes; default: Kubernetes' own. */
  defaultMode?: number;
  /** True where the pod has no `fsGroup`. */
  withoutGroup?: boolean;
  /** True where the pod mounts its API token too, and the probe watches it. */
  apiToken?: boolean;
}

/**
 * A pod in which a probe watches token files (fixtures/workloads/token-probe), read through the API server's pod proxy.
 */
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

function tokenVolume(name: string, tokens: TokenVolume, options: ProbePodOptions): V1Volume {
  const { askedSeconds: expirationSeconds = ASKED_SECONDS, defaultMode } = options;
  return {
    name,
    projected: {
      ...(defaultMode === undefined ? {} : { defaultMode }),
      sources: Object.entries(tokens).map(([path, audience]) => ({
        serviceAccountToken: { path, audience, expirationSeconds },
      })),
    },
  };
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
  await installBundle(t, namespace, BUNDLE);
  const volumes = Object.entries(options.volumes);
  const path = (volume: string, file: string): string => `${TOKENS_FOLDER}/${volume}/${file}`;
  const files = [
    ...volumes.flatMap(([volume, tokens]) => Object.keys(tokens).map((file) => path(volume, file))),
    ...(options.apiToken === true ? [`${API_TOKEN_FOLDER}/token`] : []),
  ];
  const { fsGroup, ...withoutGroup } = RESTRICTED_POD;
  const mounts: V1VolumeMount[] = volumes.map(([name]) => ({
    name,
    mountPath: `${TOKENS_FOLDER}/${name}`,
    readOnly: true,
  }));
  const pod = await startInTurn(
    cluster,
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
        securityContext: options.withoutGroup === true ? withoutGroup : { ...withoutGroup, fsGroup },
        ...(options.apiToken === true ? { automountServiceAccountToken: true } : {}),
        volumes: [
          { name: 'app', configMap: { name: BUNDLE } },
          ...volumes.map(([name, tokens]) => tokenVolume(name, tokens, options)),
        ],
      },
    },
    () => cluster.podReady(namespace, options.name, START_SECONDS),
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
