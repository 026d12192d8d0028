import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadCatalogue, type Requirement } from '../catalogue/catalogue.ts';
import { UsageError } from '../core/errors.ts';
import { ROLES } from '../role-data/index.ts';
import { ROLE_DEFINITIONS } from '../roles/index.ts';
import type { Candidate } from '../rpc/candidate.ts';
import { observationOf } from './plan.ts';
import { candidatesOf, DEFAULT_OPTIONS } from './session.ts';
import { parseShard, planDigest, rowsOfShard, shardsOf } from './shards.ts';

const ONE_OBSERVATION = ROLE_DEFINITIONS.filter((role) => role.sharesOneObservation === true).map(({ role }) => role);

const catalogue = loadCatalogue();
const references = candidatesOf(catalogue, DEFAULT_OPTIONS);

function splitOf(candidates: Candidate[], count: number, requirements = catalogue.requirements): string[][] {
  return Array.from({ length: count }, (_, index) =>
    rowsOfShard({ requirements }, candidates, { index: index + 1, count }).map(
      ({ candidate, id }) => `${candidate} ${id}`,
    ),
  );
}

test.each([
  ['a/b', 'two whole numbers'],
  ['3', 'two whole numbers'],
  ['1/3/5', 'two whole numbers'],
  ['-1/3', 'two whole numbers'],
  ['0/3', 'the first is 1/3'],
  ['4/3', 'the last is 3/3'],
  ['1/0', 'at least one shard'],
])('--shard %s is refused, and what would be right is said', (text, said) => {
  expect(() => parseShard(text)).toThrow(UsageError);
  expect(() => parseShard(text)).toThrow(`--shard ${text}: `);
  expect(() => parseShard(text)).toThrow(said);
});

test('--shard 2/3', () => {
  expect(parseShard('2/3')).toEqual({ index: 2, count: 3 });
});

test.each([1, 2, 3, 4, 12])('%i shards of everything: each row once, none of them empty', (count) => {
  const shards = splitOf(references, count);
  const planned = references.flatMap(({ name, planned: ids }) => ids.map((id) => `${name} ${id}`));
  expect(shards.flat().toSorted()).toEqual(planned.toSorted());
  expect(shards.filter((rows) => rows.length === 0)).toEqual([]);
});

/** Of each observation, in which shards it is. */
function shardsOfObservations(count: number): Map<string, Set<number>> {
  const rows = new Map(catalogue.requirements.map((row) => [`references ${row.id}`, row]));
  const found = new Map<string, Set<number>>();
  for (const [index, shard] of splitOf(references, count).entries()) {
    for (const name of shard) {
      const key = observationOf(rows.get(name) as Requirement);
      found.set(key, (found.get(key) ?? new Set()).add(index));
    }
  }
  return found;
}

test.each([2, 4, 12])('of %i shards no two make the same observation', (count) => {
  const shards = shardsOfObservations(count);
  expect(shards.size).toBeGreaterThan(100);
  expect([...shards].filter(([, places]) => places.size > 1)).toEqual([]);
});

const selections = {
  everything: {},
  'rbac-minimal': { suites: ['rbac-minimal'] },
  'four suites': { suites: ['rbac-minimal', 'job-lifecycle', 'pvc-sharing', 'workload-hardening'] },
};

test.each(Object.keys(selections).flatMap((name) => [2, 4, 12].map((count) => [name, count] as const)))(
  '%s in %i shards: none is far above its share, or above the longest observation',
  (name, count) => {
    const candidates = candidatesOf(catalogue, { ...DEFAULT_OPTIONS, ...selections[name as keyof typeof selections] });
    const seconds = shardsOf(catalogue, candidates, { index: 1, count }).map((shard) => shard.seconds);
    const share = seconds.reduce((sum, each) => sum + each, 0) / count;
    const planned = new Set(candidates.flatMap((candidate) => candidate.planned));
    const selected = catalogue.requirements.filter(({ id }) => planned.has(id));
    const longest = [...Map.groupBy(selected, observationOf).values()].map(
      (rows) => rows.length + Math.max(...rows.map(({ expectedSeconds = 0 }) => expectedSeconds)),
    );
    expect(Math.max(...seconds)).toBeLessThanOrEqual(1.1 * Math.max(share, ...longest));
  },
);

test('what shares fixtures stays together where that is no longer than a share', () => {
  const rows = [
    ...['AA-01', 'AA-02', 'AA-03'].map((id) => requirement('cluster', 'one', id, 10)),
    ...['BB-01', 'BB-02', 'BB-03'].map((id) => requirement('cluster', 'two', id, 10)),
  ];
  const candidate: Candidate = { kind: 'references', name: 'references', planned: rows.map(({ id }) => id) };
  expect(splitOf([candidate], 2, rows)).toEqual([
    ['references AA-01', 'references AA-02', 'references AA-03'],
    ['references BB-01', 'references BB-02', 'references BB-03'],
  ]);
  // Four shards have half of such a block each, or a third of it.
  expect(splitOf([candidate], 4, rows).map((shard) => shard.length)).toEqual([2, 2, 1, 1]);
});

