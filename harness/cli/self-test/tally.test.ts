import { expect, test } from 'vitest';
import { grouped, tallyOf } from './tally.ts';

test('what is not as it must be, or was not executed, is wrong, and the line says both', () => {
  const results = [
    { id: 'A-1', outcome: 'passed' as const },
    { id: 'A-2', outcome: 'failed' as const, reason: 'it never rotates' },
    { id: 'A-3', outcome: 'failed' as const },
  ];
  expect(tallyOf(['A-1', 'A-2', 'A-3', 'A-4', 'A-5'], results, (id) => (id === 'A-3' ? 'failed' : 'passed'))).toEqual({
    passed: 2,
    wrong: ['A-2: failed, and must be passed: it never rotates', 'A-4: not executed', 'A-5: not executed'],
    again: [],
    faults: [],
  });
});

test('what was evaluated a second time is told, where it is right', () => {
  const disturbedBefore = 'the machine stalled';
  const results = [
    { id: 'A-1', outcome: 'passed' as const, disturbedBefore },
    { id: 'A-2', outcome: 'failed' as const, reason: 'it never rotates', disturbedBefore },
  ];
  expect(tallyOf(['A-1', 'A-2'], results, () => 'passed')).toMatchObject({
    passed: 1,
    again: ['A-1: the machine stalled'],
  });
});

test('what the harness could not evaluate, and did not evaluate a second time, is a fault', () => {
  const unevaluated = { outcome: 'harness error' as const, reason: 'the provider did not answer' };
  const results = [
    { id: 'A-1', ...unevaluated },
    { id: 'A-2', ...unevaluated, disturbedBefore: 'the machine stalled' },
  ];
  expect(tallyOf(['A-1', 'A-2'], results, () => 'passed')).toMatchObject({
    passed: 0,
    wrong: [
      'A-1: harness error, and must be passed: the provider did not answer',
      'A-2: harness error, and must be passed: the provider did not answer',
    ],
    faults: ['1 could not be evaluated, too many to re-run: the provider did not answer'],
  });
});

test('what has one cause is told in one line', () => {
  const lines = ['A-1: not executed', 'B-1: failed: late: 3 s', 'A-2: not executed', 'no colon', 'nor here'];
  expect(grouped(lines)).toEqual(['A-1 A-2: not executed', 'B-1: failed: late: 3 s', 'no colon; nor here']);
});
