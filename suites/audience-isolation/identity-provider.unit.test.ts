import { describe, expect, test, vi } from 'vitest';
import { STRICT_CHECKS } from '../../harness/environment/identity-provider/embedded/assertion.ts';
import { staticKeys } from '../../harness/environment/identity-provider/embedded/cluster-keys.ts';
import type { EmbeddedTwin } from '../../harness/environment/identity-provider/embedded/twin.ts';
import { applicable, type Bodies, type Setting } from '../../harness/environment/identity-provider/in-process.ts';
import { expensive, testInProcess } from '../../harness/environment/identity-provider/in-process-suite.ts';
import { makeTestIssuer, type TestIssuer } from '../../harness/environment/identity-provider/test-issuer.ts';
import { collectMatrix, renderMatrix } from '../../harness/report/matrix.ts';
import type { EvidenceItem } from '../../harness/rpc/protocol.ts';

/** The bodies of the identity provider's requirements, taken from the suite itself. */
const bodies = vi.hoisted((): Bodies => new Map());
vi.mock('../../harness/run/worker/requirement.ts', () => ({
  requirement: (id: string, body: Parameters<Bodies['set']>[1]) => bodies.set(id, body),
}));
await import('./identity-provider.test.ts');

const evaluate = testInProcess(bodies, {
  shownBy: {
    'grant-switched-off': [0, 2],
    'pair-not-compared': [1],
    'client-assertion-audience-unchecked': [3],
    'client-id-believed': [1, 3],
  },
  outcome: { 'grant-switched-off': 'not testable' },
});

test('three providers with three tokens: three accepted, six refused, and the report says so', async () => {
  const items: EvidenceItem[] = [];
  await evaluate({ kind: 'embedded' }, { declarations: [0], only: ['AI-01', 'AI-11'], items });
  const matrix = collectMatrix(items);
  if (matrix === undefined) {
    throw new Error('no matrix');
  }
  const names = ['production', 'staging', 'peer'];
  expect(matrix.providers.map(({ name, underTest }) => [name, underTest])).toEqual([
    ['production', true],
    ['staging', true],
    ['peer', false],
  ]);
  const pairs = names.flatMap((row) => names.map((column) => [row, column]));
  for (const [token, provider] of pairs) {
    const cells = matrix.subjectTokens.filter((cell) => cell.token === token && cell.provider === provider);
    const expected =
      token === provider ? { status: 200, outcome: 'accepted' } : { outcome: 'refused', reason: 'audience' };
    expect(cells.length).toBeGreaterThan(0);
    for (const cell of cells) {
      expect(cell).toMatchObject({ ...expected, asItMust: true });
    }
  }
  for (const [issuedBy, resourceServer] of pairs) {
    const cells = matrix.accessTokens.filter(
      (cell) => cell.issuedBy === issuedBy && cell.resourceServer === resourceServer,
    );
    expect(new Set(cells.map(({ outcome }) => outcome))).toEqual(
      new Set([issuedBy === resourceServer ? 'accepted' : 'refused']),
    );
  }
  expect(renderMatrix(matrix).slice(0, 4)).toEqual([
    'token for   at production  at staging  at peer',
    'production  accepted       refused     refused',
    'staging     refused        accepted    refused',
    'peer        refused        refused     accepted',
  ]);
});

test('a provider that takes the token of another is shouted in the table', async () => {
  const items: EvidenceItem[] = [];
  await evaluate({ kind: 'embedded', variant: 'audience-unchecked' }, { declarations: [0], only: ['AI-01'], items });
  const matrix = collectMatrix(items);
  expect(renderMatrix(matrix ?? { providers: [], subjectTokens: [], accessTokens: [] })).toContain(
    'peer        ACCEPTED (!)   ACCEPTED (!)  accepted',
  );
});

