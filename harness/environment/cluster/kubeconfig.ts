import { CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import { HarnessError, UsageError } from '../../core/errors.ts';
import { decodeToken } from '../../core/token.ts';
import type { ClusterData } from '../../kubernetes/cluster-data.ts';
import { createClusterHandle } from '../../kubernetes/cluster-handle.ts';
import type { StartedCluster } from './cluster.ts';
import { discoverCluster } from './readiness.ts';

export interface KubeconfigOptions {
  runId: string;
  /** Context; default: the kubeconfig's current one. */
  context?: string;
  onProgress: (message: string) => void;
}

/** A stock Node image for pods on a cluster that the harness did not start; another one by KUBE_AGENT_CONFORMANCE_NODE_IMAGE. */
const STOCK_NODE_IMAGE = 'node:24-slim';

const CANNOT = 'the cluster is not the harness’s own (--cluster kubeconfig): it is not reconfigured';

/** `jwks_uri` of the cluster's discovery document, where the harness's user may read it. */
async function publishedKeyUrl(data: ClusterData): Promise<string | undefined> {
  try {
    const response = await createClusterHandle(data).request('/.well-known/openid-configuration');
    const { jwks_uri: url } = JSON.parse(await response.text()) as { jwks_uri?: unknown };
    return typeof url === 'string' ? url : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Attaches to a live cluster: by `KUBECONFIG` or the default file, by a context, or from inside by its ServiceAccount.
 * Nothing of it is changed; the harness works in namespaces of its own.
 *
 * Issuer and audiences are read from a token that the cluster mints: discovery may be closed to the harness's user.
 *
 * @throws UsageError when there is no kubeconfig or no such context; HarnessError when the cluster does not answer
 */
export async function attachKubeconfig(options: KubeconfigOptions): Promise<StartedCluster> {
  const config = new KubeConfig();
  config.loadFromDefault();
  if (options.context !== undefined) {
    if (config.getContextObject(options.context) === null) {
      const known = config.getContexts().map(({ name }) => name);
      throw new UsageError(`the kubeconfig has no context "${options.context}"; it has ${known.join(', ') || 'none'}`);
    }
    config.setCurrentContext(options.context);
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null) {
    throw new UsageError('no kubeconfig: set KUBECONFIG, or give --context');
  }
  options.onProgress(`attaching to ${cluster.server}`);
  const kubeConfig = config.exportConfig();
  let claims: ReturnType<typeof decodeToken>['claims'];
  let header: ReturnType<typeof decodeToken>['header'];
  try {
    const { status } = await config.makeApiClient(CoreV1Api).createNamespacedServiceAccountToken({
      namespace: 'default',
      name: 'default',
      body: { spec: { audiences: [] } },
    });
    ({ claims, header } = decodeToken(status?.token ?? ''));
  } catch (error) {
    throw new HarnessError(
      `the cluster at ${cluster.server} minted no token for the ServiceAccount default/default; the harness needs create on serviceaccounts/token`,
      { cause: error },
    );
  }
  const issuer = claims.iss ?? '';
  const data: ClusterData = {
    kind: 'kubeconfig',
    kubeConfig,
    issuer,
    apiAudiences: [claims.aud ?? []].flat(),
    owned: false,
    workloadImage: process.env.KUBE_AGENT_CONFORMANCE_NODE_IMAGE || STOCK_NODE_IMAGE,
    resolver: { routes: {}, ca: '' },
  };
  return {
    data,
    trust: {
      issuer,
      jwksUri: (await publishedKeyUrl(data)) ?? `${cluster.server}/openid/v1/jwks`,
      ca: Buffer.from(cluster.caData ?? '', 'base64').toString(),
      ...(typeof header.alg === 'string' ? { algorithms: [header.alg] } : {}),
    },
    discover: () => discoverCluster(kubeConfig),
    setTokenRequestFault: () => Promise.reject(new HarnessError(CANNOT)),
    // The real clock: the cluster gives its tokens the life that it gives them.
    setLifetime: () => Promise.resolve(),
    importImage: () => Promise.reject(new HarnessError(CANNOT)),
    nodeExec: () => Promise.reject(new HarnessError(CANNOT)),
    addNodes: () => Promise.resolve(),
    async assertAlive() {
      const response = await createClusterHandle(data).request('/version');
      await response.arrayBuffer();
    },
    // Nothing was started; the namespaces are removed by their own part.
    stop: () => Promise.resolve(),
  };
}
