import { expect, test } from 'vitest';
import { tallyOf } from './own-tests-tally.ts';

test('what is planned passes by the outcome that it must have, and is wrong by any other, and by none', () => {
  const results = [
    { id: 'TR-01', outcome: 'passed' },
    { id: 'AI-13a', outcome: 'failed', reason: 'it ignores `crit`' },
    { id: 'TR-03', outcome: 'failed', reason: 'it never rotates' },
  ] as const;
  expect(
    tallyOf(['TR-01', 'AI-13a', 'TR-03', 'TR-07'], [...results], (id) => (id === 'AI-13a' ? 'failed' : 'passed')),
  ).toEqual({
    passed: 2,
    wrong: ['TR-03 is failed, and must be passed: it never rotates', 'TR-07 is not executed, and must be passed: '],
  });
});
