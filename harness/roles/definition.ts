import type { Requirement, Twin } from '../catalogue/catalogue.ts';
import type { PolicyRule } from '../core/policy-rule.ts';
import type { EnvironmentOptions } from '../environment/environment.ts';
import type { NodeImage, Role } from '../role-data/index.ts';
import type { Candidate } from '../rpc/candidate.ts';
import type { ClockSettings, PodSecurity } from '../rpc/protocol.ts';
import type { Target } from '../targets/load.ts';
import type { NamedFiles } from './manifest-files.ts';

/** Rules that an implementation is given: in its namespaces, and in the whole cluster. */
export interface RulesToGive {
  namespaced: PolicyRule[];
  cluster: PolicyRule[];
}

/**
 * What the rest of the harness has to know of a role. Everything that is optional has a default that suits most roles.
 */
export interface RoleDefinition {
  role: Role;
  /**
   * True where requirements of this role need an identity provider, so that it is started before the first of them
   * asks.
   */
  usesIdentityProvider(mode: 'run' | 'prove'): boolean;
  /**
   * How an implementation of this role is seen: at the API server as a ServiceAccount with the rights that it
   * documents, from one observation that all its requirements share, by its pods' look-ups of names. All false for what
   * the harness asks itself.
   */
  isAtApiServer?: boolean;
  sharesOneObservation?: boolean;
  looksUpNames?: boolean;
  /** APIs that a cluster serves only where somebody has installed them, with how to. */
  furtherApi?: { api: string; fix: string };
  /**
   * What a requirement asks of a live cluster, in the words of ../run/live/measured.json, where that depends on the
   * target; undefined: what was measured.
   */
  askedOnLiveClusters?(row: Requirement, targets: readonly Target[]): Record<string, number> | undefined;
  /** The level of Pod Security that a target file says for the namespace of a requirement's pods. */
  podSecurity?(row: Pick<Requirement, 'preconditions'>, targets: readonly Target[]): PodSecurity;
  /** Rules that the implementation of a requirement is given; none where it is not started. */
  rulesToGive?(row: Pick<Requirement, 'id' | 'preconditions'>, targets: readonly Target[]): RulesToGive;
  /**
   * Images of pods that its requirements start: given to the node of the harness's own cluster before the first of
   * them.
   */
  nodeImages?: readonly NodeImage[];
  /** The image of the reference itself, with the ids of the requirements that run it in a pod. */
  referenceImage?: { name: NodeImage; requirements: readonly string[] };
  /** True where the implementation is the cluster that a kubeconfig leads to: it needs no target file. */
  isReachedByKubeconfig?: boolean;
  /**
   * True where its requirements come one after the other in a run that is kept to a few namespaces, and share nothing:
   * their fixtures are pods that stay.
   */
  isAloneInGivenNamespaces?: boolean;
  /** True where neither its requirements nor its twins need a pod: they cost next to nothing. */
  needsNoPods?: boolean;
  /** Twins of this role that are evaluated at a time, for each core; default: as many as the machine has room for. */
  twinsPerCore?: number;
  /**
   * Twins of this role that are admitted for each core however busy the machine is: of most of their time they wait for
   * a clock.
   */
  twinsAtLeastPerCore?: number;
  /**
   * Capabilities that the implementation in the slot declares, with the words that quote the declaration; undefined
   * where the role knows none.
   */
  capabilities?(candidate: Candidate): { declared: readonly string[]; quoted: string };
  /** Files that a target file of this role names, which are read before anything is started. */
  filesOf?(target: Target): NamedFiles;
  /** Installs what a target needs before anything is started. */
  install?(target: Target, onProgress: (message: string) => void): Promise<void>;
  /** The StorageClass that a target file names for ordinary claims; false where it says that there is none. */
  storageClass?(target: Target): string | false | undefined;
  /**
   * True where a requirement has claims that name no StorageClass, of the target file or of what the target makes: the
   * API server gives them the default one.
   */
  hasDefaultClaims?(row: Pick<Requirement, 'preconditions'>, targets: Target[]): boolean;
  /** What a target of this role puts into the environment's own slots, or asks of the references there. */
  environmentOptions?(target: Target): Partial<EnvironmentOptions>;
  /**
   * Seconds that the subject tokens of the token client live on a clock, where a target needs more than the clock gives
   * by itself; undefined where it does not.
   */
  clientLifetimeSeconds?(target: Target, clock: ClockSettings): number | undefined;
  /** The target files by which a twin is run; undefined for a twin that is a variant of the reference itself. */
  targetsOfTwin?(twin: Twin): Target[] | undefined;
}
