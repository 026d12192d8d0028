import { fileURLToPath } from 'node:url';
import { HarnessError } from '../../core/errors.ts';
import { type Candidate, targetFor, twinFor } from '../../rpc/candidate.ts';
import { loadReference, type Target } from '../../targets/load.ts';

const FIXTURES = new URL('../../../fixtures/', import.meta.url);
const REFERENCE = fileURLToPath(new URL('targets/session-operators/reference/target.yaml', FIXTURES));

/** The session operator in the slot: the target, or the reference, with what a twin changes in it. */
export function sessionOperatorTarget({ candidate }: { candidate: Candidate }): Target<'session-operator'> {
  const given = targetFor(candidate, 'session-operator');
  if (given !== undefined) {
    return given;
  }
  const reference = loadReference(REFERENCE) as Target<'session-operator'>;
  const {
    env = {},
    documents = [],
    documentsCluster = [],
  } = twinFor(candidate, 'session-operator')?.sessionOperator ?? {};
  const { rules, start } = reference;
  if (!('command' in start)) {
    throw new HarnessError(`${reference.file} does not start the reference by a command`);
  }
  return {
    ...reference,
    start: { ...start, env: { ...start.env, ...env } },
    rules: {
      ...rules,
      namespaced: [...rules.namespaced, ...documents],
      cluster: [...rules.cluster, ...documentsCluster],
    },
  };
}

/**
 * What `${operator.main}` stands for: the program of the reference, or of the twin's variant of it; an absolute path.
 */
export function referenceProgram({ candidate }: { candidate: Candidate }): string {
  const { variant } = twinFor(candidate, 'session-operator')?.sessionOperator ?? {};
  const folder = variant === undefined ? 'session-operator' : `session-operator-twins/${variant}`;
  return fileURLToPath(new URL(`workloads/${folder}/main.ts`, FIXTURES));
}