/** Trusts two clusters, and looks a subject up whichever of them names it: staging's pods get production's access. */
function trustsTwoClusters({ issuer, jwks }: TestIssuer): EmbeddedTwin {
  const keys = staticKeys(JSON.stringify(jwks));
  return {
    checks: () => ({
      issuer: (claims, policy) =>
        STRICT_CHECKS.issuer(claims, { ...policy, issuer: String(claims.iss) === issuer ? issuer : policy.issuer }),
      signature: (assertion, policy) =>
        STRICT_CHECKS.signature(assertion, { ...policy, keys }).catch(() => STRICT_CHECKS.signature(assertion, policy)),
    }),
  };
}

describe.for([
  ['of another issuer', 'https://second.conformance.test'],
  ['of the same issuer string', 'https://cluster.conformance.test:6443'],
])('a second cluster %s', ([, issuer = '']) => {
  const only = ['AI-01', 'AI-06', 'AI-11'];

  test('the reference refuses its tokens, and the peers take them', async () => {
    const items: EvidenceItem[] = [];
    const second = await makeTestIssuer(issuer);
    const setting: Setting = { second, forge: false, declarations: [0], only, items };
    expect(await evaluate({ kind: 'embedded' }, setting)).toEqual({});
    const matrix = collectMatrix(items);
    expect(renderMatrix(matrix ?? { providers: [], subjectTokens: [], accessTokens: [] })).toContain(
      'peer        refused        refused     accepted',
    );
    expect(items).toContainEqual(
      expect.objectContaining({ label: 'the second cluster', data: expect.objectContaining({ issuer }) }),
    );
  });

  test('a provider that trusts both fails AI-06 by its genuine token alone', async () => {
    const second = await makeTestIssuer(issuer);
    const twin = { kind: 'embedded' as const, twin: trustsTwoClusters(second) };
    const reasons: string[] = [];
    const setting: Setting = { forge: false, declarations: [0], only };
    expect(await evaluate(twin, setting)).toEqual({});
    expect(await evaluate(twin, { ...setting, second, reasons })).toEqual({ 'AI-06': 'failed' });
    expect(reasons[0]).toMatch(/genuine signature of the second cluster \(context "second"\)/);
  });
});

test('a limit of requests is no refusal of a withdrawn key', async () => {
  const limits: EmbeddedTwin = {
    behaviour: {
      finish(ctx) {
        ctx.status = ctx.status === 200 ? 200 : 429;
      },
    },
  };
  const outcomes = await evaluate({ kind: 'embedded', twin: limits }, { declarations: [0], only: ['AI-14'] });
  expect(outcomes).toEqual({ 'AI-14': 'not testable' });
});

test("without the cluster's key, what needs one is asked of an issuer of the harness's", async () => {
  const setting: Setting = { declarations: [0], forge: false, leftOut: expensive };
  expect(await evaluate({ kind: 'embedded' }, setting)).toEqual({ 'AI-12': 'not applicable' });
});

test('where there is neither a key nor an additional issuer, the rows that need one say so', async () => {
  const setting: Setting = { declarations: [0], forge: false, trusting: false, leftOut: expensive };
  expect(await evaluate({ kind: 'embedded' }, setting)).toEqual(
    Object.fromEntries(['AI-03', 'AI-05', 'AI-08', 'AI-08a', 'AI-12', 'AI-13a'].map((id) => [id, 'not applicable'])),
  );
});

test("faults show by an issuer of the harness's as well", async () => {
  const only = ['AI-03', 'AI-05', 'AI-08', 'AI-08a', 'AI-13a'];
  for (const [variant, red] of [
    ['audience-unchecked', ['AI-03']],
    ['issuer-prefix-match', ['AI-05']],
    ['times-unchecked', ['AI-08', 'AI-08a']],
    ['critical-header-ignored', ['AI-13a']],
  ] as const) {
    const outcomes = await evaluate({ kind: 'embedded', variant: variant }, { declarations: [0], forge: false, only });
    expect(Object.keys(outcomes), variant).toEqual(red);
  }
});

