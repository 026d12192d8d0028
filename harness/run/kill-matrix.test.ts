import { expect, test } from 'vitest';
import type { Twin } from '../catalogue/catalogue.ts';
import type { Outcome } from '../core/outcome.ts';
import type { Candidate } from '../rpc/candidate.ts';
import type { RequirementResult } from '../rpc/protocol.ts';
import { isProven, killMatrix } from './kill-matrix.ts';

const twin: Twin = {
  name: 'never-rotates',
  role: 'cluster',
  fault: 'f',
  suite: 's',
  cluster: {},
  mustFail: ['TR-03', 'TR-05'],
};
const candidate: Candidate = {
  kind: 'twin',
  name: 'never-rotates',
  twin,
  planned: ['TR-01', 'TR-03', 'TR-05'],
};

function results(outcomes: Record<string, Outcome>): RequirementResult[] {
  return Object.entries(outcomes).map(([id, outcome]) => ({
    id,
    candidate: candidate.name,
    outcome,
    startedAt: '2026-01-01T00:00:00.000Z',
    durationMs: 1,
    evidence: [],
  }));
}

const matrixOf = (outcomes: Record<string, Outcome>) => killMatrix([candidate], results(outcomes));

test('killed: it fails exactly where it must; not testable counts as failed', () => {
  const matrix = matrixOf({ 'TR-01': 'passed', 'TR-03': 'failed', 'TR-05': 'not testable' });
  expect(matrix.twins[0]).toMatchObject({ mustFail: ['TR-03', 'TR-05'], failed: ['TR-03', 'TR-05'], surprises: [] });
  expect(isProven(matrix)).toBe(true);
});

test('a survivor', () => {
  const matrix = matrixOf({ 'TR-01': 'passed', 'TR-03': 'passed', 'TR-05': 'failed' });
  expect(matrix.survivors).toEqual(['never-rotates']);
  expect(matrix.twins[0]?.surprises).toMatchObject([{ id: 'TR-03', outcome: 'passed' }]);
  expect(isProven(matrix)).toBe(false);
});

test.each(['failed', 'not testable', 'harness error', 'disabled'] as const)('%s where it must not', (outcome) => {
  const matrix = matrixOf({ 'TR-01': outcome, 'TR-03': 'failed', 'TR-05': 'failed' });
  expect(matrix.survivors).toEqual([]);
  expect(matrix.twins[0]?.surprises).toMatchObject([{ id: 'TR-01', outcome }]);
  expect(isProven(matrix)).toBe(false);
});

test('a harness error is no kill', () => {
  const matrix = matrixOf({ 'TR-01': 'passed', 'TR-03': 'harness error', 'TR-05': 'failed' });
  expect(matrix.survivors).toEqual(['never-rotates']);
  expect(isProven(matrix)).toBe(false);
});

test('what was not executed is a surprise, and no twin at all proves nothing', () => {
  expect(matrixOf({ 'TR-03': 'failed', 'TR-05': 'failed' }).twins[0]?.surprises).toMatchObject([
    { id: 'TR-01', outcome: 'not executed' },
  ]);
  expect(isProven(killMatrix([], []))).toBe(false);
});

test('a row that was evaluated again says what went wrong the first time', () => {
  const again = results({ 'TR-01': 'passed', 'TR-03': 'failed', 'TR-05': 'failed' });
  const [first] = again;
  if (first !== undefined) {
    first.disturbedBefore = 'the machine stalled';
  }
  const matrix = killMatrix([candidate], again);
  expect(matrix.twins[0]?.disturbedBefore).toEqual([{ id: 'TR-01', reason: 'the machine stalled' }]);
  expect(isProven(matrix)).toBe(true);
});
