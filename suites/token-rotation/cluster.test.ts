import { generateKeyPairSync } from 'node:crypto';
import { PatchStrategy, setHeaderOptions } from '@kubernetes/client-node';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { expect } from 'vitest';
import { expectBefore, expectWithin, HarnessError, NotTestable, TookTooLong } from '../../harness/core/errors.ts';
import { createForge, decodeToken, type ServiceAccountClaims, type TokenForge } from '../../harness/core/token.ts';
import { createServiceAccount, dryRunPod, podSpec, startIdlePod } from '../../harness/probes/pods.ts';
import { ASKED_SECONDS } from '../../harness/probes/token-probe.ts';
import { postTokenRequest, type TokenRequestAnswer } from '../../harness/probes/token-requests.ts';
import { assertClusterDeclared } from '../../harness/rpc/preconditions.ts';
import { type RequirementContext, requirement } from '../../harness/run/worker/requirement.ts';
import {
  ACCEPTED,
  evaluateAll,
  expectRefused,
  type MintOptions,
  mintPair,
  REFUSED,
  type TokenPair,
} from './evaluated-tokens.ts';
import {
  observeGuardedPods,
  observeRotation,
  PRODUCTION,
  rotatedTokens,
  rotatingPod,
  SERVICE_ACCOUNT,
  STAGING,
  watchedFiles,
} from './rotation.ts';

async function getJson<T>(t: RequirementContext, path: string): Promise<T> {
  const response = await (await t.cluster()).request(path);
  expect(response.status, `GET ${path}`).toBe(200);
  return (await response.json()) as T;
}

requirement('TR-01', async (t) => {
  const { core } = await t.cluster();
  const probe = await rotatingPod(t);
  const account = await core.readNamespacedServiceAccount({ name: SERVICE_ACCOUNT, namespace: probe.namespace });
  const discovery = await getJson<{ issuer: string }>(t, '/.well-known/openid-configuration');
  const keys = await getJson<JSONWebKeySet>(t, '/openid/v1/jwks');
  t.evidence('discovery', discovery);
  const files = await probe.observations();
  for (const [volume, audience] of Object.entries({ production: PRODUCTION, staging: STAGING })) {
    const seen = files.find(({ path }) => path === probe.path(volume, 'token'))?.observations[0];
    expect(seen, `a token in the volume ${volume}`).toBeDefined();
    const token = await probe.token(seen?.sha256 ?? '');
    const { header, claims } = decodeToken(token);
    t.evidence(`token of the volume ${volume}`, { header, claims });
    expect(claims.aud, 'aud').toEqual([audience]);
    expect(claims.iss, 'iss').toBe(discovery.issuer);
    expect(claims.sub, 'sub').toBe(`system:serviceaccount:${probe.namespace}:${SERVICE_ACCOUNT}`);
    expect(claims['kubernetes.io'], 'kubernetes.io').toMatchObject({
      namespace: probe.namespace,
      serviceaccount: { name: SERVICE_ACCOUNT, uid: account.metadata?.uid },
      pod: { name: probe.name, uid: probe.pod.metadata?.uid },
    });
    expect(
      keys.keys.map(({ kid }) => kid),
      'the published key ids',
    ).toContain(header.kid);
    // As of its issue: it may have expired since it was seen. Its life is TR-02's.
    const currentDate = new Date((claims.iat ?? 0) * 1_000);
    await expect(jwtVerify(token, createLocalJWKSet(keys), { currentDate }), 'the signature').resolves.toBeDefined();
  }
});

