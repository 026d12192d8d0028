import {
  CoreV1Api,
  KubeConfig,
  RbacAuthorizationV1Api,
  type V1Deployment,
  type V1Node,
  type V1ServiceAccount,
  VersionApi,
} from '@kubernetes/client-node';
import { decodeToken } from '../../core/token.ts';
import { watchUntil } from '../../kubernetes/watch.ts';

function load(kubeConfig: string): KubeConfig {
  const config = new KubeConfig();
  config.loadFromString(kubeConfig);
  return config;
}

/**
 * Waits until pods can be run: a node Ready, the `default` ServiceAccount there, cluster DNS available; all by watch.
 *
 * @throws DeadlineExceeded with what was seen last
 */
export async function waitUntilUsable(kubeConfig: string, deadlineSeconds = 90): Promise<void> {
  const config = load(kubeConfig);
  await Promise.all([
    watchUntil<V1Node, true>(
      config,
      '/api/v1/nodes',
      ({ object }) =>
        object.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') || undefined,
      { what: 'a node to be Ready', deadlineSeconds },
    ),
    watchUntil<V1ServiceAccount, true>(config, '/api/v1/namespaces/default/serviceaccounts', () => true, {
      what: 'the default ServiceAccount of namespace default',
      fieldSelector: 'metadata.name=default',
      deadlineSeconds,
    }),
    watchUntil<V1Deployment, true>(
      config,
      '/apis/apps/v1/namespaces/kube-system/deployments',
      ({ object }) => (object.status?.availableReplicas ?? 0) > 0 || undefined,
      { what: 'cluster DNS (deployment kube-system/coredns)', fieldSelector: 'metadata.name=coredns', deadlineSeconds },
    ),
  ]);
}

/** @throws DeadlineExceeded with what was seen last */
export async function waitUntilNodeReady(kubeConfig: string, name: string, deadlineSeconds = 90): Promise<void> {
  await watchUntil<V1Node, true>(
    load(kubeConfig),
    '/api/v1/nodes',
    ({ object }) =>
      (object.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true &&
        object.spec?.taints?.some(({ key }) => key === 'node.kubernetes.io/not-ready') !== true) ||
      undefined,
    { what: `node ${name} to be Ready`, fieldSelector: `metadata.name=${name}`, deadlineSeconds },
  );
}

/**
 * Lets anybody read the issuer's discovery document and keys, as an identity provider outside the cluster has to
 * (Kubernetes, "Configure Service Accounts for Pods", "ServiceAccount issuer discovery"). Only on clusters that the
 * harness owns.
 */
export async function openIssuerDiscovery(kubeConfig: string): Promise<void> {
  await load(kubeConfig)
    .makeApiClient(RbacAuthorizationV1Api)
    .createClusterRoleBinding({
      body: {
        metadata: { name: 'conformance-issuer-discovery' },
        roleRef: {
          apiGroup: 'rbac.authorization.k8s.io',
          kind: 'ClusterRole',
          name: 'system:service-account-issuer-discovery',
        },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:unauthenticated' }],
      },
    });
}

/**
 * What the cluster says of itself, for the report: versions, nodes, and the issuer and audiences of a token that it
 * mints.
 */
export async function discoverCluster(kubeConfig: string): Promise<Record<string, unknown>> {
  const config = load(kubeConfig);
  const core = config.makeApiClient(CoreV1Api);
  const [version, nodes, minted] = await Promise.all([
    config.makeApiClient(VersionApi).getCode(),
    core.listNode(),
    core.createNamespacedServiceAccountToken({
      namespace: 'default',
      name: 'default',
      body: { spec: { audiences: [] } },
    }),
  ]);
  const { iss, aud } = decodeToken(minted.status?.token ?? '').claims;
  return {
    kubernetesVersion: version.gitVersion,
    platform: version.platform,
    issuer: iss,
    apiAudiences: aud,
    nodes: nodes.items.map((node) => ({
      kubeletVersion: node.status?.nodeInfo?.kubeletVersion,
      containerRuntimeVersion: node.status?.nodeInfo?.containerRuntimeVersion,
      osImage: node.status?.nodeInfo?.osImage,
      kernelVersion: node.status?.nodeInfo?.kernelVersion,
    })),
  };
}
