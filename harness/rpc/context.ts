import type { RequestInit, Response } from 'undici';
import type { Preconditions } from '../catalogue/catalogue.ts';
import type { PolicyRule } from '../core/policy-rule.ts';
import type { ApiRecord, Requester } from '../kubernetes/api-record.ts';
import type { ClusterHandle } from '../kubernetes/cluster-handle.ts';
import type {
  AdditionalIssuerTrust,
  IdentityProviderDescription,
  ProviderDescription,
  Registration,
  WorkloadIdentity,
} from '../oauth/provider.ts';
import type { NodeImage } from '../role-data/index.ts';
import type { Candidate } from './candidate.ts';
import type { Clock } from './clock.ts';
import type { PodSecurity } from './protocol.ts';
import type { ApiFault, TargetAccessData, TargetAccessOptions } from './target-access.ts';

/** The identity provider in the slot, as a requirement sees it. */
export interface IdentityProviderHandle extends IdentityProviderDescription {
  /** CA certificate(s) that a pod has to trust to talk to it, PEM. */
  ca: string;
  /** Maps a ServiceAccount to an identity at one provider (by name). Idempotent. */
  register(provider: string, workload: WorkloadIdentity): Promise<Registration>;
  /**
   * The address where an issuer can be served that it reaches, and how it is told to trust one (a further provider,
   * which {@link register} knows).
   */
  additionalIssuer?: { address: string; trusting(trust: AdditionalIssuerTrust): Promise<ProviderDescription> };
  /** `fetch` that knows the run's names and trusts the run's CA. */
  fetch(url: string | URL, init?: RequestInit): Promise<Response>;
}

/** The second cluster of a run on live clusters: whose tokens mean nothing in the first one. */
export interface PeerCluster {
  /** Context of the kubeconfig that leads to it. */
  context: string;
  issuer: string;
  /** A token of the ServiceAccount that has this name there, which is made first where the harness may. */
  createToken(workload: WorkloadIdentity, asked: { audiences: string[]; expirationSeconds: number }): Promise<string>;
}

/** A namespace of this run, with Pod Security enforced: `restricted`, where nothing else was asked for. */
export interface TestNamespace {
  name: string;
}

/** How a target reaches the API server, and what it did there; see harness/environment/cluster/target-access.ts. */
export interface TargetAccess extends TargetAccessData {
  /** Every request so far, in the order of their arrival; those that are open (watches, logs), too. */
  records(): Promise<ApiRecord[]>;
  /** The same from the API server's audit log; undefined where the cluster is not the harness's own. */
  auditRecords(): Promise<ApiRecord[] | undefined>;
  /** Replaces the faults of the proxy; an empty list ends them all. */
  setFaults(faults: ApiFault[]): Promise<void>;
  /** Replaces the rules of its Role; settled once the API server acts by them. */
  setRules(rules: PolicyRule[]): Promise<void>;
  /** Ends the proxy. The ServiceAccount goes with its namespace. */
  close(): Promise<void>;
}

/** The preconditions of everything that is planned for a candidate, taken together. */
export interface PlannedPreconditions {
  simulatedProviders: ReadonlySet<string>;
  /** True where one of them needs a token client that is watched across rotations. */
  rotations: boolean;
}

/**
 * What the body of a requirement is given. Every part is started when it is first asked for, once per file and
 * candidate.
 */
export interface RequirementContext {
  /** Of the requirement, as in requirements.yaml. */
  readonly id: string;
  readonly candidate: Candidate;
  /** What the catalogue says that the requirement needs; what needs more than that is a fault of its row. */
  readonly preconditions: Preconditions;
  /** What is declared for any requirement that is planned for the candidate: several of them share one observation. */
  readonly planned: PlannedPreconditions;
  /** Aborted when the run is broken off. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  cluster(): Promise<ClusterHandle>;
  /**
   * Reference of an image of fixtures/images, on the nodes of the cluster when it is given: `workload`, which does what
   * its environment says, or the image of a role's reference.
   */
  image(name: NodeImage): Promise<string>;
  /** Sees to it that the nodes of the harness's own cluster have an image that the engine of this host has. */
  provideImage(reference: string): Promise<void>;
  /**
   * A new ServiceAccount that is bound to exactly these rules, and a recording proxy that it reaches the API server by.
   */
  targetAccess(options: TargetAccessOptions): Promise<TargetAccess>;
  /** Requests in the API server's audit log; undefined where the cluster is not the harness's own. */
  auditRecords(requester: Requester): Promise<ApiRecord[] | undefined>;
  identityProvider(): Promise<IdentityProviderHandle>;
  /**
   * Reference providers beside the one in the slot, so that there are three at least whose tokens can be told apart;
   * undefined on a live cluster that does not let the harness read its keys. They trust the second cluster of the run
   * where it has one ({@link peerCluster}), else the cluster in the slot.
   */
  peerProviders(): Promise<IdentityProviderHandle | undefined>;
  /** Undefined where none is named (`--peer-context`). */
  peerCluster(): Promise<PeerCluster | undefined>;
  /**
   * Sees to it that the cluster has so many nodes, where the harness owns it; a live cluster stays as it is.
   * Nodes that are added have {@link ../core/names.ts FURTHER_NODE_TAINT}.
   */
  addNodes(atLeast: number): Promise<void>;
  namespace(): Promise<TestNamespace>;
  /**
   * A second namespace (and further ones) by its purpose.
   *
   * @param podSecurity what it enforces;
   *   `baseline` only for manifests that are run as somebody else wrote them. Default: `restricted`
   */
  namespaceFor(purpose: string, podSecurity?: PodSecurity): Promise<TestNamespace>;
  /**
   * A namespace for `act` alone, which nobody looks into afterwards: where a run is kept to a few, the next one has it
   * then.
   *
   * @param act is given its name
   */
  withNamespace<T>(
    purpose: string,
    podSecurity: PodSecurity,
    act: (namespace: string) => Promise<T>,
    /** `enforced`: a namespace that was given and lets more pass will not do. */
    options?: { enforced?: boolean },
  ): Promise<T>;
  /** A TLS certificate of the run's CA for a server in a pod. */
  certificate(
    host: string,
    extra?: { names?: string[]; ips?: string[] },
  ): Promise<{ cert: string; key: string; ca: string }>;
  /** Something made once per file and candidate, for example a pod that several requirements look at. */
  shared<T>(key: string, make: () => Promise<T>): Promise<T>;
  /** The same once per candidate for all files; what it gives is plain data. */
  sharedByAllFiles<T>(key: string, make: () => Promise<T>): Promise<T>;
  /** Keeps what was seen; plain data, redacted by the harness, reported whatever the outcome. */
  evidence(label: string, data: unknown): void;
  /** Tells the person who waits what is going on. */
  progress(message: string): void;
  /** Ends the requirement: it does not bind this target here. Quote the declaration or the limit. */
  notApplicable(reason: string): never;
}
