import { HarnessError, NotApplicable } from '../../core/errors.ts';
import { roleDefinition } from '../../roles/index.ts';
import type { Candidate } from '../../rpc/candidate.ts';
import type { PlannedPreconditions } from '../../rpc/context.ts';
import type { WorkerSettings } from '../../rpc/protocol.ts';
import type { RequirementBody } from './check.ts';

/** @throws HarnessError for an id that no requirements.yaml has */
export function rowOf({ requirements }: WorkerSettings, id: string): WorkerSettings['requirements'][string] {
  const row = requirements[id];
  if (row === undefined) {
    throw new HarnessError(`no requirements.yaml has the requirement ${id}`);
  }
  return row;
}

export function plannedPreconditions(settings: WorkerSettings, { planned }: Candidate): PlannedPreconditions {
  const all = planned.map((id) => rowOf(settings, id).preconditions);
  return {
    simulatedProviders: new Set(all.flatMap(({ simulatedProviders = [] }) => simulatedProviders)),
    rotations: all.some(({ rotations }) => rotations === true),
  };
}

/**
 * What shares an observation is planned by requirements.yaml, and shared by code.
 *
 * @throws HarnessError where the two name different ones
 */
export function assertObserved(settings: WorkerSettings, id: string, body: RequirementBody): void {
  const { observation } = rowOf(settings, id);
  if (observation !== body.observation) {
    throw new HarnessError(
      `${id} is evaluated from ${body.observation ?? 'no observation by name'}; requirements.yaml has \`observation\` ${observation ?? 'absent'}`,
    );
  }
}

/** @throws NotApplicable where the candidate does not declare a capability that the requirement needs */
export function assertDeclared(settings: WorkerSettings, id: string, candidate: Candidate): void {
  const { role, preconditions } = rowOf(settings, id);
  const needed = preconditions.capabilities ?? [];
  if (needed.length === 0) {
    return;
  }
  const { declared, quoted } = roleDefinition(role).capabilities?.(candidate) ?? { declared: [], quoted: '' };
  const missing = needed.filter((capability) => !declared.includes(capability));
  if (missing.length > 0) {
    throw new NotApplicable(`${quoted}, not ${missing.map((capability) => `\`${capability}\``).join(' and ')}`);
  }
}

/** Whether a requirement shares nothing with others; those of most roles share what was recorded. */
export function isAlone(settings: WorkerSettings, id: string): boolean {
  const { isAloneInGivenNamespaces } = roleDefinition(rowOf(settings, id).role);
  return settings.sharesNamespaces === true && isAloneInGivenNamespaces === true;
}

/** What the cluster lacks for a requirement was found out before the first one. */
export function assertPossible({ lacking }: WorkerSettings, id: string): void {
  const why = lacking?.[id];
  if (why !== undefined) {
    throw new NotApplicable(why);
  }
}
