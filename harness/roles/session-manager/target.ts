import { fileURLToPath } from 'node:url';
import { type Candidate, targetFor, twinFor } from '../../rpc/candidate.ts';
import { loadTarget, type Target } from '../../targets/load.ts';

const REFERENCE = fileURLToPath(new URL('../../../fixtures/targets/session-managers/reference.yaml', import.meta.url));

/** The session manager in the slot: the target, or the reference, or a twin's variant of the reference. */
export function sessionManagerTarget({ candidate }: { candidate: Candidate }): Target<'session-manager'> {
  const given = targetFor(candidate, 'session-manager');
  if (given !== undefined) {
    return given;
  }
  const reference = loadTarget(REFERENCE) as Target<'session-manager'>;
  const { documents = [] } = twinFor(candidate, 'session-manager')?.sessionManager ?? {};
  return { ...reference, rules: { ...reference.rules, namespaced: [...reference.rules.namespaced, ...documents] } };
}

/** The folder of fixtures/workloads that the reference's target file starts (`${workload}`). */
export function workloadOf({ candidate }: { candidate: Candidate }): string {
  const { variant } = twinFor(candidate, 'session-manager')?.sessionManager ?? {};
  return variant === undefined ? 'session-manager' : `session-manager-twins/${variant}`;
}
