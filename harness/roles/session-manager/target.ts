import { fileURLToPath } from 'node:url';
import { type Candidate, targetFor, twinFor } from '../../rpc/candidate.ts';
import { loadTarget, type Target } from '../../targets/load.ts';
import type { OperationName } from '../../targets/schema/session-manager.ts';

/** A manager that is called by HTTP. */
export type HttpTarget = Extract<Target<'session-manager'>, { form: 'http' }>;

const REFERENCE = fileURLToPath(
  new URL('../../../fixtures/targets/session-managers/reference/target.yaml', import.meta.url),
);

/** The session manager in the slot: the target, or the reference, or a twin's variant of the reference. */
export function sessionManagerTarget({ candidate }: { candidate: Candidate }): HttpTarget {
  const given = targetFor(candidate, 'session-manager');
  if (given !== undefined) {
    return given;
  }
  const reference = loadTarget(REFERENCE) as HttpTarget;
  const twin = twinFor(candidate, 'session-manager')?.sessionManager ?? {};
  const { documents = [], podSecurity = reference.podSecurity } = twin;
  const rules = { ...reference.rules, namespaced: [...reference.rules.namespaced, ...documents] };
  return { ...reference, podSecurity, rules };
}

/** True where a call of an operation passes an input on: what cannot be asked for is not judged. */
export function takes(target: HttpTarget, operation: OperationName, input: string): boolean {
  const { path, query, body } = target.http.operations[operation] ?? {};
  return JSON.stringify([path, query, body]).includes(`\${${input}}`);
}

/**
 * The folder of fixtures/workloads that the reference's target file starts (`${workload}`): a twin has one of its own.
 */
export function workloadOf({ candidate }: { candidate: Candidate }): string {
  const { variant } = twinFor(candidate, 'session-manager')?.sessionManager ?? {};
  return variant === undefined ? 'session-manager' : `session-manager-twins/${variant}`;
}
