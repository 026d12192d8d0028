import { createServer, type IncomingHttpHeaders, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { UnsecuredJWT } from 'jose';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { stringify } from 'yaml';
import type { ClusterData } from '../../../kubernetes/cluster-data.ts';
import { type ClusterHandle, createClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import { type FaultyApiServer, startFaultyApiServer } from './faulty-api-server.ts';

interface Seen {
  route: string;
  headers: IncomingHttpHeaders;
  body: unknown;
}

const HARNESS = 'Bearer harness';
const API = 'https://api.conformance.test';
const PROVIDER = 'https://provider.conformance.test';
const TOKEN_PATH = '/api/v1/namespaces/ns/serviceaccounts/agent/token';
const REVIEW = 'POST /apis/authentication.k8s.io/v1/tokenreviews';

let api: Server;
let data: ClusterData;
let proxy: FaultyApiServer | undefined;
let seen: Seen[];
/** What the fake API server answers: by `METHOD /path`, else 404. */
let answers: Record<string, (request: Seen) => { status: number; body: unknown }>;

beforeEach(async () => {
  seen = [];
  answers = {};
  api = createServer(async (request, response) => {
    const body = request.method === 'GET' ? undefined : await json(request);
    const one = { route: `${request.method} ${request.url}`, headers: request.headers, body };
    seen.push(one);
    const { status, body: content } = answers[one.route]?.(one) ?? { status: 404, body: { kind: 'Status', code: 404 } };
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(content));
  });
  await new Promise<void>((resolve) => {
    api.listen(0, '127.0.0.1', resolve);
  });
  const { port } = api.address() as AddressInfo;
  data = {
    kind: 'k3s',
    kubeConfig: stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'fake',
      clusters: [{ name: 'fake', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'fake', user: { token: 'harness' } }],
      contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'fake' } }],
    }),
    issuer: API,
    apiAudiences: [API],
    owned: true,
    workloadImage: 'none',
    resolver: { routes: {}, ca: '' },
  };
});

afterEach(async () => {
  await proxy?.close();
  proxy = undefined;
  api.closeAllConnections();
  await new Promise((resolve) => {
    api.close(resolve);
  });
});

async function through(fault: string): Promise<ClusterHandle> {
  proxy = await startFaultyApiServer(data, fault);
  return createClusterHandle({ ...data, kubeConfig: proxy.kubeConfig });
}

function token(claims: { aud?: string[]; iat?: number; exp?: number; pod?: string } = {}): string {
  const now = Math.floor(Date.now() / 1000);
  const { aud = [API], iat = now, exp = now + 600, pod } = claims;
  return new UnsecuredJWT({
    iss: API,
    sub: 'system:serviceaccount:ns:agent',
    aud,
    iat,
    exp,
    'kubernetes.io': {
      namespace: 'ns',
      serviceaccount: { name: 'agent', uid: 'a1' },
      ...(pod === undefined ? {} : { pod: { name: 'pod', uid: pod } }),
    },
  }).encode();
}

/** The API server takes the tokens of the list, for whatever audience, until that is changed. */
function accept(tokens: string[]): void {
  answers[REVIEW] = ({ body }) => {
    const { spec } = body as { spec: { token: string; audiences?: string[] } };
    const status = tokens.includes(spec.token)
      ? { authenticated: true, audiences: spec.audiences ?? [API] }
      : { error: 'invalid bearer token' };
    return { status: 201, body: { spec, status } };
  };
  answers['POST /apis/authentication.k8s.io/v1/selfsubjectreviews'] = ({ headers }) => ({
    status: tokens.includes(headers.authorization?.replace('Bearer ', '') ?? '') ? 201 : 401,
    body: {},
  });
}

async function post(cluster: ClusterHandle, path: string, body: unknown, bearer?: string): Promise<[number, unknown]> {
  const send = bearer === undefined ? cluster.request : cluster.requestWithoutCredentials;
  const response = await send(path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
    },
    body: JSON.stringify(body),
  });
  return [response.status, await response.json()];
}

test('a fault that does not exist is named with those that do', async () => {
  await expect(startFaultyApiServer(data, 'none')).rejects.toThrow(/called none; there are .*accepts-expired-tokens, /);
});

test('whoever comes without credentials gets those of the harness, and keeps its own otherwise', async () => {
  const cluster = await through('timestamp-shifted');
  await cluster.request('/version');
  await cluster.requestWithoutCredentials('/version', { headers: { authorization: 'Bearer own' } });
  await cluster.request('/version', { headers: { 'impersonate-user': 'somebody' } });
  expect(seen.map(({ headers }) => [headers.authorization, headers['impersonate-user']])).toEqual([
    [HARNESS, undefined],
    ['Bearer own', undefined],
    [HARNESS, 'somebody'],
  ]);
});