/** Says of every refusal what a provider that was seen elsewhere says, and refuses as strictly as the reference. */
const saying = (text: (refused: string) => string): EmbeddedTwin => ({
  behaviour: {
    finish(ctx) {
      const body = ctx.body as Record<string, unknown> | undefined;
      if (typeof body?.error_description !== 'string') {
        return;
      }
      ctx.body = { ...body, error_description: text(body.error_description) };
    },
  },
});

test.for<[string, (refused: string) => string]>([
  [
    'Entra ID',
    (refused) =>
      `AADSTS700213: No matching federated identity record found for presented assertion ${/audience|issuer|subject/.exec(refused)?.[0] ?? 'x'} 'y'. Please check your federated identity credential Subject, Audience and Issuer against the presented assertion.`,
  ],
  [
    'Ory Hydra',
    () =>
      'The provided authorization grant (e.g., authorization code, resource owner credentials) or refresh token is invalid, expired, revoked, does not match the redirection URI used in the authorization request, or was issued to another client. No public JWK was registered for issuer "a" and subject "b", and public key is required to check signature of JWT in "assertion" request parameter.',
  ],
  ['whoever says nothing', () => 'Bad request'],
])('a strict provider that words its refusals as %s passes', async ([, text]) => {
  const reasons: string[] = [];
  const setting: Setting = { declarations: [0, 3], leftOut: expensive, reasons };
  // What Entra ID says of a subject stands for all that ours refuses without the name of a claim: times and signatures
  // have texts of their own.
  expect(applicable(await evaluate({ kind: 'embedded', twin: saying(text) }, setting)), reasons.join('\n')).toEqual({});
});

test('a refusal for another reason is a finding, where the reason is stated', async () => {
  const reasons: string[] = [];
  const twin = saying(() => 'Token reuse detected');
  const outcomes = await evaluate({ kind: 'embedded', twin }, { declarations: [0], only: ['AI-01', 'AI-09'], reasons });
  expect(outcomes).toEqual({ 'AI-01': 'failed', 'AI-09': 'failed' });
  expect(reasons[0]).toMatch(/but for another reason/);
});

/** Maps nobody: every subject of the issuer gets an access token. */
const MAPS_NOBODY: EmbeddedTwin = { behaviour: { maps: () => true } };
const IN_ITS_OWN_NAME: EmbeddedTwin = {
  behaviour: {
    ...MAPS_NOBODY.behaviour,
    claims(claims) {
      claims.client_id = claims.sub;
    },
  },
};

test.for<[string, EmbeddedTwin, boolean, string | undefined]>([
  ['in its own name, as declared', IN_ITS_OWN_NAME, true, undefined],
  [
    'in its own name, undeclared',
    IN_ITS_OWN_NAME,
    false,
    'accepted a token with the subject of another ServiceAccount',
  ],
  [
    'in the name of the client, declared',
    MAPS_NOBODY,
    true,
    'the identity of the one that is registered \\(client_id\\)',
  ],
])('an unmapped subject that gets an access token %s', async ([, twin, acceptsUnmappedSubjects, finding]) => {
  const reasons: string[] = [];
  const setting = { declarations: [0], only: ['AI-09'], forge: false, declares: { acceptsUnmappedSubjects }, reasons };
  const outcomes = await evaluate({ kind: 'embedded', twin }, setting);
  expect(outcomes, reasons.join('\n')).toEqual(finding === undefined ? {} : { 'AI-09': 'failed' });
  if (finding !== undefined) {
    expect(reasons.join('\n')).toMatch(new RegExp(finding));
  }
});

test('a provider that finds the client by its assertion gives it its own identity, whatever client the request names', async () => {
  const byAssertion: EmbeddedTwin = {
    behaviour: {
      maps: (registered, presented, { authenticated, isRegistered }) =>
        registered === presented || (authenticated === undefined && isRegistered(presented)),
      claims(claims) {
        claims.client_id = claims.sub;
      },
    },
  };
  expect(await evaluate({ kind: 'embedded', twin: byAssertion }, { declarations: [3], only: ['AI-09'] })).toEqual({});
});
