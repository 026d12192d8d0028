import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadCatalogue, type Twin } from '../../catalogue/catalogue.ts';
import { fill } from '../../core/placeholders.ts';
import type { Candidate } from '../../rpc/candidate.ts';
import { referenceProgram, sessionOperatorTarget } from './target.ts';

const references: Candidate = { kind: 'references', name: 'references', planned: [] };
const twins = loadCatalogue().twins.filter(
  (twin): twin is Extract<Twin, { role: 'session-operator' }> => twin.role === 'session-operator',
);
const candidateOf = (twin: Twin): Candidate => ({ kind: 'twin', name: twin.name, planned: [], twin });

/** The command that a candidate is started by. */
function commandOf(candidate: Candidate): string[] {
  const { start, file } = sessionOperatorTarget({ candidate });
  return 'command' in start ? fill(start.command, { 'operator.main': referenceProgram({ candidate }) }, file) : [];
}

test('the reference is started by its own program', () => {
  expect(commandOf(references).at(-1)).toMatch(/\/workloads\/session-operator\/main\.ts$/);
});

test.each(twins)('the twin $name is started by its own program, where it has one', (twin) => {
  const { variant } = twin.sessionOperator;
  const [program = ''] = commandOf(candidateOf(twin)).slice(-1);
  const folder = variant === undefined ? 'session-operator' : `session-operator-twins/${variant}`;
  expect(program.endsWith(`/workloads/${folder}/main.ts`)).toBe(true);
  expect(existsSync(program)).toBe(true);
});

test('what a twin documents is documented beyond the reference', () => {
  const twin = twins.find(({ sessionOperator }) => sessionOperator.documents !== undefined);
  const [rule] = twin?.sessionOperator.documents ?? [];
  expect(rule).toBeDefined();
  expect(sessionOperatorTarget({ candidate: references }).rules.namespaced).not.toContainEqual(rule);
  expect(sessionOperatorTarget({ candidate: candidateOf(twin as Twin) }).rules.namespaced).toContainEqual(rule);
});
