import { fileURLToPath } from 'node:url';
import { type Candidate, targetFor, twinFor } from '../../rpc/candidate.ts';
import { loadTarget, type Target } from '../../targets/load.ts';

const REFERENCE = fileURLToPath(
  new URL('../../../fixtures/targets/session-operators/reference/target.yaml', import.meta.url),
);

/** What a twin's variant has in the place of the reference's program. */
const PROGRAM = '/session-operator/main.ts';

/** The session operator in the slot: the target, or the reference or a twin's variant of it. */
export function sessionOperatorTarget({ candidate }: { candidate: Candidate }): Target<'session-operator'> {
  const given = targetFor(candidate, 'session-operator');
  if (given !== undefined) {
    return given;
  }
  const reference = loadTarget(REFERENCE) as Target<'session-operator'>;
  const {
    variant,
    env = {},
    documents = [],
    documentsCluster = [],
  } = twinFor(candidate, 'session-operator')?.sessionOperator ?? {};
  const { rules, start } = reference;
  const command =
    variant === undefined
      ? start.command
      : start.command.map((part) => part.replace(PROGRAM, `/session-operator-twins/${variant}/main.ts`));
  return {
    ...reference,
    start: { ...start, command, env: { ...start.env, ...env } },
    rules: {
      ...rules,
      namespaced: [...rules.namespaced, ...documents],
      cluster: [...rules.cluster, ...documentsCluster],
    },
  };
}
