import { expect, test } from 'vitest';
import { parseLabelSelector } from './label-selector.ts';

const LABELS = { a: 'b', c: '', n: '7', in: 'notin', 'example.org/team': 'one' };

test.each([
  ['', true],
  ['a', true],
  ['!a', false],
  ['!d', true],
  ['d', false],
  ['a=b', true],
  ['a == b', true],
  ['a!=b', false],
  ['d!=b', true],
  ['c=', true],
  ['c=,a=b', true],
  ['a=', false],
  ['a=b,c,!d', true],
  ['a in (b)', true],
  ['a in (x)', false],
  ['a in (x, b)', true],
  ['a in(x,b)', true],
  ['d in (b)', false],
  ['a notin (x, y)', true],
  ['a notin (b, y)', false],
  ['d notin (b)', true],
  ['c in ()', true],
  ['c in (,x)', true],
  ['c in (x,)', true],
  ['c in (x,,y)', true],
  ['c in (x, y)', false],
  ['a in (x, b), example.org/team notin (two), n', true],
  ['a in (x, b), example.org/team notin (one)', false],
  ['n > 6', true],
  ['n>7', false],
  ['n<8, n>6', true],
  ['n<9223372036854775807', true],
  ['a > 1', false],
  ['in in (notin)', true],
  ['in = notin', true],
  ['in', true],
  ['\ta\nin\r( b )', true],
])('%s', (selector, is) => {
  expect(parseLabelSelector(selector).matches(LABELS)).toBe(is);
});

test.each([
  ['a,', /has its end where the key of a label is expected/],
  [',a', /has "," where the key/],
  ['a in b', /has "b" where "\(" is expected/],
  ['a in (b', /has its end where "," or "\)" is expected/],
  ['a in (b c)', /has "c" where "," or "\)"/],
  ['a in (b=c)', /has "=" where "," or "\)"/],
  ['a b', /has "b" where one of =, ==, !=, in, notin, > and < is expected/],
  ['a = b c', /has "c" where "," or its end is expected/],
  ['a=!b', /has "!" where a value is expected/],
  ['!a in (b)', /has "in" where "," or its end/],
  ['!', /has its end where the key/],
  ['a in (b))', /has "\)" where "," or its end/],
  ['-a', /"-a", which is no label key/],
  ['n<9223372036854775808', /is no whole number of 64 bits/],
  ['x/y/z', /no label key/],
  ['Example.org/a', /no label key/],
  ['a=b/c', /"b\/c", which is no label value/],
  [`a=${'x'.repeat(64)}`, /no label value/],
  ['a>b', /compares with "b", which is no whole number/],
])('%s is refused', (selector, message) => {
  expect(() => parseLabelSelector(selector)).toThrow(message);
});
