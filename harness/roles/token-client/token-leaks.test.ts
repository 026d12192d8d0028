import { expect, test } from 'vitest';
import { sha256 } from '../../../fixtures/workloads/lib/jwt.ts';
import { findTokenLeaks } from './token-leaks.ts';

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const unsigned = `${part({ alg: 'ES256' })}.${part({ iss: 'https://issuer.test' })}`;
const jwt = `${unsigned}.${'s'.repeat(86)}`;
const short = `${unsigned}.${'s'.repeat(43)}`;
const opaque = 'MTQ0NjJkZmQ5OTM2NDE1ZTZjNGZmZjI3';

test.each([
  ['in a header', `authorization: Bearer ${jwt}`],
  ['in a form', `grant_type=x&assertion=${jwt}&client_id=c`],
  ['in JSON', JSON.stringify({ body: { access_token: jwt } })],
  ['in JSON in JSON', JSON.stringify({ body: JSON.stringify({ access_token: jwt }) })],
  ['at the end of a sentence', `refused ${jwt}.`],
])('a JWS that nobody saw %s', (_, text) => {
  expect(findTokenLeaks(`first\n${text}`, new Set())).toEqual([
    { line: 2, sha256: sha256(jwt), token: 'unknown', issuer: 'https://issuer.test' },
  ]);
});

test('known tokens of any form', () => {
  const known = new Set([sha256(opaque), sha256(short)]);
  const leaks = findTokenLeaks(`access_token=${opaque}\n{"assertion":"${short}"}`, known);
  expect(leaks.map(({ line, token }) => [line, token])).toEqual([
    [1, 'known'],
    [2, 'known'],
  ]);
});

test.each([
  ['without its signature', unsigned],
  ['with something in its place', `${unsigned}.SIGNATURE-CUT`],
  ['with a digest in its place', `${unsigned}.${sha256(jwt)}`],
  ['as a digest', sha256(jwt)],
])('what is no token: %s', (_, text) => {
  expect(findTokenLeaks(text, new Set([sha256(jwt)]))).toEqual([]);
});
