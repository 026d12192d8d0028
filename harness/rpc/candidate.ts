import type { Twin } from '../catalogue/catalogue.ts';
import type { Role } from '../role-data/index.ts';
import { type Target, targetOf } from '../targets/load.ts';

interface CandidateBase {
  /** Tells it from the other candidates of the run; stands in test titles, progress and results. */
  name: string;
  /** Ids of the requirements that are planned for it. */
  planned: string[];
}

/** The references together, evaluated in every role. */
export interface ReferencesCandidate extends CandidateBase {
  kind: 'references';
}

/** The implementations under test, one a role at most; references fill the other slots. */
export interface TargetsCandidate extends CandidateBase {
  kind: 'targets';
  targets: Target[];
}

/** A broken implementation of one role, with references in the other slots. */
export interface TwinCandidate extends CandidateBase {
  kind: 'twin';
  twin: Twin;
  /** The target file of the reference that it stands in for, where it is run as a target. */
  targets?: Target[];
}

/** What a run evaluates. Plain data: it crosses from the main process to the test workers. */
export type Candidate = ReferencesCandidate | TargetsCandidate | TwinCandidate;

/** The one role that a candidate is evaluated in; undefined for the references and for targets of several roles. */
export function roleOf(candidate: Candidate): Role | undefined {
  switch (candidate.kind) {
    case 'references':
      return undefined;
    case 'targets':
      return candidate.targets.length === 1 ? candidate.targets[0]?.role : undefined;
    case 'twin':
      return candidate.twin.role;
  }
}

/** The target file in the slot of a role; undefined where a reference or a twin of it fills the slot. */
export function targetFor<R extends Target['role']>(candidate: Candidate, role: R): Target<R> | undefined {
  return candidate.kind === 'references' ? undefined : targetOf(candidate.targets, role);
}

/** What makes the candidate a broken implementation of a role; undefined where it is none of that role. */
export function twinFor<R extends Role>(candidate: Candidate, role: R): Extract<Twin, { role: R }> | undefined {
  return candidate.kind === 'twin' && candidate.twin.role === role
    ? (candidate.twin as Extract<Twin, { role: R }>)
    : undefined;
}
