import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { rewrittenBody } from './rewrite.ts';

const JSON_BODY = { 'content-type': 'application/json' };
const label = (_: object, body: unknown): unknown => ({ ...(body as object), labelled: true });

function request(method: string, body: string): IncomingMessage {
  return Object.assign(Readable.from([Buffer.from(body)]), { method, url: '/' }) as unknown as IncomingMessage;
}

test.each(['POST', 'PUT'])('an object in JSON that a %s makes is changed', async (method) => {
  const body = await rewrittenBody(label, request(method, '{"kind":"Pod"}'), JSON_BODY);
  expect(JSON.parse(String(body))).toEqual({ kind: 'Pod', labelled: true });
});

test.each([
  ['a patch', 'PATCH', JSON_BODY],
  ['what is no JSON', 'POST', { 'content-type': 'application/vnd.kubernetes.protobuf' }],
])('the body of %s is not read', async (_, method, headers) => {
  expect(await rewrittenBody(label, request(method, '{}'), headers)).toBeUndefined();
});

test('what says that it is JSON and is not goes to the API server as it is', async () => {
  expect(String(await rewrittenBody(label, request('POST', '{'), JSON_BODY))).toBe('{');
});

test('a body beyond any object is told', async () => {
  const large = request('POST', ' '.repeat(5 * 1024 * 1024));
  await expect(rewrittenBody(label, large, JSON_BODY)).rejects.toThrow('is no object');
});
