import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadCatalogue, type Twin } from '../../catalogue/catalogue.ts';
import { fill } from '../../core/placeholders.ts';
import type { Candidate } from '../../rpc/candidate.ts';
import { jobRunnerTarget, referenceProgram } from './target.ts';

const references: Candidate = { kind: 'references', name: 'references', planned: [] };
const twins = loadCatalogue().twins.filter(
  (twin): twin is Extract<Twin, { role: 'job-runner' }> => twin.role === 'job-runner',
);
const candidateOf = (twin: Twin): Candidate => ({ kind: 'twin', name: twin.name, planned: [], twin });

/** The command that a candidate is started by. */
function commandOf(candidate: Candidate): string[] {
  const { start, file } = jobRunnerTarget({ candidate });
  return 'command' in start ? fill(start.command, { 'runner.main': referenceProgram({ candidate }) }, file) : [];
}

test('the reference is started by its own program', () => {
  expect(commandOf(references).at(-1)).toMatch(/\/workloads\/job-runner\/main\.ts$/);
});

test.each(twins)('the twin $name is started by its own program, where it has one', (twin) => {
  const [program = ''] = commandOf(candidateOf(twin)).slice(-1);
  const folder = twin.jobRunner.variant === undefined ? 'job-runner' : `job-runner-twins/${twin.jobRunner.variant}`;
  expect(program.endsWith(`/workloads/${folder}/main.ts`)).toBe(true);
  expect(existsSync(program)).toBe(true);
});

test('what a twin documents is documented beyond the reference', () => {
  const twin = twins.find(({ jobRunner }) => jobRunner.documents !== undefined);
  const [rule] = twin?.jobRunner.documents ?? [];
  expect(rule).toBeDefined();
  expect(jobRunnerTarget({ candidate: references }).rules.namespaced).not.toContainEqual(rule);
  expect(jobRunnerTarget({ candidate: candidateOf(twin as Twin) }).rules.namespaced).toContainEqual(rule);
});