test.each([
  { fault: 'accepts-expired-tokens', life: -1, still: true },
  { fault: 'accepts-expired-tokens', life: 600, still: false },
  { fault: 'token-outlives-its-pod', life: 600, still: true },
  { fault: 'token-outlives-its-pod', life: -1, still: false },
])('$fault: a token of $life s that was once accepted', async ({ fault, life, still }) => {
  const cluster = await through(fault);
  const shown = token({ exp: Math.floor(Date.now() / 1000) + life });
  accept([shown]);
  expect(await cluster.reviewToken(shown)).toMatchObject({ authenticated: true });
  expect(await cluster.callWithToken(shown)).toBe(201);
  accept([]);
  expect(await cluster.reviewToken(shown)).toMatchObject({ authenticated: still });
  expect(await cluster.callWithToken(shown)).toBe(still ? 201 : 401);
  expect(await cluster.callWithToken(token({ iat: 1 })), 'another one').toBe(401);
});

test('token-review-ignores-audiences: answers as if the audience were one of those asked for', async () => {
  const cluster = await through('token-review-ignores-audiences');
  const shown = token({ aud: [PROVIDER] });
  answers[REVIEW] = ({ body }) => {
    const { spec } = body as { spec: { audiences?: string[] } };
    const match = (spec.audiences ?? [API]).includes(PROVIDER);
    return { status: 201, body: { spec, status: match ? { authenticated: true, audiences: [PROVIDER] } : {} } };
  };
  expect(await cluster.reviewToken(shown, ['another'])).toMatchObject({ authenticated: true, audiences: ['another'] });
  expect(await cluster.reviewToken(shown, [PROVIDER])).toMatchObject({ authenticated: true, audiences: [PROVIDER] });
});

test('uid-ignored: accepts what was once accepted as long as there is something of the same name', async () => {
  const cluster = await through('uid-ignored');
  const shown = token({ pod: 'p1' });
  accept([shown]);
  await cluster.callWithToken(shown);
  accept([]);
  answers['GET /api/v1/namespaces/ns/serviceaccounts/agent'] = () => ({ status: 200, body: {} });
  expect(await cluster.callWithToken(shown), 'the pod is gone').toBe(401);
  answers['GET /api/v1/namespaces/ns/pods/pod'] = () => ({ status: 200, body: {} });
  expect(await cluster.callWithToken(shown), 'a pod of that name').toBe(201);
});

test('refuses-replaced-tokens: refuses a token of a pod once it has seen the next one', async () => {
  const cluster = await through('refuses-replaced-tokens');
  const [before, after] = [token({ pod: 'p1', iat: 100 }), token({ pod: 'p1', iat: 200 })];
  const others = [
    token({ pod: 'p2', iat: 100 }),
    token({ pod: 'p1', iat: 100, aud: [PROVIDER] }),
    token({ iat: 100 }),
    token({ iat: 200 }),
  ];
  accept([before, after, ...others]);
  expect(await cluster.callWithToken(before)).toBe(201);
  expect(await cluster.reviewToken(after)).toMatchObject({ authenticated: true });
  expect(await cluster.callWithToken(before)).toBe(401);
  expect(await cluster.reviewToken(before)).toMatchObject({ authenticated: false });
  for (const other of others) {
    expect(await cluster.callWithToken(other)).toBe(201);
  }
  expect(await cluster.callWithToken(after)).toBe(201);
});

test('accepts-short-lives: asks for 600 s and answers what was asked', async () => {
  const cluster = await through('accepts-short-lives');
  const granted = ({ body }: Seen) => ({ status: 201, body });
  answers[`POST ${TOKEN_PATH}`] = granted;
  answers['POST /api/v1/namespaces/ns/pods?dryRun=All'] = granted;
  const request = (expirationSeconds: number) => ({ spec: { audiences: [PROVIDER], expirationSeconds } });
  const pod = (expirationSeconds: number) => ({
    spec: {
      volumes: [
        { configMap: {} },
        { projected: { sources: [{ serviceAccountToken: { expirationSeconds } }, { configMap: {} }] } },
      ],
    },
  });
  expect(await post(cluster, TOKEN_PATH, request(10))).toEqual([201, request(10)]);
  expect(await post(cluster, '/api/v1/namespaces/ns/pods?dryRun=All', pod(10))).toEqual([201, pod(10)]);
  expect(await post(cluster, TOKEN_PATH, request(3600))).toEqual([201, request(3600)]);
  expect(seen.map(({ body }) => body)).toEqual([request(600), pod(600), request(3600)]);
});