requirement('TR-02', async (t) => {
  const cluster = await t.cluster();
  const probe = await rotatingPod(t);
  const boundPod = { name: probe.name, uid: probe.pod.metadata?.uid ?? '' };
  const base = { namespace: probe.namespace, serviceAccount: SERVICE_ACCOUNT, audiences: [PRODUCTION] };
  for (const expirationSeconds of [600, 900, 3600]) {
    for (const [kind, binding] of Object.entries({ 'not bound': {}, 'bound to a pod': { boundPod } })) {
      const issued = await cluster.createToken({ ...base, ...binding, expirationSeconds });
      const { iat = 0, exp = 0 } = decodeToken(issued.token).claims;
      t.evidence(`${expirationSeconds} s, ${kind}`, { iat, exp, life: exp - iat, answered: issued.expirationSeconds });
      expect(exp - iat, `life of a token asked with ${expirationSeconds} s`).toBeLessThanOrEqual(expirationSeconds);
      expect(exp - iat, 'life against the answered expirationSeconds').toBe(issued.expirationSeconds);
    }
  }
  for (const { path, observations } of await probe.observations()) {
    const { iat = 0, exp = 0 } = (observations[0]?.claims ?? {}) as ServiceAccountClaims;
    t.evidence(path, { iat, exp, life: exp - iat });
    expect(exp - iat, `life of the token at ${path}`).toBeGreaterThan(0);
    expect(exp - iat, `life of the token at ${path}, asked with ${ASKED_SECONDS} s`).toBeLessThanOrEqual(ASKED_SECONDS);
  }
});

requirement('TR-03', async (t) => {
  const rotation = await observeRotation(t);
  const { window } = rotation;
  const [file] = watchedFiles(rotation);
  const seen = file.observations.map(({ at, claims }) => ({ at, iat: claims.iat, exp: claims.exp, jti: claims.jti }));
  t.evidence('contents of the file', { window, seen });
  const second = file.observations[1];
  if (second === undefined) {
    const until = new Date(window.latest * 1000).toISOString();
    throw new TookTooLong(`there was no second token until ${until}; the probe saw ${seen.length}`);
  }
  const at = Date.parse(second.at) / 1000;
  expect(at, 'replaced not before 80 % of its life less 10 s').toBeGreaterThanOrEqual(window.earliest);
  const since = at - window.earliest;
  expectWithin(
    'replaced at 80 % of its life + 1.5 × sync frequency + 5 s at the latest; since the earliest time',
    since,
    window.latest - window.earliest,
  );
  expectBefore('replaced before exp; since the earliest time', since, window.expires - window.earliest);
});

requirement('TR-04', async (t) => {
  const rotation = await observeRotation(t);
  const files = watchedFiles(rotation);
  for (const { path, reads, burstReads, missing, empty, partial, defects } of files) {
    t.evidence(path, { reads, burstReads, missing, empty, partial, defects });
  }
  rotatedTokens(rotation);
  for (const { path, burstReads, missing, empty, partial } of files) {
    // A change of the folder sets off a tight loop of reads: without them nobody has looked when it mattered.
    if (burstReads <= 10) {
      throw new HarnessError(`the probe read ${path} ${burstReads} times around its changes: the machine was too busy`);
    }
    expect({ missing, empty, partial }, `reads of ${path} that met no whole token`).toEqual({
      missing: 0,
      empty: 0,
      partial: 0,
    });
  }
});

requirement('TR-05', async (t) => {
  const [before, after] = rotatedTokens(await observeRotation(t));
  t.evidence('before', before.claims);
  t.evidence('after', after.claims);
  const kept = ({ iss, aud, sub, 'kubernetes.io': own }: ServiceAccountClaims): unknown => ({ iss, aud, sub, own });
  expect(after.claims.iat, 'iat').not.toBe(before.claims.iat);
  expect(after.claims.exp, 'exp').not.toBe(before.claims.exp);
  if (before.claims.jti !== undefined) {
    expect(after.claims.jti, 'jti').not.toBe(before.claims.jti);
  }
  expect(kept(after.claims as ServiceAccountClaims), 'iss, aud, sub and the kubernetes.io claims').toEqual(
    kept(before.claims as ServiceAccountClaims),
  );
});

requirement('TR-06', async (t) => {
  const rotation = await observeRotation(t);
  const { before, after, restarts } = rotation;
  const seen = { uidBefore: before.metadata?.uid, uidAfter: after.metadata?.uid, restarts };
  t.evidence('pod', seen);
  expect(seen.uidAfter, 'uid of the pod after the rotation').toBe(seen.uidBefore);
  expect(seen.restarts, 'restarts of its containers').toBe(0);
  rotatedTokens(rotation);
});

/** Seconds after `exp` at which a token must be refused: the API server's leeway, its cache of successes, and slack. */
const REFUSED_AFTER_SECONDS = 60 + 10 + 5;
/** On the accelerated clock: how long the token that is going to expire is still good. */
const SHORT_LIFE_SECONDS = 4;

