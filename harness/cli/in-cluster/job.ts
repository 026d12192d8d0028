import type { V1EnvVar, V1Job, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import { IN_CLUSTER } from '../../environment/cluster/kubeconfig/load.ts';
import { RESTRICTED_CONTAINER } from '../../probes/pods.ts';
import { FILES_FOLDER } from './files.ts';

export interface JobOptions {
  name: string;
  namespace: string;
  /** Image of ci/in-cluster. */
  image: string;
  serviceAccount: string;
  /** Pods that share the plan. */
  shards: number;
  /** Words of `conformance run`. */
  words: string[];
  /** Variables of the harness. */
  env: Record<string, string>;
  /** Files that go along, see files.ts. */
  files?: V1Volume;
  /** Secret with a kubeconfig of further clusters, in its key `config`. */
  kubeconfigSecret?: string;
}

/** Where the package is in the image of ci/in-cluster. */
const MAIN = '/conformance/node_modules/kube-agent-conformance/harness/cli/conformance.mjs';

/** Each pod counts from 0, and `--shard` from 1 (Kubernetes, "Indexed Job"). */
const SCRIPT = (shards: number): string =>
  `exec node ${MAIN} run "$@" --shard "$((JOB_COMPLETION_INDEX + 1))/${shards}"`;

const fieldOf = (name: string, fieldPath: string): { name: string; valueFrom: object } => ({
  name,
  valueFrom: { fieldRef: { fieldPath } },
});

const KUBECONFIG_FOLDER = '/kubeconfig';

/** The run works on the cluster of its pod, whatever the current context of the kubeconfig is. */
function kubeconfigOf(secretName: string): {
  args: string[];
  variable: V1EnvVar;
  mount: V1VolumeMount;
  volume: V1Volume;
} {
  const name = 'kubeconfig';
  return {
    args: ['--context', IN_CLUSTER],
    variable: { name: 'KUBECONFIG', value: `${KUBECONFIG_FOLDER}/config` },
    mount: { name, mountPath: KUBECONFIG_FOLDER, readOnly: true },
    volume: { name, secret: { secretName } },
  };
}

/**
 * The Indexed Job whose pods are the shards of a run. A pod that ends with a red verdict ends its own index alone
 * (`backoffLimitPerIndex`, Kubernetes 1.29), and no pod is started again: a verdict is not tried twice.
 */
export function jobOf(options: JobOptions): V1Job {
  const { name, namespace, image, serviceAccount, shards, words, env, files, kubeconfigSecret } = options;
  const kubeconfig = kubeconfigSecret === undefined ? undefined : kubeconfigOf(kubeconfigSecret);
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace, labels: { 'app.kubernetes.io/name': 'kube-agent-conformance' } },
    spec: {
      completionMode: 'Indexed',
      completions: shards,
      parallelism: shards,
      backoffLimitPerIndex: 0,
      template: {
        metadata: { labels: { 'app.kubernetes.io/name': 'kube-agent-conformance' } },
        spec: {
          serviceAccountName: serviceAccount,
          automountServiceAccountToken: true,
          restartPolicy: 'Never',
          // What a run made is removed before its pod ends.
          terminationGracePeriodSeconds: 120,
          securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
          containers: [
            {
              name: 'conformance',
              image,
              command: ['sh', '-c', SCRIPT(shards), 'conformance'],
              args: [
                ...words,
                ...(kubeconfig?.args ?? []),
                '--cluster',
                'kubeconfig',
                '--yes',
                '--report',
                '/tmp/report',
                '--publish',
                name,
              ],
              env: [
                { name: 'HOME', value: '/tmp' },
                ...(kubeconfig === undefined ? [] : [kubeconfig.variable]),
                // The harness's pods run stock Node, which its own image has.
                ...Object.entries({ KUBE_AGENT_CONFORMANCE_NODE_IMAGE: image, ...env }).map(([key, value]) => ({
                  name: key,
                  value,
                })),
                fieldOf('POD_NAME', 'metadata.name'),
                fieldOf('POD_NAMESPACE', 'metadata.namespace'),
                fieldOf('POD_UID', 'metadata.uid'),
                fieldOf('JOB_UID', "metadata.labels['batch.kubernetes.io/controller-uid']"),
              ],
              resources: { requests: { cpu: '500m', memory: '512Mi' }, limits: { memory: '2Gi' } },
              securityContext: RESTRICTED_CONTAINER,
              volumeMounts: [
                { name: 'tmp', mountPath: '/tmp' },
                ...(files === undefined ? [] : [{ name: files.name, mountPath: FILES_FOLDER, readOnly: true }]),
                ...(kubeconfig === undefined ? [] : [kubeconfig.mount]),
              ],
            },
          ],
          volumes: [
            { name: 'tmp', emptyDir: {} },
            ...(files === undefined ? [] : [files]),
            ...(kubeconfig === undefined ? [] : [kubeconfig.volume]),
          ],
        },
      },
    },
  };
}
