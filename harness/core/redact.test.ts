import { generateKeyPairSync } from 'node:crypto';
import { jwtVerify, SignJWT } from 'jose';
import { expect, test } from 'vitest';
import { redact, redactData, SIGNATURE_CUT, wholeTokensIn } from './redact.ts';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const token = await new SignJWT({ sub: 'system:serviceaccount:ns:sa' })
  .setProtectedHeader({ alg: 'ES256' })
  .sign(privateKey);

test('what is left of a token is accepted by nobody and can still be read', async () => {
  await expect(jwtVerify(token, publicKey)).resolves.toBeDefined();
  const cut = redact(token);
  expect(cut).toBe(`${token.slice(0, token.lastIndexOf('.'))}.${SIGNATURE_CUT}`);
  await expect(jwtVerify(cut, publicKey)).rejects.toThrow();
});

test.each([
  ['a header', `authorization: Bearer ${token}\n`],
  ['a form', `grant_type=x&assertion=${token}&client_id=y`],
  ['JSON in JSON', JSON.stringify(JSON.stringify({ token }))],
  ['a URL', `https://host/?id_token=${token}#x`],
  ['two in a row', `${token} ${token}`],
  ['JSON, at the beginning of a line', JSON.stringify(`the answer:\n${token}`)],
  ['a word', `token${token}`],
])('finds it in %s', (_, text) => {
  const signature = token.slice(token.lastIndexOf('.') + 1);
  expect(text).toContain(signature);
  expect(redact(text)).not.toContain(signature);
});

test.each([' ', '\n  ', '\r\n', '\t'])('finds one whose header has white space behind the brace: %j', (space) => {
  const header = Buffer.from(`{${space}"alg": "ES256"}`).toString('base64url');
  const other = [header, ...token.split('.').slice(1)].join('.');
  expect(redact(JSON.stringify(`seen:\n${other}`))).toContain(SIGNATURE_CUT);
  expect(wholeTokensIn(other)).toEqual([redact(other)]);
});

test('leaves other text alone, and data in its shape', () => {
  const text = 'kid eyJ is no token; 1.2.3 is a version; https://a.b.c/d; newoutput-folder.tar.gz';
  expect(redact(text)).toBe(text);
  const data = { list: [1, null, { deep: token }], text };
  expect(redactData(data)).toEqual({ list: [1, null, { deep: redact(token) }], text });
  expect(data.list[2]).toEqual({ deep: token });
});

test('a whole token in an artefact is found, a cut one is not', () => {
  expect(wholeTokensIn(`before ${token} after`)).toEqual([redact(token)]);
  expect(wholeTokensIn(redact(token))).toEqual([]);
});