/** A token that expires soon, and one that differs from it in `exp` alone. */
async function expiringPair(
  t: RequirementContext,
  base: Omit<MintOptions, 'expirationSeconds'>,
): Promise<{ expiring: TokenPair; control: TokenPair }> {
  const { forge } = await t.cluster();
  const minted = await mintPair(t, { ...base, expirationSeconds: ASKED_SECONDS });
  if (t.clock.kind === 'real' || forge === undefined) {
    return { expiring: minted, control: await mintPair(t, { ...base, expirationSeconds: 3_600 }) };
  }
  const exp = Math.floor(Date.now() / 1000) + SHORT_LIFE_SECONDS;
  const shortened = (token: string): Promise<string> =>
    forge.resign(token, (claims) => {
      claims.exp = exp;
    });
  const expiring = { provider: await shortened(minted.provider), api: await shortened(minted.api) };
  return { expiring, control: minted };
}

requirement('TR-07', async (t) => {
  const { name: namespace } = await t.namespaceFor('expiry');
  await createServiceAccount(t, namespace, SERVICE_ACCOUNT, false);
  const pairs = await expiringPair(t, { namespace, serviceAccount: SERVICE_ACCOUNT });
  const before = await evaluateAll(t, pairs);
  t.evidence('before exp', before);
  expect(before, 'control: both tokens before one expires').toMatchObject({ expiring: ACCEPTED, control: ACCEPTED });

  const exp = Math.max(...Object.values(pairs.expiring).map((token) => decodeToken(token).claims.exp ?? 0));
  await t.clock.until(new Date((exp + REFUSED_AFTER_SECONDS) * 1000), 'exp + 60 s leeway + 10 s cache + 5 s');
  const after = await evaluateAll(t, pairs);
  t.evidence(`${REFUSED_AFTER_SECONDS} s after exp`, { exp, ...after });
  expect(after.control, 'control: the token that lives longer').toMatchObject(ACCEPTED);
  expectRefused(after.expiring, `a token, ${REFUSED_AFTER_SECONDS} s after its exp,`);
  expect(after.expiring.review.error, 'the reason').toContain('expired');
});

/** Seconds after a pod is gone at which its tokens must be refused: the API server's cache of successes, and slack. */
const INVALID_AFTER_SECONDS = 15;

async function evaluateDeletedPod(t: RequirementContext, namespace: string): Promise<void> {
  const cluster = await t.cluster();
  /** Tokens that the API binds to a running pod. */
  const boundTo = async (name: string): Promise<TokenPair> => {
    const pod = await startIdlePod(t, namespace, name, SERVICE_ACCOUNT);
    const boundPod = { name, uid: pod.metadata?.uid ?? '' };
    return mintPair(t, { namespace, serviceAccount: SERVICE_ACCOUNT, boundPod });
  };
  const [deleted, kept] = await Promise.all([boundTo('deleted'), boundTo('kept')]);
  const before = await evaluateAll(t, { deleted, kept });
  t.evidence('before', before);
  expect(before.deleted, 'control: while the pod is there').toMatchObject(ACCEPTED);

  const gone = cluster.watchPod(namespace, 'deleted', ({ type }) => (type === 'DELETED' ? new Date() : undefined), {
    what: 'pod deleted to be gone',
    deadlineSeconds: 60,
  });
  await cluster.core.deleteNamespacedPod({ name: 'deleted', namespace });
  const goneAt = await gone;
  await t.clock.until(new Date(goneAt.getTime() + INVALID_AFTER_SECONDS * 1000), 'the pod is gone + 10 s cache + 5 s');
  const after = await evaluateAll(t, { deleted, kept });
  t.evidence(`${INVALID_AFTER_SECONDS} s after the pod is gone`, { goneAt, ...after });
  expect(after.kept, 'control: the token of the pod that is still there').toMatchObject(ACCEPTED);
  expectRefused(after.deleted, 'the token of the pod that is gone');
  expect(after.deleted.review.error, 'the reason').toContain('invalidated');
}

/**
 * Seconds after `deletionTimestamp` at which a pod's tokens must be refused though it lingers: leeway, cache, and
 * slack.
 */
const INVALID_AFTER_DELETION_SECONDS = 70;

