import { expect, test } from 'vitest';
import { haveOneKey } from './published-keys.ts';

const set = (...keys: object[]): string => JSON.stringify({ keys });

test('two clusters are one where they publish a key in common, under whatever name', () => {
  const ec = { kty: 'EC', crv: 'P-256', x: 'a', y: 'b' };
  const rsa = { kty: 'RSA', n: 'c', e: 'AQAB' };
  expect(haveOneKey(set({ ...ec, kid: '1' }), set(rsa, { ...ec, kid: '2' }))).toBe(true);
  expect(haveOneKey(set(rsa), set({ ...rsa, n: 'd' }))).toBe(false);
  expect(haveOneKey(set(ec), set({ ...ec, y: 'c' }))).toBe(false);
  expect(haveOneKey(set(), set())).toBe(false);
});
