import type { PolicyRule } from '../core/policy-rule.ts';
import type { ApiRecord, Requester } from '../kubernetes/api-record.ts';
import type { ClusterData } from '../kubernetes/cluster-data.ts';
import type { AdditionalIssuerTrust, ProviderDescription, Registration, WorkloadIdentity } from '../oauth/provider.ts';
import type { NodeImage } from '../role-data/index.ts';
import type { ControlError, IdentityProviderData, PodSecurity } from './protocol.ts';
import type { ApiFault, TargetAccessData, TargetAccessOptions } from './target-access.ts';

/** The slot itself, or the peer providers that the harness adds to it. */
export type ProviderPlace = 'slot' | 'peers';

/** A value that is made once for all files of a candidate: the first who asks makes it, the others wait for it. */
export type Claim = { make: true } | { make: false; value: unknown };

/**
 * The environment as a test worker sees it: what the main process does for the candidate under evaluation. A new call
 * is written here and in harness/run/environment-server.ts, and nowhere else. Every call takes one plain object and
 * answers with one; it waits until the part of the environment that it needs has started.
 *
 * @throws HarnessError, NotTestable or NotApplicable, as the main process says
 */
export interface EnvironmentApi {
  /**
   * Waits until the scheduler admits the requirement.
   *
   * @param request.observation what it is evaluated from, where other requirements of the role may share that
   */
  admission(request: { id: string; observation?: string }): Promise<object>;
  /** Rejects where a part of the environment is gone: what failed meanwhile says nothing about the candidate. */
  alive(request: object): Promise<object>;
  progress(request: { id: string; message: string }): Promise<object>;
  claim(request: { key: string }): Promise<Claim>;
  /** Gives what was claimed to those who wait, or says why it could not be made. */
  fulfil(request: { key: string; value?: unknown; error?: ControlError }): Promise<object>;

  cluster(request: object): Promise<ClusterData>;
  /** @param request.owner names whoever runs a file of requirements */
  namespace(request: {
    purpose: string;
    podSecurity?: PodSecurity;
    owner: string;
    /** Names those whose files wait for each other, see NamespaceRequest of given-namespaces.ts. */
    group?: string;
    /** It is not given back before the file is over. */
    lasts?: boolean;
    /** A namespace that was given and lets more pass will not do. */
    enforced?: boolean;
  }): Promise<{ name: string }>;
  /** What this owner has of namespaces that the run is kept to is for others now. */
  giveBackNamespaces(request: { owner: string }): Promise<object>;
  /** What a live cluster refused to the harness for a requirement, in words: by rights, or by a policy. */
  refusals(request: { id: string }): Promise<{ refused: string[] }>;
  /** Adds nodes until there are so many, where the harness owns the cluster. */
  nodes(request: { atLeast: number }): Promise<object>;
  /** Gives an image of this host's engine to the nodes of the candidate's cluster. */
  provideImage(request: { reference: string }): Promise<object>;
  /** Reference of an image of fixtures/images, which the nodes have when the call answers. */
  image(request: { name: NodeImage }): Promise<{ reference: string }>;
  /** A TLS certificate of the run's CA for a server in a pod. */
  certificate(request: {
    host: string;
    names?: string[];
    ips?: string[];
  }): Promise<{ cert: string; key: string; ca: string }>;

  targetAccess(request: TargetAccessOptions): Promise<TargetAccessData>;
  targetRecords(request: { id: string }): Promise<{ records: ApiRecord[]; dropped: number }>;
  targetFaults(request: { id: string; faults: ApiFault[] }): Promise<object>;
  targetRules(request: { id: string; rules: PolicyRule[] }): Promise<object>;
  closeTargetAccess(request: { id: string }): Promise<object>;
  /** `records` is absent where the cluster is not the harness's own. */
  auditRecords(request: { requester: Requester }): Promise<{ records?: ApiRecord[] }>;

  identityProvider(request: object): Promise<IdentityProviderData>;
  /** `peers` is absent on a live cluster that does not let the harness read its keys. */
  peerProviders(request: object): Promise<{ peers?: IdentityProviderData }>;
  /** The second cluster of the run; `peer` is absent where none is named. */
  peerCluster(request: object): Promise<{ peer?: { context: string; cluster: ClusterData } }>;
  /** Makes a ServiceAccount in the second cluster, once, in the namespace of that name. */
  peerAccount(request: WorkloadIdentity): Promise<object>;
  register(request: { at: ProviderPlace; provider: string; workload: WorkloadIdentity }): Promise<Registration>;
  trusting(request: { trust: AdditionalIssuerTrust }): Promise<ProviderDescription>;
}