test('the roles of one observation are those that share something across suites', () => {
  const roles = fileURLToPath(new URL('../roles/', import.meta.url));
  const found = globSync('*/**/*.ts', { cwd: roles })
    .filter((file) => readFileSync(join(roles, file), 'utf8').includes('.sharedByAllFiles('))
    .map((file) => file.split('/')[0]);
  expect([...new Set(found)].toSorted()).toEqual(ONE_OBSERVATION.toSorted());
});

const requirement = (role: Requirement['role'], suite: string, id: string, expectedSeconds?: number): Requirement => ({
  ...(catalogue.requirements[0] as Requirement),
  role,
  suite,
  id,
  expectedSeconds,
});

test('the longest is alone where the rest is shorter', () => {
  const rows = [
    requirement('cluster', 'one', 'AA-01', 100),
    requirement('cluster', 'two', 'BB-01', 10),
    requirement('cluster', 'three', 'CC-01'),
    requirement('cluster', 'four', 'DD-01'),
  ];
  const candidate: Candidate = { kind: 'references', name: 'references', planned: rows.map(({ id }) => id) };
  expect(splitOf([candidate], 2, rows)).toEqual([
    ['references AA-01'],
    ['references BB-01', 'references DD-01', 'references CC-01'],
  ]);
});

test('a plan in another order is split in the same way', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ role: fc.constantFrom(...ROLES), suite: fc.constantFrom('a', 'b', 'c'), seconds: fc.nat(200) }),
        {
          minLength: 20,
          maxLength: 60,
        },
      ),
      fc.integer({ min: 1, max: 3 }),
      (drawn, count) => {
        const rows = drawn.map(({ role, suite, seconds }, index) =>
          requirement(role, suite, `XX-${index}`, seconds === 0 ? undefined : seconds),
        );
        const ids = rows.map(({ id }) => id);
        const split = (planned: string[], requirements: Requirement[]): string[][] =>
          splitOf([{ kind: 'references', name: 'references', planned }], count, requirements).map((shard) =>
            shard.sort(),
          );
        expect(split(ids.toReversed(), rows.toReversed())).toEqual(split(ids, rows));
      },
    ),
    { seed: 7, numRuns: 50 },
  );
});

describe('prove', () => {
  const twins = candidatesOf(catalogue, { ...DEFAULT_OPTIONS, mode: 'prove' });

  test('a twin is whole, and each is in one shard', () => {
    const shards = splitOf(twins, 3).map((rows) => [...new Set(rows.map((row) => row.split(' ')[0] ?? ''))]);
    expect(shards.flat().toSorted()).toEqual(twins.map(({ name }) => name).toSorted());
    const seconds = shardsOf(catalogue, twins, { index: 1, count: 3 }).map((shard) => shard.seconds);
    expect(Math.min(...seconds)).toBeGreaterThan(0.95 * Math.max(...seconds));
  });

  test('more shards than twins', () => {
    expect(() => rowsOfShard(catalogue, twins.slice(0, 2), { index: 1, count: 3 })).toThrow(
      '--shard 1/3: 2 twins are selected, and a twin is not split. Give at most 2 shards.',
    );
  });
});

test('more shards than there is anything to put into', () => {
  const few = candidatesOf(catalogue, { ...DEFAULT_OPTIONS, requirements: ['TR-20', 'TR-21'] });
  expect(() => rowsOfShard(catalogue, few, { index: 1, count: 2 })).toThrow(
    '--shard 1/2: 2 requirements are selected, and those of one observation are not split. Give at most 1 shards.',
  );
  expect(() => rowsOfShard(catalogue, references, { index: 1, count: 1000 })).toThrow('Give at most');
});

test('the digest of a plan: the same in another order, another for other rows or options', () => {
  const [whole] = references as [Candidate];
  const digest = planDigest(references, DEFAULT_OPTIONS);
  expect(digest).toMatch(/^[0-9a-f]{64}$/);
  expect(planDigest([{ ...whole, planned: whole.planned.toReversed() }], DEFAULT_OPTIONS)).toBe(digest);
  const others = [
    planDigest([{ ...whole, planned: whole.planned.slice(1) }], DEFAULT_OPTIONS),
    planDigest(references, { ...DEFAULT_OPTIONS, clock: 'real' }),
    planDigest(references, { ...DEFAULT_OPTIONS, cluster: 'kubeconfig' }),
    planDigest(references, { ...DEFAULT_OPTIONS, identityProvider: 'embedded' }),
  ];
  expect(new Set([digest, ...others]).size).toBe(5);
});
