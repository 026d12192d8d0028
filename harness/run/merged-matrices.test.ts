import { expect, test } from 'vitest';
import { loadCatalogue } from '../catalogue/catalogue.ts';
import { UsageError } from '../core/errors.ts';
import type { RequirementResult } from '../rpc/protocol.ts';
import { disturbancesOf, isProven, killMatrix } from './kill-matrix.ts';
import { type MatrixFile, type MatrixPart, mergeMatrices, parseMatrixPart, plannedTwins } from './merged-matrices.ts';
import { candidatesOf, DEFAULT_OPTIONS } from './session.ts';
import { planDigest, rowsOfShard } from './shards.ts';

const COUNT = 12;
const catalogue = loadCatalogue();
const options = { ...DEFAULT_OPTIONS, mode: 'prove', bystanders: 'reached' } as const;
const everything = candidatesOf(catalogue, options);

/** What comes of a shard, or of all where there is none, in which each twin fails where it must and nowhere else. */
function proofOf(index?: number) {
  const only = index === undefined ? undefined : rowsOfShard(catalogue, everything, { index, count: COUNT });
  const candidates = only === undefined ? everything : candidatesOf(catalogue, { ...options, only });
  const results = candidates.flatMap(({ name, planned, ...candidate }) =>
    planned.map((id): RequirementResult => {
      const isKilled = 'twin' in candidate && candidate.twin.mustFail.includes(id);
      const outcome = isKilled ? 'failed' : 'passed';
      return { id, candidate: name, outcome, startedAt: '2026-01-01T00:00:00.000Z', durationMs: 1, evidence: [] };
    }),
  );
  return killMatrix(candidates, results);
}

function part(index: number, more: Partial<MatrixPart['shard']> = {}): MatrixFile {
  const shard = {
    index,
    count: COUNT,
    version: '1.0.0',
    catalogue: catalogue.digest,
    planDigest: planDigest(everything, options),
    planned: plannedTwins(everything),
    faults: [],
    ...more,
  };
  return parseMatrixPart(JSON.parse(JSON.stringify({ ...proofOf(index), shard })), `part-${index}.json`);
}

const parts = Array.from({ length: COUNT }, (_, index) => part(index + 1));

test('twelve shards, in any order, give what one machine gives', () => {
  const { matrix, faults } = mergeMatrices(parts.toReversed());
  expect(matrix).toEqual(proofOf());
  expect(matrix.twins.length).toBeGreaterThan(200);
  expect(isProven(matrix)).toBe(true);
  expect(faults).toEqual([]);
});

test('the twins of a shard that is missing were not executed', () => {
  const { matrix, faults } = mergeMatrices(parts.filter(({ part: { shard } }) => shard.index !== 3));
  const missing = proofOf(3).twins.map(({ name }) => name);
  expect(matrix.twins.filter((row) => disturbancesOf(row).length > 0).map(({ name }) => name)).toEqual(
    everything.map(({ name }) => name).filter((name) => missing.includes(name)),
  );
  // Nobody has seen them fail.
  expect(matrix.survivors.toSorted()).toEqual(missing.toSorted());
  expect(matrix.twins.map(({ mustFail }) => mustFail)).toEqual(proofOf().twins.map(({ mustFail }) => mustFail));
  expect(isProven(matrix)).toBe(false);
  expect(faults).toEqual([`shard 3/${COUNT} is missing`]);
});

test('a twin that survives in its shard survives in the whole, and a fault of a shard is one of the whole', () => {
  const [first, ...others] = parts as [MatrixFile, ...MatrixFile[]];
  const [row, ...rest] = first.part.twins;
  const survivor = { ...first.part, twins: [{ ...(row as (typeof rest)[number]), failed: [] }, ...rest] };
  const { matrix } = mergeMatrices([{ ...first, part: survivor }, ...others]);
  expect(matrix.survivors).toEqual([row?.name]);
  expect(mergeMatrices([part(1, { faults: ['the run was aborted'] }), ...others]).faults).toEqual([
    `shard 1/${COUNT}: the run was aborted`,
  ]);
});

test.each<[string, () => unknown, string]>([
  ['nothing', () => mergeMatrices([]), 'there is no kill matrix to merge'],
  ['a whole matrix', () => parseMatrixPart(proofOf(), 'whole.json'), 'whole.json is a whole kill matrix and no shard'],
  ['a report beside it', () => parseMatrixPart({ apiVersion: 'conformance/v1' }, 'report.json'), 'report.json is not'],
  [
    'one shard twice',
    () => mergeMatrices([part(1), part(1)]),
    `shard 1/${COUNT} is there twice: in part-1.json and in`,
  ],
  [
    'another plan',
    () => mergeMatrices([part(1), part(2, { planDigest: 'other' })]),
    'the plan (digest) of part-1.json',
  ],
  ['another version', () => mergeMatrices([part(1), part(2, { version: '2.0.0' })]), 'Run all shards with one version'],
  ['another catalogue', () => mergeMatrices([part(1), part(2, { catalogue: 'x' })]), 'the catalogue (digest) of'],
  ['another count', () => mergeMatrices([part(1), part(2, { count: 4 })]), 'the number of shards of part-1.json is 12'],
  ['what is not in its plan', () => mergeMatrices([part(1, { planned: [] })]), 'it was altered'],
])('%s is refused', (_, act, message) => {
  expect(act).toThrow(UsageError);
  expect(act).toThrow(message);
});
