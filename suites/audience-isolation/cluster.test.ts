import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { expect } from 'vitest';
import { NotTestable } from '../../harness/core/errors.ts';
import { decodeToken } from '../../harness/core/token.ts';
import { createServiceAccount, runInPod } from '../../harness/probes/pods.ts';
import { API_TOKEN_FOLDER, startProbePod } from '../../harness/probes/token-probe.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import { PRODUCTION, requestTokensAsAccounts, requestTokensAsNodes, SERVICE_ACCOUNT } from './token-requesters.ts';

const STAGING = 'https://staging.conformance.test';

requirement('AI-20', async (t) => {
  const cluster = await t.cluster();
  const { name: namespace } = await t.namespaceFor('reviews');
  await createServiceAccount(t, namespace, SERVICE_ACCOUNT, false);
  const mint = async (audiences: string[]): Promise<string> =>
    (await cluster.createToken({ namespace, serviceAccount: SERVICE_ACCOUNT, audiences })).token;
  const provider = await mint([PRODUCTION]);
  const api = await mint(cluster.apiAudiences);
  t.evidence('token', decodeToken(provider));

  const calls = { provider: await cluster.callWithToken(provider), api: await cluster.callWithToken(api) };
  t.evidence('direct calls', calls);
  expect(calls.api, 'control: a token for the API server').toBe(201);
  expect(calls.provider, 'a token for a provider at the API server').toBe(401);

  const reviews = {
    withoutAudiences: await cluster.reviewToken(provider),
    withItsOwn: await cluster.reviewToken(provider, [PRODUCTION]),
    withItsOwnAndAnother: await cluster.reviewToken(provider, [STAGING, PRODUCTION]),
    withAnother: await cluster.reviewToken(provider, [STAGING]),
  };
  t.evidence('TokenReviews', reviews);
  expect(reviews.withItsOwn, 'with its own audience').toMatchObject({ authenticated: true, audiences: [PRODUCTION] });
  expect(reviews.withItsOwnAndAnother, 'with its own and another audience: the intersection').toMatchObject({
    authenticated: true,
    audiences: [PRODUCTION],
  });
  expect(reviews.withoutAudiences.authenticated, 'without audiences').toBe(false);
  expect(reviews.withoutAudiences.error, 'the mismatch').toContain('audience');
  expect(reviews.withAnother.authenticated, 'with another audience').toBe(false);
});

requirement('AI-21', async (t) => {
  const { name: namespace } = await t.namespaceFor('two-audiences');
  await createServiceAccount(t, namespace, SERVICE_ACCOUNT, false);
  const probe = await startProbePod(t, namespace, {
    name: 'two-audiences',
    serviceAccount: SERVICE_ACCOUNT,
    volumes: {
      both: { production: PRODUCTION, staging: STAGING },
      production: { token: PRODUCTION },
      staging: { token: STAGING },
    },
  });
  const files = await probe.observations();
  const seen = files.map(({ path, observations: [first] }) => ({
    path,
    audience: path.includes('production') ? PRODUCTION : STAGING,
    aud: first?.claims.aud,
    sha256: first?.sha256.slice(0, 12),
  }));
  t.evidence('files', seen);
  expect(seen, 'a file for each source').toHaveLength(4);
  for (const { path, audience, aud } of seen) {
    expect(aud, `aud of ${path}`).toEqual([audience]);
  }
  const production = seen.filter(({ audience }) => audience === PRODUCTION).map(({ sha256 }) => sha256);
  for (const { path, audience, sha256 } of seen) {
    if (audience === STAGING) {
      expect(production, `the token at ${path} among those of the other audience`).not.toContain(sha256);
    }
  }
});

requirement('AI-22', async (t) => {
  const { name: namespace } = await t.namespaceFor('automount');
  await createServiceAccount(t, namespace, 'says-nothing');
  await createServiceAccount(t, namespace, 'says-false', false);
  const start = async (name: string, serviceAccount: string, automount?: boolean): Promise<boolean> => {
    const exitCode = await runInPod(t, namespace, name, {
      serviceAccount,
      script: `test -e ${API_TOKEN_FOLDER}/token`,
      ...(automount === undefined ? {} : { automountServiceAccountToken: automount }),
    });
    if (exitCode !== 0 && exitCode !== 1) {
      throw new NotTestable(`pod ${namespace}/${name} ended with ${exitCode}, so that nobody has looked into it`);
    }
    return exitCode === 0;
  };
  const [podSaysFalse, accountSaysFalse, podOverrides] = await Promise.all([
    start('pod-says-false', 'says-nothing', false),
    start('account-says-false', 'says-false'),
    start('pod-overrides', 'says-false', true),
  ]);
  t.evidence('an API token is in the pod', { podSaysFalse, accountSaysFalse, podOverrides });
  expect(podOverrides, 'control: the pod says true and overrides its ServiceAccount').toBe(true);
  expect(podSaysFalse, 'the pod says false').toBe(false);
  expect(accountSaysFalse, 'the ServiceAccount says false, the pod nothing').toBe(false);
});

