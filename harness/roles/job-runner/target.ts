import { fileURLToPath } from 'node:url';
import { type Candidate, targetFor, twinFor } from '../../rpc/candidate.ts';
import { loadReference, type Target } from '../../targets/load.ts';

const FIXTURES = new URL('../../../fixtures/', import.meta.url);
const REFERENCE = fileURLToPath(new URL('targets/job-runners/reference/target.yaml', FIXTURES));

/** The job runner in the slot: the target, or the reference, with what a twin documents beyond it. */
export function jobRunnerTarget({ candidate }: { candidate: Candidate }): Target<'job-runner'> {
  const given = targetFor(candidate, 'job-runner');
  if (given !== undefined) {
    return given;
  }
  const reference = loadReference(REFERENCE) as Target<'job-runner'>;
  const { documents = [], podSecurity = reference.podSecurity } = twinFor(candidate, 'job-runner')?.jobRunner ?? {};
  const rules = { ...reference.rules, namespaced: [...reference.rules.namespaced, ...documents] };
  return { ...reference, rules, podSecurity };
}

/** What `${runner.main}` stands for: the program of the reference, or of the twin's variant of it; an absolute path. */
export function referenceProgram({ candidate }: { candidate: Candidate }): string {
  const { variant } = twinFor(candidate, 'job-runner')?.jobRunner ?? {};
  const folder = variant === undefined ? 'job-runner' : `job-runner-twins/${variant}`;
  return fileURLToPath(new URL(`workloads/${folder}/main.ts`, FIXTURES));
}
