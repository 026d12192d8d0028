import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { loadCatalogue } from '../harness/catalogue/catalogue.ts';
import { describeError, NotApplicable } from '../harness/core/errors.ts';
import { outcomeOf } from '../harness/core/outcome.ts';
import { Resolver } from '../harness/core/resolver.ts';
import { startEmbedded } from '../harness/environment/identity-provider/embedded/index.ts';
import { type IdentityProviderKind, startIdentityProvider } from '../harness/environment/identity-provider/index.ts';
import { makeTestIssuer, type TestIssuer } from '../harness/environment/identity-provider/test-issuer.ts';
import type { GrantDeclaration, SecondIssuerTrust, StartedIdentityProvider } from '../harness/oauth/provider.ts';
import { collectMatrix, renderMatrix } from '../harness/report/matrix.ts';
import type { RequirementContext } from '../harness/rpc/context.ts';
import type { EvidenceItem } from '../harness/rpc/protocol.ts';

/** The bodies of the identity provider's requirements, taken from the suites themselves. */
const bodies = vi.hoisted(() => new Map<string, (t: RequirementContext) => Promise<void>>());
vi.mock('../harness/run/worker/requirement.ts', () => ({
  requirement: (id: string, body: (t: RequirementContext) => Promise<void>) => bodies.set(id, body),
}));
await import('./token-exchange/identity-provider.test.ts');
await import('./audience-isolation/identity-provider.test.ts');

interface Setting {
  /** Judges these declarations alone (default: all): most faults show by each of them, and time is short. */
  declarations?: number[];
  /** The harness holds the cluster's key (default), or does not. */
  forge?: boolean;
  /** The provider can be told to trust a further issuer (default), or cannot. */
  trusting?: boolean;
  waited?: string[];
  /** Requirements that are not judged. */
  leftOut?: string[];
  /** Those that are; default: all. */
  only?: string[];
  /** Gets the evidence. */
  items?: EvidenceItem[];
}

interface Providers {
  provider: StartedIdentityProvider;
  /** A reference beside it, with names of its own. */
  neighbours: StartedIdentityProvider;
  neighboursFetch: Resolver['fetch'];
}

function contextOf(
  test: TestIssuer,
  { provider, neighbours, neighboursFetch }: Providers,
  { declarations, forge = true, trusting = true, waited = [] }: Setting,
  evidence: EvidenceItem[],
  shared: Map<string, Promise<unknown>>,
): RequirementContext {
  const { providers, ...description } = provider.description;
  const declared = (grants: GrantDeclaration[]): GrantDeclaration[] =>
    grants.filter((_, index) => declarations?.includes(index) ?? true);
  const parts = {
    clock: {
      kind: 'real',
      // Nobody waits here: the clock is put forward instead.
      async until(instant: Date, why: string) {
        waited.push(why);
        if (instant.getTime() > Date.now()) vi.setSystemTime(instant);
      },
    },
    signal: new AbortController().signal,
    evidence: (label: string, data: unknown) => evidence.push({ label, data, at: new Date().toISOString() }),
    notApplicable: (reason: string) => {
      throw new NotApplicable(reason);
    },
    namespace: async () => ({ name: 'test' }),
    namespaceFor: async (purpose: string) => ({ name: purpose }),
    shared: (key: string, make: () => Promise<unknown>) => {
      const known = shared.get(key) ?? make();
      shared.set(key, known);
      return known;
    },
    identityProvider: async () => ({
      ...description,
      providers: providers.map((one) => ({ ...one, grants: declared(one.grants) })),
      register: provider.register.bind(provider),
      ...(provider.trusting === undefined || !trusting
        ? {}
        : {
            secondIssuer: {
              address: '127.0.0.1',
              trusting: async (trust: SecondIssuerTrust) => {
                const further = await provider.trusting?.(trust);
                return { ...further, grants: declared(further?.grants ?? []) };
              },
            },
          }),
      fetch: test.context.resolver.fetch,
    }),
    neighbours: async () => ({
      ...neighbours.description,
      register: neighbours.register.bind(neighbours),
      fetch: neighboursFetch,
    }),
    certificate: async (host: string) => ({ ...(await test.context.pki.issue(host)), ca: test.context.pki.ca }),
    cluster: async () => ({
      issuer: test.issuer,
      apiAudiences: ['https://kubernetes.default.svc.cluster.local', 'k3s'],
      ...(forge ? { forge: test.forge } : {}),
      core: { createNamespacedServiceAccount: async () => ({}) },
      create: async () => {},
      request: async () => Response.json(test.jwks),
      createToken: async (asked: Parameters<TestIssuer['mint']>[0]) => ({ token: await test.mint(asked) }),
    }),
  };
  return parts as unknown as RequirementContext;
}

