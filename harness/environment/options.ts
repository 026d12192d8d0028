import type { ClusterKind } from '../kubernetes/cluster-data.ts';
import type { ClockSettings, IdentityProviderKind } from '../rpc/protocol.ts';
import type { Settings } from '../targets/settings.ts';
import type { IdentityProviderTarget } from './identity-provider/external/servers.ts';

/** What a run asks of its environment. */
export interface EnvironmentOptions {
  runId: string;
  cluster: ClusterKind;
  /** Context of the kubeconfig; default: its current one. */
  context?: string;
  /** Context of the second cluster, whose tokens the providers must refuse; none: there is no second one. */
  peerContext?: string;
  /** What the objects that are made on a live cluster need to have. */
  settings?: Settings;
  /** Namespaces of a live cluster that the run is kept to; none: it makes its own. */
  namespaces?: string[];
  identityProvider: IdentityProviderKind;
  clock: ClockSettings;
  /** True where twins are evaluated: their clusters know how to be broken. */
  evaluatesTwins: boolean;
  /** True where the network of the references' cluster enforces NetworkPolicies, if the harness starts it. */
  networkPolicies: boolean;
  /** True where the harness's own cluster assigns uids to pods, as OpenShift does. */
  assignedUids?: boolean;
  /** The implementation under test in the slot of the identity provider. */
  identityProviderTarget?: IdentityProviderTarget;
  /** Seconds before its end in which the token client under test takes an access token for expired. */
  accessTokenSkewSeconds?: number;
  onProgress: (part: string, message: string) => void;
}
