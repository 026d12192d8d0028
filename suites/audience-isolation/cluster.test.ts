import { expect } from 'vitest';
import { createServiceAccount, runInPod } from '../../harness/kubernetes/pods.ts';
import { API_TOKEN_FOLDER, startProbePod } from '../../harness/kubernetes/token-probe.ts';
import { requirement } from '../../harness/run/requirement.ts';
import { decodeToken } from '../../harness/tokens/token.ts';

const SERVICE_ACCOUNT = 'agent';
const PRODUCTION = 'https://production.conformance.test';
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