/** A pod that a finalizer keeps after it was deleted. It never runs: its tokens are bound to the object. */
async function evaluateLingeringPod(t: RequirementContext, namespace: string): Promise<void> {
  const { core } = await t.cluster();
  const name = 'lingering';
  const boundPod = await unscheduledPod(t, namespace, name, SERVICE_ACCOUNT, ['conformance.test/lingers']);
  try {
    const base = { namespace, serviceAccount: SERVICE_ACCOUNT };
    const pairs = { bound: await mintPair(t, { ...base, boundPod }), free: await mintPair(t, base) };
    await core.deleteNamespacedPod({ name, namespace, gracePeriodSeconds: 0 });
    const deletedAt = new Date();
    const before = await evaluateAll(t, pairs);
    t.evidence('a pod that lingers, as soon as it was deleted', before);
    expect(before, 'control: tokens as soon as the pod was deleted, which a finalizer keeps').toMatchObject({
      bound: ACCEPTED,
      free: ACCEPTED,
    });
    await t.clock.until(
      new Date(deletedAt.getTime() + INVALID_AFTER_DELETION_SECONDS * 1000),
      'deletionTimestamp + 60 s + 10 s cache',
    );
    const after = await evaluateAll(t, pairs);
    t.evidence(`a pod that lingers, ${INVALID_AFTER_DELETION_SECONDS} s after it was deleted`, after);
    expect(after.free, 'control: a token that is bound to no pod').toMatchObject(ACCEPTED);
    expectRefused(after.bound, 'the token of the pod that was deleted and lingers');
    expect(after.bound.review.error, 'the reason').toContain('invalidated');
  } finally {
    await core.patchNamespacedPod(
      { name, namespace, body: { metadata: { finalizers: null } } },
      setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
    );
  }
}

/** A pod that is never scheduled: tokens are bound to the object alone. */
async function unscheduledPod(
  t: RequirementContext,
  namespace: string,
  name: string,
  serviceAccount: string,
  finalizers: string[] = [],
): Promise<{ name: string; uid: string }> {
  const { core, workloadImage } = await t.cluster();
  const { metadata } = await core.createNamespacedPod({
    namespace,
    body: {
      metadata: { name, finalizers },
      spec: {
        ...podSpec(workloadImage, serviceAccount, { name: 'idle' }),
        schedulingGates: [{ name: 'conformance.test/never' }],
      },
    },
  });
  return { name, uid: metadata?.uid ?? '' };
}

requirement('TR-08', async (t) => {
  const { owned } = await t.cluster();
  const { name: namespace } = await t.namespaceFor('bound');
  await createServiceAccount(t, namespace, SERVICE_ACCOUNT, false);
  const evaluated = [evaluateDeletedPod(t, namespace)];
  if (owned) {
    evaluated.push(evaluateLingeringPod(t, namespace));
  } else {
    t.evidence(
      'a pod that lingers',
      'not evaluated: the finalizer of a run that was broken off would hold the namespace',
    );
  }
  const outcomes = await Promise.allSettled(evaluated);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) {
    throw failed.reason;
  }
});

requirement('TR-09', async (t) => {
  const { pods } = await observeGuardedPods(t);
  for (const { probe, files } of pods) {
    const { fsGroup } = probe.pod.spec?.securityContext ?? {};
    const container = probe.pod.spec?.containers[0]?.securityContext;
    const runAsUser = container?.runAsUser ?? probe.pod.spec?.securityContext?.runAsUser;
    for (const { path, modes, observations } of files) {
      const what = `${path} of the pod ${probe.name}`;
      t.evidence(what, { fsGroup, runAsUser, modes, contents: observations.length });
      expect(modes.length, `modes of ${what}`).toBeGreaterThan(0);
      for (const { mode, uid, gid, at } of modes) {
        if (fsGroup === undefined) {
          expect({ mode, uid }, `${what} at ${at}, without fsGroup`).toEqual({ mode: '0600', uid: runAsUser });
        } else {
          expect({ mode, gid }, `${what} at ${at}, with fsGroup`).toEqual({ mode: '0640', gid: fsGroup });
        }
      }
    }
  }
});

/** How long before `exp` the replaced token is looked at for the last time, in seconds. */
const LAST_LOOK_SECONDS = 3;

