import { createLocalJWKSet, decodeJwt, type JWTPayload, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { exchange, type TokenRequest } from '../../../oauth/exchange.ts';
import type { ProviderDescription, StartedIdentityProvider } from '../../../oauth/provider.ts';
import type { TokenResponse } from '../../../oauth/token-response.ts';
import { makeRogueIssuer, publicKeyAsSecrets, signHs256, tamper, unsecured } from '../rogue-issuer.ts';
import { makeTestIssuer, type TestIssuer } from '../test-issuer.ts';
import { startEmbedded } from './index.ts';

const AGENT = { namespace: 'agents', serviceAccount: 'runner' };
const OTHER = { namespace: 'agents', serviceAccount: 'other' };
const JWT_BEARER = { grant: 'jwt-bearer', clientAuthentication: 'none' } as const;
const JWT_BEARER_ASSERTED = { grant: 'jwt-bearer', clientAuthentication: 'subject-token' } as const;
const TOKEN_EXCHANGE = { grant: 'token-exchange', clientAuthentication: 'none' } as const;
const CLIENT_ASSERTION = { grant: 'client-assertion', clientAuthentication: 'subject-token' } as const;

const written = (['log', 'info', 'warn', 'error'] as const).map((name) => vi.spyOn(console, name));

let cluster: TestIssuer;
let started: StartedIdentityProvider;
let production: ProviderDescription;
let clientId: string;

beforeAll(async () => {
  cluster = await makeTestIssuer();
  const begun = performance.now();
  started = await startEmbedded(cluster.context);
  expect(performance.now() - begun, 'start, ms').toBeLessThan(2_000);
  const [first] = started.description.providers;
  if (first === undefined) {
    throw new Error('no provider');
  }
  production = first;
  ({ clientId } = await started.register('production', AGENT));
  await started.register('production', OTHER);
});
afterAll(() => started.stop());

const good = (change: (claims: JWTPayload, header: Record<string, unknown>) => void = () => {}, workload = AGENT) =>
  cluster.mint({ ...workload, audiences: [production.audience] }).then((token) => cluster.forge.resign(token, change));

const ask = (request: Partial<TokenRequest> & Pick<TokenRequest, 'token'>): Promise<TokenResponse> =>
  exchange(cluster.context.resolver.fetch, {
    tokenEndpoint: production.tokenEndpoint,
    declaration: JWT_BEARER,
    clientId,
    ...request,
  });

const post = async (form: Record<string, string>): Promise<{ status: number; body: Record<string, unknown> }> => {
  const response = await cluster.context.resolver.fetch(production.tokenEndpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
  });
  return { status: response.status, body: JSON.parse(await response.text()) as Record<string, unknown> };
};

const now = (): number => Math.floor(Date.now() / 1_000);

describe('a genuine token', () => {
  test.for([JWT_BEARER, JWT_BEARER_ASSERTED, TOKEN_EXCHANGE, CLIENT_ASSERTION])(
    'is exchanged: $grant, client authentication $clientAuthentication',
    async (declaration) => {
      const { status, headers, body, accessToken } = await ask({ declaration, token: await good() });
      expect(status).toBe(200);
      expect(headers['cache-control']).toBe('no-store');
      expect(body).toMatchObject({ token_type: 'Bearer', expires_in: 60 });
      expect(body).not.toHaveProperty('refresh_token');
      expect(body.issued_token_type).toBe(
        declaration.grant === 'token-exchange' ? 'urn:ietf:params:oauth:token-type:access_token' : undefined,
      );
      const claims = decodeJwt(accessToken ?? '');
      expect(claims).toMatchObject({
        iss: production.issuer,
        sub: 'system:serviceaccount:agents:runner',
        aud: production.accessTokenAudience,
        client_id: clientId,
      });
      expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(60);
    },
  );

  test('is exchanged for one that verifies by the published keys', async () => {
    const { accessToken = '' } = await ask({ token: await good() });
    const discovery = await cluster.context.resolver.fetch(`${production.issuer}/.well-known/openid-configuration`);
    const document = (await discovery.json()) as Record<string, string>;
    expect(document).toMatchObject({ issuer: production.issuer, token_endpoint: production.tokenEndpoint });
    expect(document.grant_types_supported).toEqual([
      'urn:ietf:params:oauth:grant-type:jwt-bearer',
      'urn:ietf:params:oauth:grant-type:token-exchange',
      'client_credentials',
    ]);
    const keys = await cluster.context.resolver.fetch(document.jwks_uri ?? '');
    const set = createLocalJWKSet((await keys.json()) as Parameters<typeof createLocalJWKSet>[0]);
    await jwtVerify(accessToken, set, {
      issuer: production.issuer,
      audience: production.accessTokenAudience,
      algorithms: ['ES256'],
    });
  });

  test('is accepted again and again, by all its grants', async () => {
    const token = await good();
    for (const declaration of [JWT_BEARER, JWT_BEARER_ASSERTED, TOKEN_EXCHANGE, CLIENT_ASSERTION, JWT_BEARER]) {
      expect((await ask({ declaration, token })).status).toBe(200);
    }
  });

  test('needs no client_id with a client assertion', async () => {
    const token = await good();
    const form = {
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: token,
    };
    expect((await post(form)).status).toBe(200);
  });

  test('may have its audience as a string, and no iat', async () => {
    const token = await good((claims) => {
      claims.aud = production.audience;
      delete claims.iat;
    });
    expect((await ask({ token })).status).toBe(200);
  });
});

