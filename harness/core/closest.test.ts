import { expect, test } from 'vitest';
import { closest, didYouMean } from './closest.ts';

const KNOWN = ['token-rotation', 'token-exchange', 'TR-01', 'TR-02', 'TR-10', 'never-rotates'];

test.each([
  ['two letters swapped', 'token-rotatoin', ['token-rotation']],
  ['another case', 'tr-01', ['TR-01']],
  ['one letter too many', 'token-exxchange', ['token-exchange']],
  ['several at the same distance', 'TR-00', ['TR-01', 'TR-02', 'TR-10']],
  ['nothing near', 'job-lifecycle', []],
  ['an empty name', '', []],
])('%s', (_, name, expected) => {
  expect(closest(name, KNOWN)).toEqual(expected);
});

test('three at most', () => {
  expect(closest('a0', ['a1', 'a2', 'a3', 'a4'])).toHaveLength(3);
});

test('nothing is known', () => {
  expect(closest('a', [])).toEqual([]);
});

test('the question', () => {
  expect(didYouMean('tr-01', KNOWN)).toBe(' Did you mean TR-01?');
  expect(didYouMean('TR-00', KNOWN)).toBe(' Did you mean TR-01, TR-02 or TR-10?');
  expect(didYouMean('job-lifecycle', KNOWN)).toBe('');
});
