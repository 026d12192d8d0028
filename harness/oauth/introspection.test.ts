import { expect, test } from 'vitest';
import { NotTestable } from '../core/errors.ts';
import type { FetchInit } from './fetch.ts';
import { introspect } from './introspection.ts';

const OPAQUE = 'an-opaque-access-token';
const introspection = {
  endpoint: 'https://idp.test/introspect',
  clientAuthentication: 'client-secret-basic',
  clientId: 'resource server',
  clientSecret: 's:t',
} as const;

const answering =
  (status: number, body: string, seen: FetchInit[] = []) =>
  async (_: string, init: FetchInit = {}): Promise<Response> => {
    seen.push(init);
    return new Response(body, { status });
  };

test('the resource server authenticates itself, by HTTP Basic or in the form', async () => {
  const seen: FetchInit[] = [];
  const fetch = answering(200, '{"active":true,"sub":"a"}', seen);
  expect(await introspect(fetch, introspection, OPAQUE)).toMatchObject({ active: true, members: { sub: 'a' } });
  await introspect(fetch, { ...introspection, clientAuthentication: 'client-secret-post' }, OPAQUE);
  const credentials = Buffer.from('resource+server:s%3At').toString('base64');
  expect(seen[0]?.headers?.authorization).toBe(`Basic ${credentials}`);
  expect(seen[0]?.body).not.toContain('client_secret');
  expect(seen[1]?.headers?.authorization).toBeUndefined();
  expect(new URLSearchParams(seen[1]?.body).get('client_secret')).toBe('s:t');
});

test('what is not active, or refused to be looked at, is not active; an echoed token is not reported', async () => {
  expect(await introspect(answering(200, '{"active":false}'), introspection, OPAQUE)).toMatchObject({ active: false });
  const refused = await introspect(answering(400, `no such token: ${OPAQUE}`), introspection, OPAQUE);
  expect(refused).toMatchObject({ active: false, why: expect.stringContaining('no such token: TOKEN-CUT') });
});

test.each([
  [401, '{"error":"invalid_client"}'],
  [200, 'no JSON'],
  [200, '{}'],
  [200, 'null'],
  [503, ''],
])('%i %s is no introspection: nothing can be said', async (status, body) => {
  await expect(introspect(answering(status, body), introspection, OPAQUE)).rejects.toThrow(NotTestable);
});