describe('a bad token', () => {
  type Row = [fault: string, said: RegExp, make: () => string | Promise<string>];
  const claimed = (change: (claims: JWTPayload) => void) => () => good(change);
  const rows: Row[] = [
    ['garbage', /not a valid signed JWT/, () => 'garbage'],
    ['a JWE', /not a valid signed JWT/, () => 'a.b.c.d.e'],
    ['another audience', /audience/, claimed((claims) => (claims.aud = ['conformance-staging']))],
    ['a second audience', /exactly one audience/, claimed((claims) => (claims.aud = [production.audience, 'x']))],
    [
      'the audience twice',
      /exactly one audience/,
      claimed((claims) => (claims.aud = [production.audience, production.audience])),
    ],
    ['no audience', /audience missing/, claimed((claims) => delete claims.aud)],
    ['an empty list of audiences', /audience/, claimed((claims) => (claims.aud = []))],
    ['another issuer', /issuer/, claimed((claims) => (claims.iss = 'https://rogue.test'))],
    ['a trailing slash', /issuer/, claimed((claims) => (claims.iss += '/'))],
    ['no issuer', /issuer missing/, claimed((claims) => delete claims.iss)],
    ['no subject', /sub missing/, claimed((claims) => delete claims.sub)],
    ['another subject', /not mapped/, () => good(() => {}, OTHER)],
    ['an unmapped subject', /not mapped/, () => good(() => {}, { namespace: 'agents', serviceAccount: 'nobody' })],
    ['exp in the past', /expired/, claimed((claims) => (claims.exp = now() - 60))],
    ['no exp', /exp missing/, claimed((claims) => delete claims.exp)],
    [
      'exp that is a string',
      /exp is not a number/,
      claimed((claims) => Object.assign(claims, { exp: String(claims.exp) })),
    ],
    ['nbf in the future', /not yet valid/, claimed((claims) => (claims.nbf = now() + 60))],
    ['iat in the future', /issued in the future/, claimed((claims) => (claims.iat = now() + 60))],
    ['a changed payload', /signature/, async () => tamper(await good(), (claims) => Object.assign(claims, { x: 1 }))],
    ['alg none', /algorithm/, async () => unsecured(decodeJwt(await good()))],
    [
      'the wrong key',
      /signature/,
      async () => (await makeRogueIssuer()).sign(decodeJwt(await good()), { kid: await kidOf() }),
    ],
    ['an unknown key', /unknown key/, async () => (await makeRogueIssuer()).sign(decodeJwt(await good()))],
    [
      'a key that it brings itself',
      /unknown key/,
      async () =>
        (await makeRogueIssuer()).sign(decodeJwt(await good()), {
          jku: 'https://rogue.test/jwks',
          jwk: cluster.jwks.keys[0],
        }),
    ],
    [
      'an unknown critical header',
      /critical/,
      () => good((_, header) => Object.assign(header, { crit: ['b64'], b64: true })),
    ],
    [
      'HS256 by the public key',
      /algorithm/,
      async () => {
        const secrets = await publicKeyAsSecrets(cluster.jwks.keys[0] ?? {}, 'ES256');
        return signHs256(decodeJwt(await good()), secrets.PEM ?? '', { kid: await kidOf() });
      },
    ],
  ];
  const kidOf = async (): Promise<string> => String(cluster.jwks.keys[0]?.kid);

  test.for(rows)('with %s is refused by every grant', async ([, said, make]) => {
    for (const [declaration, error, status] of [
      [JWT_BEARER, 'invalid_grant', 400],
      [TOKEN_EXCHANGE, 'invalid_request', 400],
      [CLIENT_ASSERTION, 'invalid_client', 401],
      [JWT_BEARER_ASSERTED, 'invalid_client', 401],
    ] as const) {
      const token = await make();
      const response = await ask({ declaration, token });
      expect(response, declaration.grant).toMatchObject({ status, error });
      expect(response.errorDescription).toMatch(declaration.clientAuthentication === 'none' ? said : /./);
      expect(JSON.stringify(response.body)).not.toContain(token.slice(0, 40));
      expect(response.headers['cache-control']).toBe('no-store');
    }
  });

  test('is refused with a good client assertion, and a good one with a bad client assertion', async () => {
    const bad = await good((claims) => (claims.aud = ['conformance-staging']));
    const declaration = JWT_BEARER_ASSERTED;
    expect(await ask({ declaration, token: bad, clientAssertion: await good() })).toMatchObject({
      error: 'invalid_grant',
    });
    expect(await ask({ declaration, token: await good(), clientAssertion: bad })).toMatchObject({
      error: 'invalid_client',
    });
  });

  test('of another subject is refused with the client’s own assertion', async () => {
    const foreign = await good(() => {}, OTHER);
    const declaration = JWT_BEARER_ASSERTED;
    expect(await ask({ declaration, token: foreign, clientAssertion: await good() })).toMatchObject({
      error: 'invalid_grant',
    });
  });

  test('from another provider of the same server is refused', async () => {
    const staging = started.description.providers[1];
    const response = await ask({ tokenEndpoint: staging?.tokenEndpoint ?? '', token: await good() });
    expect(response.status).toBe(401);
  });
});

