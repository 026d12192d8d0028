/**
 * What the main process (which holds the environment) and the test workers (which hold the suites) tell each other.
 * All of it is plain JSON over HTTP on loopback, guarded by a bearer secret of the run.
 */

import type { Preconditions } from '../catalogue/catalogue.ts';
import type { Cause } from '../core/causes.ts';
import type { Outcome } from '../core/outcome.ts';
import type { ResolverData } from '../core/resolver.ts';
import type { PodSecurityLevel } from '../kubernetes/pod-security.ts';
import type { IdentityProviderDescription } from '../oauth/provider.ts';
import type { Role } from '../role-data/index.ts';
import type { Candidate } from './candidate.ts';

export type IdentityProviderKind = 'keycloak' | 'embedded';
export type ClockKind = 'accelerated' | 'real';

/** Pod Security Standard that a namespace enforces (Kubernetes, "Pod Security Standards"). */
export type PodSecurity = PodSecurityLevel;

/** What every worker is given at its start (`inject('conformance')`). */
export interface WorkerSettings {
  url: string;
  secret: string;
  clock: ClockSettings;
  /** True where the harness starts the clusters. */
  ownCluster: boolean;
  candidates: Candidate[];
  /** True where the run is kept to namespaces that exist: whoever has one gives it back. */
  sharesNamespaces?: boolean;
  /** True where rows are evaluated a second time, with nothing alongside: the machine's load is not the run's own. */
  isRerun?: boolean;
  /** True where what a live cluster lacks something for is left out (`--what-works`). */
  whatWorks?: boolean;
  /**
   * Requirements that cannot be evaluated on this cluster, each with what it lacks for the harness (`--what-works`).
   */
  lacking?: Record<string, string>;
  /** What the worker has to know of each requirement of the catalogue, by its id. */
  requirements: Record<string, { role: Role; suite: string; observation?: string; preconditions: Preconditions }>;
  /** Suites that have something planned. */
  suites: string[];
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
  /**
   * The address where a worker can serve an issuer that the provider reaches; absent where it cannot be told to trust
   * one.
   */
  additionalIssuer?: { address: string };
}

/** How a refusal of the control server says what it is (see harness/core/errors.ts). */
export interface ControlError {
  kind: 'harness error' | 'not testable' | 'not applicable';
  message: string;
}

/** What a worker says of one requirement (in Vitest's task meta). */
export interface RequirementResult {
  id: string;
  candidate: string;
  outcome: Outcome;
  /** Why, for every outcome but `passed`. */
  reason?: string;
  /** Everything that was found wrong, by cause, where the reason names the first of it only. */
  findings?: Cause[];
  /** Of what is red on the harness's own cluster: what else than the target may be the cause of it. */
  doubt?: string;
  /**
   * Where it was evaluated a second time: what kept the harness from evaluating it the first time, or why that verdict
   * was in doubt.
   */
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
    /** The role whose requirements a worker runs, where it runs those of all suites. */
    role: string;
  }
  interface TaskMeta {
    conformance?: RequirementResult;
  }
}