requirement('TR-13', async (t) => {
  const { reviewToken } = await t.cluster();
  const { window, pods } = await observeGuardedPods(t);
  const [{ probe, files } = { files: [] }] = pods;
  const [before, after] = files.find(({ path }) => path === probe?.path('production', 'token'))?.observations ?? [];
  if (probe === undefined || before === undefined || after === undefined) {
    throw new NotTestable('nothing rotated in time (see TR-03), so nothing can be said of the token before');
  }
  const tokens = { before: await probe.token(before.sha256), after: await probe.token(after.sha256) };
  for (const instant of [Date.now() / 1000, window.expires - LAST_LOOK_SECONDS]) {
    await t.clock.until(new Date(instant * 1000), 'the replaced token is about to expire');
    const reviews = {
      after: await reviewToken(tokens.after, [PRODUCTION]),
      before: await reviewToken(tokens.before, [PRODUCTION]),
    };
    const left = window.expires - Date.now() / 1000;
    t.evidence('reviews after the rotation', { ...reviews, replacedAt: after.at, secondsLeft: left });
    if (left <= 0) {
      throw new HarnessError(
        `the replaced token was looked at ${(-left).toFixed(1)} s after its exp: the machine is too slow`,
      );
    }
    expect(reviews.after, 'control: the token that took its place').toMatchObject({ authenticated: true });
    expect(reviews.before, `the token that was replaced, ${left.toFixed(1)} s before its exp`).toMatchObject({
      authenticated: true,
    });
  }
});

requirement('TR-11', async (t) => {
  assertClusterDeclared(t, 'signing-key');
  const { previousForge } = await t.cluster();
  if (previousForge === undefined) {
    return t.notApplicable('the harness holds no signing key of this cluster, so that it cannot roll it');
  }
  const current = await mintPair(t, await accountForRequests(t));
  /** The same claims under another key. */
  const signedBy = async ({ sign }: TokenForge): Promise<TokenPair> => ({
    provider: await sign(decodeToken(current.provider).claims),
    api: await sign(decodeToken(current.api).claims),
  });
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const unknownKey = createForge(privateKey.export({ type: 'sec1', format: 'pem' }).toString());
  const pairs = { current, previous: await signedBy(previousForge), unknown: await signedBy(unknownKey) };
  const published = (await getJson<JSONWebKeySet>(t, '/openid/v1/jwks')).keys.map(({ kid }) => kid);
  const seen = await evaluateAll(t, pairs);
  const kidOf = (name: keyof typeof pairs): unknown => decodeToken(pairs[name].provider).header.kid;
  t.evidence('published key ids', published);
  t.evidence('tokens by the key that signed them', {
    ...seen,
    kids: { current: kidOf('current'), previous: kidOf('previous'), unknown: kidOf('unknown') },
  });
  expect(seen.current, 'control: a token of the key after the rollover').toMatchObject(ACCEPTED);
  expect(seen.unknown, 'control: the same claims under a key that was never the cluster’s').toMatchObject(REFUSED);
  expect(kidOf('current'), 'the key of a new token is another than before').not.toBe(kidOf('previous'));
  expect(published, 'the published keys').toContain(kidOf('current'));
  expect(published, 'the published keys, with the one before the rollover').toContain(kidOf('previous'));
  expect(seen.previous, 'an unexpired token of the key before the rollover').toMatchObject(ACCEPTED);
});

/** An account for requests that no pod makes. */
function accountForRequests(t: RequirementContext): Promise<{ namespace: string; serviceAccount: string }> {
  return t.shared('account for requests', async () => {
    const { name: namespace } = await t.namespaceFor('requests');
    await createServiceAccount(t, namespace, SERVICE_ACCOUNT, false);
    return { namespace, serviceAccount: SERVICE_ACCOUNT };
  });
}

