import type { ClusterData } from '../../kubernetes/cluster-data.ts';
import type { ClusterTrust } from '../../oauth/provider.ts';
import type { Ledger } from './kubeconfig/ledger.ts';

/** The cluster in the slot. Lives in the main process; the workers get its {@link ClusterData}. */
export interface StartedCluster {
  readonly data: ClusterData;
  /** How an identity provider is configured to trust it. */
  readonly trust: ClusterTrust;
  /** What the cluster says of itself (versions, nodes, issuer): for the report, read and not copied from flags. */
  discover(): Promise<Record<string, unknown>>;
  /** Gives the TokenRequests of a namespace a fault, where the harness stands between kubelet and API server. */
  setTokenRequestFault(namespace: string, fault: string): Promise<void>;
  /**
   * Gives projected tokens for `audience` a life of their own, on the accelerated clock; does nothing on the real one.
   */
  setLifetime(audience: string, seconds: number): Promise<void>;
  /** Runs a command on the node; only where the harness owns it. */
  nodeExec(command: string[]): Promise<{ exitCode: number; output: string }>;
  /** Gives its nodes an image that no registry has. @param archive path of a docker-archive on this host */
  importImage(archive: string): Promise<void>;
  /** Adds nodes until there are so many, where the harness owns the cluster; a live one stays as it is. */
  addNodes(atLeast: number): Promise<void>;
  /** Takes what a user makes for the harness's own: it has what the settings ask for. Only where there are settings. */
  takeAsOwn?(user: string): void;
  /**
   * The harness's own requests so far, and what was refused to them; only where it does not read the API server's log.
   */
  readonly ledger?: Ledger;
  /** Rejects if the cluster is gone: told as a harness error, never as a verdict. */
  assertAlive(): Promise<void>;
  stop(): Promise<void>;
}
