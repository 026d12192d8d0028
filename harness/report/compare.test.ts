import { expect, test } from 'vitest';
import type { Outcome } from '../core/outcome.ts';
import { compare, describeComparison } from './compare.ts';
import { reportOf, resultOf } from './report-builders.ts';

const report = (outcomes: Record<string, Outcome>, more: Parameters<typeof reportOf>[1] = {}) =>
  reportOf(
    Object.entries(outcomes).map(([id, outcome]) => resultOf(id, outcome)),
    more,
  );
const idsOf = ({ notes: _, ...lists }: ReturnType<typeof compare>): Record<string, string[]> =>
  Object.fromEntries(Object.entries(lists).map(([name, rows]) => [name, rows.map(({ id }) => id)]));

test('each change is in its list', () => {
  const one = report({
    A: 'passed',
    B: 'failed',
    C: 'passed',
    D: 'not testable',
    E: 'not applicable',
    F: 'passed',
    G: 'failed',
    H: 'passed',
    K: 'failed',
  });
  const other = report({
    A: 'failed',
    B: 'passed',
    C: 'passed',
    D: 'failed',
    E: 'failed',
    F: 'disabled',
    G: 'harness error',
    I: 'failed',
    K: 'not applicable',
  });
  expect(idsOf(compare(one, other))).toEqual({
    worse: ['A', 'E', 'F'],
    better: ['B'],
    undecided: ['G'],
    changed: ['D', 'K'],
    added: ['I'],
    gone: ['H'],
    slower: [],
  });
});

test('planned and not executed is no verdict', () => {
  const other = report({ A: 'passed' }, { planned: ['A', 'B'] });
  expect(compare(report({ A: 'passed', B: 'passed' }), other).undecided).toEqual([
    { id: 'B', level: 'MUST', before: 'passed', after: 'not executed' },
  ]);
});

test('slower: half as long again and ten seconds more', () => {
  const lasting = (milliseconds: number[]) =>
    reportOf(milliseconds.map((durationMs, index) => resultOf(`A-${index}`, 'passed', { durationMs })));
  const { slower } = compare(lasting([1000, 20_000, 60_000]), lasting([9000, 31_000, 71_000]));
  expect(slower.map(({ id }) => id)).toEqual(['A-1']);
});

test('in words: what got worse first, with what was seen; what is not the same in both', () => {
  const text = describeComparison(
    compare(report({ A: 'passed', B: 'failed' }), report({ A: 'failed', B: 'passed' }, { target: { name: 'other' } })),
  );
  expect(text).toMatch(/^worse \(1\)\n {2}A {7}MUST: passed → failed: A is failed for a reason\nbetter \(1\)/);
  expect(text).toContain('target: references and other');
  expect(describeComparison(compare(report({ A: 'passed' }), report({ A: 'passed' })))).toBe('nothing changed\n');
});
