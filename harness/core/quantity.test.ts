import { expect, test } from 'vitest';
import { parseQuantity } from './quantity.ts';

test.each([
  ['1', 1],
  ['250m', 0.25],
  ['64Mi', 67_108_864],
  ['1.5Gi', 1_610_612_736],
  ['1e3', 1000],
  ['2k', 2000],
  ['1E', 1e18],
  ['.5', 0.5],
])('%s', (text, number) => {
  expect(parseQuantity(text)).toBe(number);
});

test.each(['', 'x', '1 Mi', '1mi', 'Mi', '1KiB'])('"%s" is none', (text) => {
  expect(parseQuantity(text)).toBeNaN();
});
