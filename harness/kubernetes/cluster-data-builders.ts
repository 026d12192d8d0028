import type { ClusterData } from './cluster-data.ts';

/** A live cluster as tests have it: a server of theirs, whose certificate nobody verifies. */
export function liveClusterOf(kubeconfig: string): ClusterData {
  const config = JSON.parse(kubeconfig) as { clusters: { cluster: Record<string, unknown> }[] };
  for (const { cluster } of config.clusters) {
    cluster['insecure-skip-tls-verify'] = true;
  }
  return {
    kind: 'kubeconfig',
    kubeConfig: JSON.stringify(config),
    issuer: '',
    apiAudiences: [],
    owned: false,
    workloadImage: 'image',
    resolver: { routes: {}, ca: '' },
  };
}
