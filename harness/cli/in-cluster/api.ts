import { KubeConfig } from '@kubernetes/client-node';
import { attachKubeconfig } from '../../environment/cluster/kubeconfig.ts';

/** Asks a cluster as kubectl does, by the kubeconfig or as the pod that this is, for as long as `work` takes. */
export async function atCluster<T>(
  context: string | undefined,
  onProgress: (message: string) => void,
  work: (config: KubeConfig) => Promise<T>,
): Promise<T> {
  const cluster = await attachKubeconfig({
    runId: 'commands',
    ...(context === undefined ? {} : { context }),
    onProgress,
  });
  try {
    const config = new KubeConfig();
    config.loadFromString(cluster.data.kubeConfig);
    return await work(config);
  } finally {
    await cluster.stop();
  }
}
