import { fileURLToPath } from 'node:url';
import { type Candidate, targetFor, twinFor } from '../../rpc/candidate.ts';
import { loadTarget, type Target } from '../../targets/load.ts';

const REFERENCE = fileURLToPath(
  new URL('../../../fixtures/targets/job-runners/reference/target.yaml', import.meta.url),
);

/** The job runner in the slot: the target, or the reference, or a twin's variant of the reference. */
export function jobRunnerTarget({ candidate }: { candidate: Candidate }): Target<'job-runner'> {
  const given = targetFor(candidate, 'job-runner');
  if (given !== undefined) return given;
  const reference = loadTarget(REFERENCE) as Target<'job-runner'>;
  const twin = twinFor(candidate, 'job-runner')?.jobRunner ?? {};
  const { variant, documents = [], podSecurity = reference.podSecurity } = twin;
  const rules = { ...reference.rules, namespaced: [...reference.rules.namespaced, ...documents] };
  const { start } = reference;
  if (variant === undefined || !('command' in start)) return { ...reference, rules, podSecurity };
  const command = start.command.map((part) =>
    part.replace('/job-runner/main.ts', `/job-runner-twins/${variant}/main.ts`),
  );
  return { ...reference, rules, podSecurity, start: { ...start, command } };
}
