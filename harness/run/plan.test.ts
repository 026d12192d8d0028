import { expect, test } from 'vitest';
import { loadCatalogue } from '../catalogue/catalogue.ts';
import { UsageError } from '../core/errors.ts';
import { referencesCandidate, select, twinCandidates } from './plan.ts';

const catalogue = loadCatalogue();

test('nothing named is everything; suites and ids narrow it', () => {
  expect(select(catalogue, {})).toHaveLength(catalogue.requirements.length);
  expect(select(catalogue, { suites: ['token-rotation'] }).every((row) => row.suite === 'token-rotation')).toBe(true);
  expect(referencesCandidate(select(catalogue, { requirements: ['TR-03'] })).planned).toEqual(['TR-03']);
});

test.each([
  ['suite', { suites: ['token-rotatoin'] }, 'token-rotatoin'],
  ['requirement', { requirements: ['TR-99'] }, 'TR-99'],
  ['nothing in both', { suites: ['audience-isolation'], requirements: ['TR-03'] }, 'TR-03'],
])('an unknown %s is a usage error, and is named', (_, selection, named) => {
  expect(() => select(catalogue, selection)).toThrow(UsageError);
  expect(() => select(catalogue, selection)).toThrow(named);
});

test('an unknown twin is a usage error', () => {
  expect(() => twinCandidates(catalogue, { twins: ['nobody'] })).toThrow(UsageError);
});

test.each([
  ['suite', { suites: ['TR-04'] }, 'TR-04 is a requirement; use --requirement TR-04.'],
  ['suite', { suites: ['never-rotates'] }, 'never-rotates is a twin; use conformance prove never-rotates.'],
  ['requirement', { requirements: ['token-rotation'] }, 'token-rotation is a suite'],
  ['requirement', { requirements: ['tr-04'] }, 'Did you mean TR-04? See `conformance list`.'],
])('a %s that is something else, or nearly one, is told how to be given', (_, selection, message) => {
  expect(() => select(catalogue, selection)).toThrow(message);
});

test('the error for an unknown requirement does not list all of them', () => {
  expect(() => select(catalogue, { requirements: ['TR-999'] })).toThrow(/^.{1,120}$/);
});

test('a twin is evaluated by the requirements of its role in the suites that it must fail, and by no other', () => {
  const [candidate] = twinCandidates(catalogue, { twins: ['never-rotates'] });
  const rows = catalogue.requirements.filter(
    ({ role, suite, expensive, twins }) =>
      role === 'cluster' && suite === 'token-rotation' && (expensive !== true || twins.includes('never-rotates')),
  );
  expect(candidate?.planned).toEqual(rows.map(({ id }) => id));
});

test('an expensive requirement evaluates the twins that must fail it, and no other', () => {
  const requirements = catalogue.requirements.map((row) =>
    row.suite === 'token-rotation' ? { ...row, expensive: true } : row,
  );
  const [candidate] = twinCandidates({ ...catalogue, requirements }, { twins: ['never-rotates'] });
  expect(candidate?.planned).toEqual(['TR-03', 'TR-04', 'TR-05', 'TR-06']);
});

test('a twin that is a target is evaluated by what it must fail, and by nothing else', () => {
  const [candidate] = twinCandidates(catalogue, { twins: ['needs-a-good-cache-as-target'] });
  expect(candidate).toMatchObject({
    planned: ['TR-34'],
    twin: { tokenClient: { variant: 'needs-a-good-cache' } },
    targets: [{ role: 'token-client', name: 'reference' }],
  });
});