test('any-user-may-mint: asks with the rights of the harness', async () => {
  const cluster = await through('any-user-may-mint');
  await post(cluster, TOKEN_PATH, {}, 'own');
  await cluster.request(TOKEN_PATH, { method: 'POST', headers: { 'impersonate-user': 'system:node:a' }, body: '{}' });
  await post(cluster, '/api/v1/namespaces/ns/pods', {}, 'own');
  expect(seen.map(({ headers }) => [headers.authorization, headers['impersonate-user']])).toEqual([
    [HARNESS, undefined],
    [HARNESS, undefined],
    ['Bearer own', undefined],
  ]);
});

test('audience-dropped: asks for no audience', async () => {
  const cluster = await through('audience-dropped');
  await post(cluster, TOKEN_PATH, { spec: { audiences: [PROVIDER], expirationSeconds: 900 } });
  expect(seen[0]?.body).toEqual({ spec: { audiences: [], expirationSeconds: 900 } });
});

test('timestamp-shifted: names an expiry an hour after the real one', async () => {
  const cluster = await through('timestamp-shifted');
  answers[`POST ${TOKEN_PATH}`] = () => ({
    status: 201,
    body: { status: { token: 't', expirationTimestamp: '2030-01-01T00:00:00Z' } },
  });
  expect(await post(cluster, TOKEN_PATH, {})).toEqual([
    201,
    { status: { token: 't', expirationTimestamp: '2030-01-01T01:00:00Z' } },
  ]);
  delete answers[`POST ${TOKEN_PATH}`];
  expect(await post(cluster, TOKEN_PATH, {}), 'a refusal').toMatchObject([404, { kind: 'Status' }]);
});

test('signing-key-not-published: publishes the keys under other ids', async () => {
  const cluster = await through('signing-key-not-published');
  answers['GET /openid/v1/jwks'] = () => ({ status: 200, body: { keys: [{ kid: 'k', kty: 'EC' }] } });
  const response = await cluster.request('/openid/v1/jwks');
  expect(await response.json()).toEqual({ keys: [{ kid: 'another-k', kty: 'EC' }] });
});

const ACCESS_REVIEW = 'POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews';

/** Answers by whose rights a call comes with: those of a token, or the harness's own. */
function refuseTokens(): (request: Seen) => { status: number; body: unknown } {
  return ({ headers }) => ({ status: headers.authorization === HARNESS ? 200 : 403, body: { kind: 'Status' } });
}

/** The API server allows the access reviews of these resources, all of them without a subresource. */
function allowReviewsOf(...resources: string[]): void {
  answers[ACCESS_REVIEW] = ({ body }) => {
    const { resource, subresource } = (body as { spec: { resourceAttributes: Record<string, string> } }).spec
      .resourceAttributes;
    return {
      status: 201,
      body: { status: { allowed: subresource === undefined && resources.includes(resource ?? '') } },
    };
  };
}

async function get(cluster: ClusterHandle, path: string, bearer: string): Promise<number> {
  const response = await cluster.requestWithoutCredentials(path, { headers: { authorization: `Bearer ${bearer}` } });
  await response.arrayBuffer();
  return response.status;
}

test('role-holds-everywhere: what was allowed in one namespace is allowed in another, and nothing else', async () => {
  const cluster = await through('role-holds-everywhere');
  const [holder, foreign] = [token(), new UnsecuredJWT({ sub: 'system:serviceaccount:ns:foreign' }).encode()];
  answers['GET /api/v1/namespaces/ns/pods'] = () => ({ status: 200, body: {} });
  answers['GET /api/v1/namespaces/other/pods'] = refuseTokens();
  answers['GET /api/v1/namespaces/ns/secrets'] = refuseTokens();
  answers['GET /api/v1/pods'] = refuseTokens();
  expect(await get(cluster, '/api/v1/namespaces/other/pods', holder), 'before it was allowed anywhere').toBe(403);
  expect(await get(cluster, '/api/v1/namespaces/ns/pods', holder)).toBe(200);
  expect(await get(cluster, '/api/v1/namespaces/other/pods', holder)).toBe(200);
  expect(await get(cluster, '/api/v1/pods', holder)).toBe(200);
  expect(await get(cluster, '/api/v1/namespaces/ns/secrets', holder)).toBe(403);
  expect(await get(cluster, '/api/v1/namespaces/other/pods', foreign)).toBe(403);
});

test('parent-implies-child: a right to the resource is one to its subresources', async () => {
  const cluster = await through('parent-implies-child');
  allowReviewsOf('pods');
  answers['GET /api/v1/namespaces/ns/pods/p/log'] = refuseTokens();
  answers['GET /api/v1/namespaces/ns/services/s/proxy'] = refuseTokens();
  answers['GET /api/v1/namespaces/ns/pods/p'] = refuseTokens();
  expect(await get(cluster, '/api/v1/namespaces/ns/pods/p/log', token())).toBe(200);
  expect(await get(cluster, '/api/v1/namespaces/ns/services/s/proxy', token()), 'no right to services').toBe(403);
  expect(await get(cluster, '/api/v1/namespaces/ns/pods/p', token()), 'the resource itself').toBe(403);
});

