import type { ResolverData } from '../core/resolver.ts';

export type ClusterKind = 'k3s' | 'kubeconfig';

/** The cluster in the slot, as a worker needs it. */
export interface ClusterData {
  kind: ClusterKind;
  /** Kubeconfig, YAML, with the rights of the harness. */
  kubeConfig: string;
  issuer: string;
  apiAudiences: string[];
  /** True where the harness started the cluster: it may reconfigure it, and it holds the signing key. */
  owned: boolean;
  /** The ServiceAccount signing key, PEM, where the harness holds it. */
  signingKey?: string;
  /** The same of the key before it, which the cluster still publishes, where the harness has rolled it over. */
  previousSigningKey?: string;
  /** Image of the pods that the harness starts: a stock Node image. */
  workloadImage: string;
  /** StorageClass for the harness's own claims, where its settings name one. */
  storageClass?: string;
  /**
   * What becomes of a ServiceAccount's fresh token, as the end of a sentence, where a front before the API server does
   * not take it for what it is.
   */
  misreadsTokens?: string;
  resolver: ResolverData;
}