requirement('AI-23', async (t) => {
  const { owned } = await t.cluster();
  const { name: namespace } = await t.namespaceFor('rights');
  await createServiceAccount(t, namespace, SERVICE_ACCOUNT, false);
  const answers = await requestTokensAsAccounts(t, namespace);
  t.evidence('TokenRequests of ServiceAccounts', answers);
  expect(answers.mayMint.status, 'control: with create on serviceaccounts/token').toBe(201);
  expect(answers.itself, 'without any right').toMatchObject({ status: 403 });
  expect(answers.managesAccounts, 'with every verb on serviceaccounts').toMatchObject({ status: 403 });
  expect(answers.managesAccounts.message, 'the reason').toContain('serviceaccounts/token');

  if (!owned) {
    t.evidence('nodes', 'not evaluated: the harness impersonates a node on clusters of its own only');
    return;
  }
  const nodes = await requestTokensAsNodes(t, namespace);
  t.evidence('TokenRequests of nodes', nodes);
  expect(nodes.itsNode.status, 'control: the node that the pod is on, bound to the pod').toBe(201);
  expect(nodes.itsNodeNotBound, 'the node that the pod is on, not bound').toMatchObject({ status: 403 });
  expect(nodes.anotherNode, 'another node').toMatchObject({ status: 403 });
});

requirement('AI-24', async (t) => {
  const cluster = await t.cluster();
  const { name: namespace } = await t.namespaceFor('discovery');
  await createServiceAccount(t, namespace, SERVICE_ACCOUNT, false);
  const { token } = await cluster.createToken({
    namespace,
    serviceAccount: SERVICE_ACCOUNT,
    audiences: cluster.apiAudiences,
    expirationSeconds: 600,
  });
  const { header, claims } = decodeToken(token);
  t.evidence('token', { header, iss: claims.iss });
  if (!claims.iss?.startsWith('https://')) {
    t.notApplicable(`the issuer is ${claims.iss}: Kubernetes serves discovery for issuers with https only`);
  }
  const paths = { discovery: '/.well-known/openid-configuration', keys: '/openid/v1/jwks' };
  const statuses: Record<string, { serviceAccount: number; anonymous: number }> = {};
  const documents: Record<string, unknown> = {};
  for (const [name, path] of Object.entries(paths)) {
    const own = await cluster.requestWithoutCredentials(path, { headers: { authorization: `Bearer ${token}` } });
    documents[name] = await own.json();
    const anonymous = await cluster.requestWithoutCredentials(path);
    await anonymous.arrayBuffer();
    statuses[name] = { serviceAccount: own.status, anonymous: anonymous.status };
  }
  t.evidence('statuses', statuses);
  t.evidence('documents', documents);
  for (const [name, { serviceAccount, anonymous }] of Object.entries(statuses)) {
    expect(serviceAccount, `${name}, read by a ServiceAccount`).toBe(200);
    expect([200, 401, 403], `${name}, read by nobody: opened or refused`).toContain(anonymous);
  }
  const discovery = documents.discovery as { issuer: string; id_token_signing_alg_values_supported: string[] };
  const keys = documents.keys as JSONWebKeySet;
  expect(discovery.issuer, 'issuer').toBe(claims.iss);
  expect(discovery.id_token_signing_alg_values_supported, 'the algorithms').toContain(header.alg);
  expect(
    keys.keys.map(({ kid }) => kid),
    'the published key ids',
  ).toContain(header.kid);
  // As of its issue: it may have expired since it was seen.
  const currentDate = new Date((claims.iat ?? 0) * 1_000);
  await expect(jwtVerify(token, createLocalJWKSet(keys), { currentDate }), 'the signature').resolves.toBeDefined();
});

requirement('AI-25', async (t) => {
  const cluster = await t.cluster();
  const { name: namespace } = await t.namespaceFor('asked-audiences');
  await createServiceAccount(t, namespace, SERVICE_ACCOUNT, false);
  const audOf = (token: string): string[] => [decodeToken(token).claims.aud ?? []].flat();
  for (const audiences of [[PRODUCTION], [PRODUCTION, STAGING]]) {
    const { token } = await cluster.createToken({ namespace, serviceAccount: SERVICE_ACCOUNT, audiences });
    t.evidence(`asked for ${audiences.join(', ')}`, audOf(token));
    expect(audOf(token), 'aud of a token with the audiences asked for').toEqual(audiences);
  }
  const { token } = await cluster.createToken({ namespace, serviceAccount: SERVICE_ACCOUNT });
  const own = await cluster.reviewToken(token);
  const call = await cluster.callWithToken(token);
  t.evidence('asked for none', { aud: audOf(token), apiServer: own.audiences, call });
  expect(own.authenticated, 'TokenReview of a token for which no audience was asked').toBe(true);
  expect(audOf(token).sort(), 'aud where none is asked: the audiences of the API server').toEqual(own.audiences.sort());
  expect(call, 'a call with it').toBe(201);
});

/** How long a controller may take that makes Secrets by itself: up to Kubernetes 1.23 it did so at once. */
const SECRET_SECONDS = 10;

requirement('AI-26', async (t) => {
  const { core } = await t.cluster();
  const { name: namespace } = await t.namespaceFor('new-accounts');
  await createServiceAccount(t, namespace, SERVICE_ACCOUNT, false);
  await t.clock.until(new Date(Date.now() + SECRET_SECONDS * 1000), 'a controller would have made a Secret until then');
  const { items } = await core.listNamespacedSecret({
    namespace,
    fieldSelector: 'type=kubernetes.io/service-account-token',
  });
  const secrets = items.map(({ metadata }) => ({
    name: metadata?.name,
    account: metadata?.annotations?.['kubernetes.io/service-account.name'],
  }));
  const { secrets: named = [] } = await core.readNamespacedServiceAccount({ name: SERVICE_ACCOUNT, namespace });
  t.evidence('token Secrets in a namespace where nobody asked for one', { secrets, named });
  expect(
    secrets.filter(({ account }) => account === SERVICE_ACCOUNT),
    'token Secrets of the new ServiceAccount',
  ).toEqual([]);
});