test('escalation-allowed: who may write Roles may write anything in them', async () => {
  const cluster = await through('escalation-allowed');
  const roles = '/apis/rbac.authorization.k8s.io/v1/namespaces/ns/roles';
  answers[`POST ${roles}`] = refuseTokens();
  answers['POST /api/v1/namespaces/ns/pods'] = refuseTokens();
  allowReviewsOf('pods');
  expect(await post(cluster, roles, {}, token()), 'no right to roles').toMatchObject([403, {}]);
  allowReviewsOf('roles', 'pods');
  expect(await post(cluster, roles, {}, token())).toMatchObject([200, {}]);
  expect(await post(cluster, '/api/v1/namespaces/ns/pods', {}, token()), 'another group').toMatchObject([403, {}]);
});

test('review-says-yes: allows every access review and nothing else', async () => {
  const cluster = await through('review-says-yes');
  allowReviewsOf();
  answers['GET /api/v1/namespaces/ns/pods'] = refuseTokens();
  const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
  const body = { spec: { resourceAttributes: { resource: 'pods' } } };
  expect(await post(cluster, path, body, token())).toEqual([201, { status: { allowed: true } }]);
  expect(await get(cluster, '/api/v1/namespaces/ns/pods', token())).toBe(403);
});

test('foreign-account-ignored: refuses a ServiceAccount in another namespace than its own', async () => {
  const cluster = await through('foreign-account-ignored');
  for (const path of ['/api/v1/namespaces/ns/pods', '/api/v1/namespaces/other/pods', '/api/v1/pods']) {
    answers[`GET ${path}`] = () => ({ status: 200, body: {} });
  }
  expect(await get(cluster, '/api/v1/namespaces/ns/pods', token())).toBe(200);
  expect(await get(cluster, '/api/v1/namespaces/other/pods', token())).toBe(403);
  expect(await get(cluster, '/api/v1/pods', token())).toBe(200);
});

test.each([
  { fault: 'websocket-needs-get-only', may: 'pods', status: 101 },
  { fault: 'websocket-needs-get-only', may: 'none', status: 403 },
  { fault: 'review-says-yes', may: 'pods', status: 403 },
])('$fault: an upgrade of somebody who may get $may is answered by $status', async ({ fault, may, status }) => {
  const cluster = await through(fault);
  answers['GET /api/v1/namespaces/ns/pods'] = refuseTokens();
  allowReviewsOf(may);
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  request(`${cluster.kubeConfig.getCurrentCluster()?.server}/api/v1/namespaces/ns/pods`, {
    headers: { authorization: `Bearer ${token()}`, connection: 'Upgrade', upgrade: 'websocket' },
  })
    .on('upgrade', (response, socket) => {
      socket.destroy();
      resolve(response.statusCode);
    })
    .on('response', (response) => resolve(response.resume().statusCode))
    .on('error', reject)
    .end();
  expect(await promise).toBe(status);
});

test('previous-key-forgotten: publishes and accepts the key alone that the cluster signs with now', async () => {
  const cluster = await through('previous-key-forgotten');
  const keyId = (kid: string) => `${Buffer.from(JSON.stringify({ alg: 'none', kid })).toString('base64url')}.e30.`;
  answers['POST /api/v1/namespaces/default/serviceaccounts/default/token'] = () => ({
    status: 201,
    body: { status: { token: keyId('new') } },
  });
  answers['GET /openid/v1/jwks'] = () => ({ status: 200, body: { keys: [{ kid: 'new' }, { kid: 'old' }] } });
  accept([keyId('new'), keyId('old')]);
  expect(await (await cluster.request('/openid/v1/jwks')).json()).toEqual({ keys: [{ kid: 'new' }] });
  expect(await cluster.callWithToken(keyId('new'))).toBe(201);
  expect(await cluster.reviewToken(keyId('new'))).toMatchObject({ authenticated: true });
  expect(await cluster.callWithToken(keyId('old'))).toBe(401);
  expect(await cluster.reviewToken(keyId('old'))).toMatchObject({ authenticated: false });
});

test('uid-ignored: what is being deleted is not there', async () => {
  const cluster = await through('uid-ignored');
  const shown = token();
  accept([shown]);
  await cluster.callWithToken(shown);
  accept([]);
  const metadata = { deletionTimestamp: '2030-01-01T00:00:00Z' };
  answers['GET /api/v1/namespaces/ns/serviceaccounts/agent'] = () => ({ status: 200, body: { metadata } });
  expect(await cluster.callWithToken(shown)).toBe(401);
});