// Seconds of work in all: how long they take is the machine's affair.
vi.setConfig({ testTimeout: 120_000 });

const started: StartedIdentityProvider[] = [];
beforeAll(() => void vi.useFakeTimers({ toFake: ['Date'] }));
afterAll(async () => {
  vi.useRealTimers();
  await Promise.all(started.map((provider) => provider.stop()));
});

/** Outcome of every requirement, other than `passed`. */
async function judge(
  kind: IdentityProviderKind | 'embedded-opaque',
  variant?: string,
  setting: Setting = {},
): Promise<Record<string, string>> {
  const issuer = await makeTestIssuer();
  const { serve } = issuer;
  // The rogue issuers of the suites listen on loopback.
  issuer.serve = (url, init) => {
    const { hostname } = new URL(url);
    return hostname === '127.0.0.1' ? issuer.context.resolver.fetch(url, init) : serve(url, init);
  };
  const provider = await (kind === 'embedded-opaque'
    ? startEmbedded(issuer.context, {}, { opaqueAccessTokens: true })
    : startIdentityProvider(kind, variant, issuer.context));
  const resolver = new Resolver({ routes: {}, ca: issuer.context.pki.ca });
  const beside = { ...issuer.context, resolver, providers: ['neighbour'] };
  const neighbours = await startIdentityProvider('embedded', undefined, beside);
  const providers = { provider, neighbours, neighboursFetch: resolver.fetch };
  started.push(provider, neighbours);
  const outcomes: Record<string, string> = {};
  const reasons: string[] = [];
  const shared = new Map<string, Promise<unknown>>();
  // One after another: each of them may put the clock forward.
  for (const [id, body] of bodies) {
    if (setting.leftOut?.includes(id) || setting.only?.includes(id) === false) continue;
    const evidence: EvidenceItem[] = [];
    await body(contextOf(issuer, providers, setting, evidence, shared)).catch((error: unknown) => {
      outcomes[id] = outcomeOf(error);
      reasons.push(`${id}: ${describeError(error)}`);
    });
    setting.items?.push(...evidence);
    if (outcomes[id] !== 'not applicable') expect(evidence, `evidence of ${id}`).not.toEqual([]);
    expect(JSON.stringify(evidence), `evidence of ${id} holds a token`).not.toMatch(
      /eyJ[\w-]+\.[\w-]+\.(?!SIGNATURE-CUT)[\w-]+/,
    );
  }
  if (process.env.SHOW_REASONS !== undefined) console.info(reasons.join('\n'));
  return outcomes;
}

test('the reference passes every row', async () => {
  expect(bodies.size).toBeGreaterThanOrEqual(7);
  expect(await judge('embedded')).toEqual({});
});

test('opaque access tokens are told apart and kept apart by introspection', async () => {
  const only = ['TX-10', 'TX-12', 'TX-18', 'TX-19', 'TX-20', 'AI-10', 'AI-11'];
  expect(await judge('embedded-opaque', undefined, { declarations: [0], only })).toEqual({});
});

