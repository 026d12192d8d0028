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

test('without all bystanders a twin is asked what its fault reaches, and each observation of three twins more', () => {
  const all = twinCandidates(catalogue, {});
  const reached = twinCandidates(catalogue, { bystanders: 'reached' });
  expect(reached.map(({ name }) => name)).toEqual(all.map(({ name }) => name));
  const rowOf = new Map(catalogue.requirements.map((row) => [row.id, row]));
  const observationOf = (id: string): string => `${rowOf.get(id)?.role} ${rowOf.get(id)?.observation ?? id}`;
  const elsewhere = new Map<string, string[]>();
  for (const [index, candidate] of reached.entries()) {
    const { mustFail } = candidate.kind === 'twin' ? candidate.twin : { mustFail: [] };
    const failed = new Set(mustFail.map(observationOf));
    const possible = all[index]?.planned ?? [];
    expect(candidate.planned, candidate.name).toEqual(expect.arrayContaining(mustFail));
    expect(possible, candidate.name).toEqual(expect.arrayContaining(candidate.planned));
    for (const observation of new Set(possible.map(observationOf))) {
      const rows = possible.filter((id) => observationOf(id) === observation);
      const asked = rows.filter((id) => candidate.planned.includes(id));
      if (failed.has(observation)) {
        expect(asked, candidate.name).toEqual(rows);
      } else {
        const others = elsewhere.get(observation) ?? [];
        elsewhere.set(observation, asked.length > 0 ? [...others, candidate.name] : others);
      }
    }
  }
  const most = Math.max(...[...elsewhere.values()].map((names) => names.length));
  expect(most).toBe(3);
  for (const [observation, names] of elsewhere) {
    expect(names.length, `${observation} is asked of a twin whose fault is elsewhere`).toBeGreaterThan(0);
  }
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
