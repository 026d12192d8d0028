import { stringify } from 'yaml';
import { API_SERVER_PORT } from '../../../core/names.ts';
import type { RunPki } from '../../../core/pki.ts';
import type { ClockSettings } from '../../../rpc/protocol.ts';
import { AUDIT_LOG } from '../audit-log.ts';
import { ADMISSION_POLICY_ARGUMENTS } from '../faults/admission-policies.ts';
import { CLUSTER_API_AUDIENCES, type ClusterHosts, CONFORMANCE_FOLDER, NODE_NAME } from './layout.ts';

const TLS_FOLDER = '/var/lib/rancher/k3s/server/tls';

const KUBELET_KUBECONFIG = `${CONFORMANCE_FOLDER}/kubelet.kubeconfig`;
const STATIC_TOKENS = `${CONFORMANCE_FOLDER}/tokens.csv`;
const AUDIT_POLICY_FILE = `${CONFORMANCE_FOLDER}/audit-policy.yaml`;

/** Every Kubernetes API call of a run can be read afterwards: metadata only, so that no token is in the log. */
const AUDIT_POLICY = stringify({
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [
    { level: 'None', users: [`system:node:${NODE_NAME}`, 'system:apiserver', 'system:kube-scheduler'] },
    { level: 'None', nonResourceURLs: ['/healthz*', '/livez*', '/readyz*'] },
    { level: 'Metadata' },
  ],
});

/** What the arguments of a server depend on. */
export interface ServerSettings {
  hosts: ClusterHosts;
  clock: ClockSettings;
  /** By which other nodes join. */
  agentToken: string;
  /** True where MutatingAdmissionPolicies are known. */
  admissionPolicies: boolean;
  /** More arguments of `server`. */
  serverArguments?: string[];
}

export function issuerOf({ apiServer }: ClusterHosts): string {
  return `https://${apiServer}:${API_SERVER_PORT}`;
}

/**
 * The command of the first node. On the accelerated clock its kubelet talks to the API server through the accelerator.
 */
export function serverCommand(settings: ServerSettings): string[] {
  const { hosts, agentToken, serverArguments = [] } = settings;
  return [
    'server',
    '--disable=traefik',
    '--disable=servicelb',
    '--disable=metrics-server',
    `--node-name=${NODE_NAME}`,
    `--tls-san=${hosts.apiServer}`,
    `--token=${agentToken}`,
    ...apiServerArguments(settings).map((argument) => `--kube-apiserver-arg=${argument}`),
    ...kubeletArguments(settings).map((argument) => `--kubelet-arg=${argument}`),
    ...serverArguments,
  ];
}

function apiServerArguments({ hosts, clock, admissionPolicies }: ServerSettings): string[] {
  const issuer = issuerOf(hosts);
  return [
    `service-account-issuer=${issuer}`,
    `service-account-jwks-uri=${issuer}/openid/v1/jwks`,
    `api-audiences=${CLUSTER_API_AUDIENCES.join(',')}`,
    // k3s switches anonymous requests off; an identity provider reads discovery and keys without credentials.
    'anonymous-auth=true',
    `audit-policy-file=${AUDIT_POLICY_FILE}`,
    `audit-log-path=${AUDIT_LOG}`,
    ...(admissionPolicies ? ADMISSION_POLICY_ARGUMENTS : []),
    ...(clock.kind === 'accelerated' ? [`token-auth-file=${STATIC_TOKENS}`] : []),
  ];
}

function kubeletArguments({ clock }: ServerSettings): string[] {
  const kubeconfig = clock.kind === 'accelerated' ? [`kubeconfig=${KUBELET_KUBECONFIG}`] : [];
  return [syncFrequency(clock), ...kubeconfig];
}

/** The argument of every kubelet: how often it looks whether a token is to be rotated. */
export function syncFrequency({ syncFrequencySeconds }: ClockSettings): string {
  return `sync-frequency=${syncFrequencySeconds}s`;
}

/**
 * The files of the first node: the cluster's certificates of the run's CA, and what the kubelet and the API server are
 * configured with.
 *
 * @param kubeletToken by which the kubelet is known on the accelerated clock
 */
export function serverFiles(
  pki: RunPki,
  hosts: ClusterHosts,
  kubeletToken: string,
): { target: string; content: string; mode?: number }[] {
  return [
    ...Object.entries(pki.clusterFiles).map(([name, content]) => ({
      target: `${TLS_FOLDER}/${name}`,
      content,
      mode: 0o600,
    })),
    { target: AUDIT_POLICY_FILE, content: AUDIT_POLICY },
    { target: `${CONFORMANCE_FOLDER}/ca.crt`, content: pki.ca },
    { target: KUBELET_KUBECONFIG, content: kubeletKubeconfig(hosts.accelerator, kubeletToken), mode: 0o600 },
    {
      target: STATIC_TOKENS,
      content: `${kubeletToken},system:node:${NODE_NAME},${NODE_NAME},"system:nodes"\n`,
      mode: 0o600,
    },
  ];
}

function kubeletKubeconfig(acceleratorHost: string, token: string): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'kubelet',
    clusters: [
      {
        name: 'accelerator',
        cluster: {
          server: `https://${acceleratorHost}:${API_SERVER_PORT}`,
          'certificate-authority': `${CONFORMANCE_FOLDER}/ca.crt`,
        },
      },
    ],
    users: [{ name: 'kubelet', user: { token } }],
    contexts: [{ name: 'kubelet', context: { cluster: 'accelerator', user: 'kubelet' } }],
  });
}