test('three providers with three tokens: three accepted, six refused, and the report says so', async () => {
  const items: EvidenceItem[] = [];
  await judge('embedded', undefined, { declarations: [0], only: ['AI-01', 'AI-11'], items });
  const matrix = collectMatrix(items);
  if (matrix === undefined) throw new Error('no matrix');
  const names = ['production', 'staging', 'neighbour'];
  expect(matrix.providers.map(({ name, underTest }) => [name, underTest])).toEqual([
    ['production', true],
    ['staging', true],
    ['neighbour', false],
  ]);
  const pairs = names.flatMap((row) => names.map((column) => [row, column]));
  for (const [token, provider] of pairs) {
    const cells = matrix.subjectTokens.filter((cell) => cell.token === token && cell.provider === provider);
    const expected =
      token === provider ? { status: 200, outcome: 'accepted' } : { outcome: 'refused', reason: 'audience' };
    expect(cells.length).toBeGreaterThan(0);
    for (const cell of cells) expect(cell).toMatchObject({ ...expected, asItMust: true });
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
    'token for   at production  at staging  at neighbour',
    'production  accepted       refused     refused',
    'staging     refused        accepted    refused',
    'neighbour   refused        refused     accepted',
  ]);
});

test('a provider that takes the token of another is shouted in the table', async () => {
  const items: EvidenceItem[] = [];
  await judge('embedded', 'audience-unchecked', { declarations: [0], only: ['AI-01'], items });
  const matrix = collectMatrix(items);
  expect(renderMatrix(matrix ?? { providers: [], subjectTokens: [], accessTokens: [] })).toContain(
    'neighbour   ACCEPTED (!)   ACCEPTED (!)  accepted',
  );
});

test("without the cluster's key the same token is used over its own life, and what needs a key is asked of an issuer of the harness's", async () => {
  const setting: Setting = { declarations: [0], forge: false, waited: [], leftOut: costly };
  expect(await judge('embedded', undefined, setting)).toEqual({ 'AI-12': 'not applicable' });
  expect(setting.waited).toHaveLength(6);
});

test('where there is neither a key nor a further issuer, the rows that need one say so', async () => {
  const setting: Setting = { declarations: [0], forge: false, trusting: false, leftOut: costly };
  expect(await judge('embedded', undefined, setting)).toEqual(
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
    const outcomes = await judge('embedded', variant, { declarations: [0], forge: false, only });
    expect(Object.keys(outcomes), variant).toEqual(red);
  }
});

const catalogue = loadCatalogue();
const costly = catalogue.requirements.flatMap(({ id, costly: isCostly }) => (isCostly === true ? [id] : []));

/** Those of the catalogue that need no container. */
const twins = catalogue.twins.flatMap(({ name, mustFail, ...twin }) =>
  twin.role === 'identity-provider' && twin.identityProvider.kind !== 'keycloak'
    ? [{ name, mustFail, ...twin.identityProvider }]
    : [],
);

/** Declarations by which a fault shows, where the first one does not show it. */
const SHOWN_BY: Record<string, number[]> = { 'grant-switched-off': [0, 2], 'pair-not-compared': [1] };

const applicable = (outcomes: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(outcomes).filter(([, outcome]) => outcome !== 'not applicable'));

test.for(twins)('$name is red exactly where it must be', async ({ kind, variant, mustFail }) => {
  const outcomes = await judge(kind, variant, {
    declarations: SHOWN_BY[variant ?? ''] ?? [0],
    leftOut: costly.filter((id) => !mustFail.includes(id)),
  });
  expect(Object.keys(applicable(outcomes)).sort()).toEqual(mustFail.filter((id) => bodies.has(id)).sort());
  expect(Object.values(outcomes)).toContain('failed');
});

test('where a good token is refused, a refusal proves nothing: not testable, neither green nor a fault of its own', async () => {
  const { 'TX-10': exchanged, ...others } = await judge('embedded', 'grant-switched-off', { declarations: [2] });
  expect(exchanged).toBe('failed');
  expect(new Set(Object.values(applicable(others)))).toEqual(new Set(['not testable']));
  expect(Object.keys(others)).toHaveLength(bodies.size - 1);
});
