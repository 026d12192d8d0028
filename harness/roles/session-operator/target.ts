import { fileURLToPath } from 'node:url';
import { HarnessError } from '../../core/errors.ts';
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
  if (!('command' in start)) {
    throw new HarnessError(`${reference.file} does not start the reference by a command`);
  }
  return {
    ...reference,
    start: { ...start, command: programOf(start.command, variant), env: { ...start.env, ...env } },
    rules: {
      ...rules,
      namespaced: [...rules.namespaced, ...documents],
      cluster: [...rules.cluster, ...documentsCluster],
    },
  };
}

/**
 * @throws HarnessError where the reference's command does not name its program: a twin would be the reference itself
 */
function programOf(command: string[], variant: string | undefined): string[] {
  if (variant === undefined) {
    return command;
  }
  if (!command.some((part) => part.endsWith(PROGRAM))) {
    throw new HarnessError(`the reference's command does not name ${PROGRAM}: ${command.join(' ')}`);
  }
  return command.map((part) => part.replace(PROGRAM, `/session-operator-twins/${variant}/main.ts`));
}
