import { expect, test } from 'vitest';
import { exchange, tokenRequestForm } from './exchange.ts';
import type { Fetch } from './fetch.ts';
import { describeResponse, isAccepted } from './token-response.ts';

const REQUEST = { tokenEndpoint: 'https://idp.test/token', clientId: 'ns.agent', token: 'the+token' };

test.for([
  [
    'jwt-bearer',
    'none',
    'grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=the%2Btoken&client_id=ns.agent',
  ],
  [
    'jwt-bearer',
    'subject-token',
    'grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=the%2Btoken&client_id=ns.agent&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=the%2Btoken',
  ],
  [
    'token-exchange',
    'none',
    'grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=the%2Btoken&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&client_id=ns.agent',
  ],
  [
    'client-assertion',
    'subject-token',
    'grant_type=client_credentials&client_id=ns.agent&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=the%2Btoken',
  ],
] as const)(
  '%s with client authentication %s is form-encoded as its RFC says',
  ([grant, clientAuthentication, form]) => {
    expect(tokenRequestForm({ ...REQUEST, declaration: { grant, clientAuthentication } }).toString()).toBe(form);
  },
);

const answering =
  (status: number, body: string): Fetch =>
  async () =>
    new Response(body, { status, headers: { 'Cache-Control': 'no-store' } });

const ask = (status: number, body: string) =>
  exchange(answering(status, body), { ...REQUEST, declaration: { grant: 'jwt-bearer', clientAuthentication: 'none' } });

test('reads a token, an OAuth error and what is neither', async () => {
  const token = await ask(200, '{"access_token":"secret","token_type":"Bearer"}');
  expect(token).toMatchObject({ status: 200, accessToken: 'secret', headers: { 'cache-control': 'no-store' } });
  expect(isAccepted(token)).toBe(true);
  expect(describeResponse(token)).toBe('200 with an access token');

  const error = await ask(400, '{"error":"invalid_grant","error_description":"Invalid token audience"}');
  expect(isAccepted(error)).toBe(false);
  expect(describeResponse(error)).toBe('400 invalid_grant: Invalid token audience');

  for (const body of ['', '<html>', '[]', 'null', '{"access_token":""}', '{"access_token":7}']) {
    const neither = await ask(200, body);
    expect(isAccepted(neither), body).toBe(false);
    expect(describeResponse(neither), body).toMatch(
      /^200 (without an OAuth error|with an (empty body|HTML page)|whose access_token is (empty|no string .number.))$/,
    );
  }
});

test('posts the form, asks for no redirect and sends no Authorization header', async () => {
  let seen: Parameters<Fetch> | undefined;
  const fetch: Fetch = async (...request) => {
    seen = request;
    return new Response('{}');
  };
  await exchange(fetch, { ...REQUEST, declaration: { grant: 'jwt-bearer', clientAuthentication: 'none' } });
  expect(seen?.[0]).toBe('https://idp.test/token');
  expect(seen?.[1]).toMatchObject({ method: 'POST', redirect: 'manual' });
  expect(Object.keys(seen?.[1]?.headers ?? {})).toEqual(['content-type', 'accept', 'connection']);
});

test('a request may name no client, and be JSON, where that is declared', async () => {
  let seen: Parameters<Fetch> | undefined;
  const fetch: Fetch = async (...request) => {
    seen = request;
    return new Response('{}');
  };
  const declaration = {
    grant: 'jwt-bearer',
    clientAuthentication: 'none',
    omitsClientId: true,
    encoding: 'json',
    parameters: { organization_id: 'one' },
  } as const;
  await exchange(fetch, { ...REQUEST, declaration });
  expect(seen?.[1]?.headers?.['content-type']).toBe('application/json');
  expect(JSON.parse(seen?.[1]?.body ?? '')).toEqual({
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion: 'the+token',
    organization_id: 'one',
  });
});
