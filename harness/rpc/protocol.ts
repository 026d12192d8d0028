/**
 * What the main process (which holds the environment) and the test workers (which hold the suites) tell each other.
 * All of it is plain JSON over HTTP on loopback, guarded by a bearer secret of the run.
 */

import type { Role } from '../catalogue/catalogue.ts';
import type { Outcome } from '../core/outcome.ts';
import type { PolicyRule, ResourceRule } from '../core/policy-rule.ts';
import type { ResolverData } from '../core/resolver.ts';
import type { ApiRecord, Requester } from '../kubernetes/api-record.ts';
import type { ClusterData } from '../kubernetes/cluster-data.ts';
import type {
  IdentityProviderDescription,
  ProviderDescription,
  Registration,
  SecondIssuerTrust,
  WorkloadIdentity,
} from '../oauth/provider.ts';
import type { Target } from '../targets/load.ts';
import type { ManifestChange } from '../targets/manifest-change.ts';
import type { ApiFault, TargetAccessData, TargetAccessOptions } from './target-access.ts';

export type IdentityProviderKind = 'keycloak' | 'embedded';
export type ClockKind = 'accelerated' | 'real';

/** Pod Security Standard that a namespace enforces (Kubernetes, "Pod Security Standards"). */
export type PodSecurity = 'restricted' | 'baseline' | 'privileged';

/** What a test judges: the references together (no role of its own), a target or a twin (one role). */
export interface Subject {
  name: string;
  /** The role under test; absent for the references, which are judged in all roles. */
  role?: Role;
  /** The fault of a twin, in words. */
  fault?: string;
  /** The implementations under test, of one role each; the other slots hold references. Absent for references and most twins. */
  targets?: Target[];
  /** The variant of the reference token client that a twin of that role deploys. */
  tokenClientVariant?: string;
  /** What a twin of that role is: a variant of the reference job runner, or one that documents more. */
  jobRunner?: {
    variant?: string | undefined;
    documents?: ResourceRule[] | undefined;
    podSecurity?: 'baseline' | 'privileged' | undefined;
    manifests?: ManifestChange[] | undefined;
  };
  /** Ids of the requirements that are planned for this subject. */
  planned: string[];
}

/** What every worker is given at its start (`inject('conformance')`). */
export interface WorkerSettings {
  url: string;
  secret: string;
  clock: ClockSettings;
  /** True where the harness starts the clusters. */
  ownCluster: boolean;
  subjects: Subject[];
}

export interface ClockSettings {
  kind: ClockKind;
  /** Seconds that a projected token lives of which 600 s were asked, where no audience says otherwise. */
  lifetimeSeconds: number;
  /** The same for the audiences that a token client presents: short, so that a run crosses several rotations. */
  clientLifetimeSeconds: number;
  /** The kubelet's sync frequency in seconds, as far as the harness knows it. */
  syncFrequencySeconds: number;
}

export interface IdentityProviderData {
  description: IdentityProviderDescription;
  resolver: ResolverData;
  /** CA certificate(s) that a pod has to trust to talk to the provider, PEM. */
  ca: string;
  /** The address where a worker can serve an issuer that the provider reaches; absent where it cannot be told to trust one. */
  secondIssuer?: { address: string };
}

/** Requests to the control server: path → body and answer. */
export interface ControlApi {
  '/cluster': { request: { subject: string }; response: ClusterData };
  '/namespace': {
    request: { subject: string; purpose: string; podSecurity?: PodSecurity };
    response: { name: string };
  };
  /** Gives an image to the nodes of the subject's cluster, see Environment.provideImage. */
  '/provide-image': { request: { subject: string; reference: string }; response: Record<string, never> };
  '/agent-image': { request: { subject: string }; response: { reference: string } };
  '/runner-image': { request: { subject: string }; response: { reference: string } };
  /** Waits until it is the subject's turn. */
  '/turn': { request: { subject: string }; response: Record<string, never> };
  '/nodes': { request: { subject: string; atLeast: number }; response: Record<string, never> };
  '/identity-provider': { request: { subject: string }; response: IdentityProviderData };
  /** Absent on a live cluster that does not let the harness read its keys. */
  '/neighbours': { request: { subject: string }; response: { neighbours?: IdentityProviderData } };
  '/target-access': { request: { subject: string; options: TargetAccessOptions }; response: TargetAccessData };
  '/target-access/records': { request: { id: string }; response: { records: ApiRecord[]; dropped: number } };
  /** `records` is absent where the cluster is not the harness's own. */
  '/audit': { request: { subject: string; requester: Requester }; response: { records?: ApiRecord[] } };
  '/target-access/faults': { request: { id: string; faults: ApiFault[] }; response: Record<string, never> };
  '/target-access/rules': { request: { id: string; rules: PolicyRule[] }; response: Record<string, never> };
  '/target-access/close': { request: { id: string }; response: Record<string, never> };
  /** At the provider in the slot, or at a neighbour of it. */
  '/register': {
    request: { subject: string; at: 'slot' | 'neighbours'; provider: string; workload: WorkloadIdentity };
    response: Registration;
  };
  '/trusting': { request: { subject: string; trust: SecondIssuerTrust }; response: ProviderDescription };
  '/certificate': {
    request: { host: string; names?: string[]; ips?: string[] };
    response: { cert: string; key: string; ca: string };
  };
  /** Claims something that is made once for all files of a subject: the first asker is to make it, the others wait for it. */
  '/claim': { request: { key: string }; response: { make: true } | { make: false; value: unknown } };
  /** Gives what was claimed to those who wait, or says why it could not be made. */
  '/fulfil': { request: { key: string; value?: unknown; error?: ControlError }; response: Record<string, never> };
  /** Rejects where a part of the environment is gone: what failed meanwhile says nothing about the target. */
  '/alive': { request: Record<string, never>; response: Record<string, never> };
  '/progress': { request: { subject: string; id: string; message: string }; response: Record<string, never> };
}

/** How a refusal of the control server says what it is (see harness/core/errors.ts). */
export interface ControlError {
  kind: 'harness error' | 'not testable' | 'not applicable';
  message: string;
}

/** What a worker says of one requirement (in Vitest's task meta). */
export interface RequirementResult {
  id: string;
  subject: string;
  outcome: Outcome;
  /** Why, for every outcome but `passed`. */
  reason?: string;
  /** Of what is red on the harness's own cluster: what else than the target may be the cause of it. */
  doubt?: string;
  /** Where it was judged a second time: what kept the harness from judging it the first time, or why that verdict was in doubt. */
  disturbedBefore?: string;
  /** RFC 3339. */
  startedAt: string;
  durationMs: number;
  evidence: EvidenceItem[];
}

export interface EvidenceItem {
  label: string;
  /** RFC 3339. */
  at: string;
  data: unknown;
}

declare module 'vitest' {
  interface ProvidedContext {
    conformance: WorkerSettings;
  }
  interface TaskMeta {
    conformance?: RequirementResult;
  }
}