describe('a bad request', () => {
  test.for<[string, Record<string, string>, number, string]>([
    ['no grant_type', { client_id: 'agents.runner' }, 400, 'invalid_request'],
    ['an unknown grant_type', { grant_type: 'password', client_id: 'agents.runner' }, 400, 'unsupported_grant_type'],
    [
      'no assertion',
      { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', client_id: 'agents.runner' },
      400,
      'invalid_request',
    ],
    [
      'an unknown client',
      { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', client_id: 'x', assertion: 'a' },
      401,
      'invalid_client',
    ],
    ['no client assertion', { grant_type: 'client_credentials', client_id: 'agents.runner' }, 401, 'invalid_client'],
    [
      'a client assertion alone that names nobody',
      { grant_type: 'client_credentials', client_assertion: 'x' },
      401,
      'invalid_client',
    ],
    [
      'another subject_token_type',
      {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        client_id: 'agents.runner',
        subject_token: 'x',
        subject_token_type: 'y',
      },
      400,
      'invalid_request',
    ],
    ['1 MiB', { grant_type: 'client_credentials', client_assertion: 'x'.repeat(1 << 20) }, 413, 'invalid_request'],
  ])('with %s is answered with the registered error', async ([, form, status, error]) => {
    expect(await post(form)).toMatchObject({ status, body: { error } });
  });

  test('for a scope that is not granted, or a foreign audience, is refused', async () => {
    expect(await ask({ token: await good(), scope: 'openid' })).toMatchObject({
      status: 200,
      body: { scope: 'openid' },
    });
    expect(await ask({ token: await good(), scope: 'openid admin' })).toMatchObject({
      status: 400,
      error: 'invalid_scope',
    });
    const form = {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      client_id: clientId,
      subject_token: await good(),
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      audience: 'somebody-else',
    };
    expect(await post(form)).toMatchObject({ status: 400, body: { error: 'invalid_target' } });
    for (const audience of [production.accessTokenAudience, production.audience]) {
      expect((await post({ ...form, audience })).status).toBe(200);
    }
  });
});

test('with the issuer out of reach nothing is accepted, and it recovers by itself', async () => {
  const own = await makeTestIssuer();
  const serve = own.serve;
  own.serve = () => Promise.reject(new Error('unreachable'));
  const provider = await startEmbedded(own.context);
  try {
    const registration = await provider.register('production', AGENT);
    const token = await own.mint({ ...AGENT, audiences: ['conformance-production'] });
    const askOwn = () =>
      exchange(own.context.resolver.fetch, {
        tokenEndpoint: production.tokenEndpoint,
        declaration: JWT_BEARER,
        clientId: registration.clientId,
        token,
      });
    expect(await askOwn()).toMatchObject({ status: 503, error: 'temporarily_unavailable' });
    own.serve = serve;
    expect(await askOwn()).toMatchObject({ status: 200 });
  } finally {
    await provider.stop();
  }
});

test('writes nothing of its own, and is known to be gone once it is stopped', async () => {
  const own = await makeTestIssuer();
  const provider = await startEmbedded(own.context);
  await provider.assertAlive();
  await provider.stop();
  await expect(provider.assertAlive()).rejects.toThrow('closed');
  for (const spy of written) {
    expect(spy).not.toHaveBeenCalled();
  }
  await expect(provider.register('nowhere', AGENT)).rejects.toThrow('there are production, staging');
});
