import { KubeConfig } from '@kubernetes/client-node';
import { attachKubeconfig } from '../../environment/cluster/kubeconfig.ts';
import type { Settings } from '../../targets/settings.ts';

export interface ClusterOptions {
  /** Context of the kubeconfig; default: its current one. */
  context?: string | undefined;
  /** What the objects that are made need to have. */
  settings?: Settings | undefined;
  onProgress?(message: string): void;
}

/** Asks a cluster as kubectl does, by the kubeconfig or as the pod that this is, for as long as `work` takes. */
export async function atCluster<T>(
  { context, settings, onProgress = () => undefined }: ClusterOptions,
  work: (config: KubeConfig) => Promise<T>,
): Promise<T> {
  const cluster = await attachKubeconfig({
    runId: 'commands',
    ...(context === undefined ? {} : { context }),
    ...(settings === undefined ? {} : { settings }),
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