requirement('TR-10', async (t) => {
  const cluster = await t.cluster();
  const account = await accountForRequests(t);
  const asked = (expirationSeconds: number): Promise<TokenRequestAnswer> =>
    postTokenRequest(cluster, account, { audiences: [PRODUCTION], expirationSeconds });
  /** What the API server says of a pod that asks for such a life; no pod is made. */
  const podWith = (expirationSeconds: number): Promise<{ status: number; message?: string }> => {
    const serviceAccountToken = { path: 'token', audience: PRODUCTION, expirationSeconds };
    return dryRunPod(cluster, account.namespace, {
      metadata: { name: `asks-for-${expirationSeconds}` },
      spec: {
        ...podSpec(cluster.workloadImage, SERVICE_ACCOUNT, { name: 'idle' }),
        volumes: [{ name: 'token', projected: { sources: [{ serviceAccountToken }] } }],
      },
    });
  };
  for (const [kind, ask] of Object.entries({ TokenRequest: asked, pod: podWith })) {
    const accepted = await ask(600);
    t.evidence(`${kind} with 600 s`, accepted);
    expect(accepted.status, `control: a ${kind} with 600 s`).toBe(201);
    for (const seconds of [10, 599]) {
      const refused = await ask(seconds);
      t.evidence(`${kind} with ${seconds} s`, refused);
      expect(refused.status, `a ${kind} with ${seconds} s`).toBe(422);
      expect(refused.message, 'the field').toContain('expirationSeconds');
      expect(refused.message, 'the reason').toContain('10 minutes');
    }
  }
});

const YEAR_SECONDS = 8760 * 3600;

requirement('TR-12', async (t) => {
  const cluster = await t.cluster();
  const issued = await cluster.createToken({
    ...(await accountForRequests(t)),
    audiences: [PRODUCTION],
    expirationSeconds: YEAR_SECONDS,
  });
  const { iat = 0, exp = 0 } = decodeToken(issued.token).claims;
  const answered = {
    expirationSeconds: issued.expirationSeconds,
    expirationTimestamp: issued.expirationTimestamp.getTime() / 1000,
  };
  t.evidence('asked for 8760 h', { iat, exp, life: exp - iat, ...answered });
  expect(answered.expirationSeconds, 'spec.expirationSeconds').toBeLessThanOrEqual(YEAR_SECONDS);
  expect(exp - iat, 'life against the answered spec.expirationSeconds').toBe(answered.expirationSeconds);
  expect(Math.abs(answered.expirationTimestamp - exp), 'expirationTimestamp against exp, in seconds').toBeLessThan(
    1.001,
  );
});

requirement('TR-14', async (t) => {
  const { core } = await t.cluster();
  const { name: namespace } = await t.namespaceFor('same-name');
  const pods = 'of-the-pods';
  for (const name of ['made-again', 'kept', pods]) {
    await createServiceAccount(t, namespace, name, false);
  }
  const ofAccount = (serviceAccount: string): Promise<TokenPair> => mintPair(t, { namespace, serviceAccount });
  const ofPod = async (name: string): Promise<TokenPair> =>
    mintPair(t, { namespace, serviceAccount: pods, boundPod: await unscheduledPod(t, namespace, name, pods) });
  const first = {
    account: await ofAccount('made-again'),
    keptAccount: await ofAccount('kept'),
    pod: await ofPod('made-again'),
    keptPod: await ofPod('kept'),
  };
  const before = await evaluateAll(t, first);
  t.evidence('before', before);
  expect(before, 'control: before anything is deleted').toMatchObject({
    account: ACCEPTED,
    keptAccount: ACCEPTED,
    pod: ACCEPTED,
    keptPod: ACCEPTED,
  });

  await core.deleteNamespacedServiceAccount({ name: 'made-again', namespace });
  await core.deleteNamespacedPod({ name: 'made-again', namespace, gracePeriodSeconds: 0 });
  await createServiceAccount(t, namespace, 'made-again', false);
  const all = { ...first, newAccount: await ofAccount('made-again'), newPod: await ofPod('made-again') };
  await t.clock.until(new Date(Date.now() + INVALID_AFTER_SECONDS * 1000), 'made again + 10 s cache + 5 s');
  const after = await evaluateAll(t, all);
  t.evidence(`${INVALID_AFTER_SECONDS} s after both were made again`, after);
  expect(after, 'control: what was kept, and the new tokens').toMatchObject({
    keptAccount: ACCEPTED,
    keptPod: ACCEPTED,
    newAccount: ACCEPTED,
    newPod: ACCEPTED,
  });
  expectRefused(after.account, 'the token of the ServiceAccount that was deleted');
  expectRefused(after.pod, 'the token of the pod that was deleted');
});
