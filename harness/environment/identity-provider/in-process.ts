import { describeError, HarnessError, NotApplicable } from '../../core/errors.ts';
import { outcomeOf } from '../../core/outcome.ts';
import { wholeTokensIn } from '../../core/redact.ts';
import { Resolver } from '../../core/resolver.ts';
import type {
  AdditionalIssuerTrust,
  GrantDeclaration,
  ProviderDescription,
  StartedIdentityProvider,
  WorkloadIdentity,
} from '../../oauth/provider.ts';
import type { RequirementContext } from '../../rpc/context.ts';
import type { EvidenceItem } from '../../rpc/protocol.ts';
import { startEmbedded } from './embedded/index.ts';
import type { EmbeddedTwin } from './embedded/twin.ts';
import { type IdentityProviderKind, startIdentityProvider } from './index.ts';
import { makeTestIssuer, type TestIssuer } from './test-issuer.ts';

/**
 * Evaluates the requirements of an identity provider without a cluster and without a container: an issuer of tokens in
 * place of the cluster, the provider in this process, and a clock that is put forward where a requirement waits. For
 * the tests of the suites and of the twins.
 */

/** Bodies of requirements by their ids, as the suites' test files give them to `requirement()`. */
export type Bodies = Map<string, (t: RequirementContext) => Promise<void>>;

/** What is started: one of the harness's own, or an embedded provider that differs in what is given. */
export type InProcessProvider =
  | { kind: IdentityProviderKind; variant?: string | undefined }
  | { kind: 'embedded'; twin?: EmbeddedTwin; opaqueAccessTokens?: boolean };

export interface Setting {
  /** Evaluates these declarations alone (default: all): most faults show by each of them, and time is short. */
  declarations?: number[];
  /** What the providers declare beside what they describe. */
  declares?: Partial<ProviderDescription>;
  /** The harness holds the cluster's key (default), or does not. */
  forge?: boolean;
  /** The provider can be configured to trust an additional issuer (default), or cannot. */
  trusting?: boolean;
  /** The issuing half of a second cluster, which the peers trust then (default: there is none). */
  second?: TestIssuer;
  waited?: string[];
  /** Requirements that are not evaluated. */
  leftOut?: string[];
  /** Those that are (default: all). */
  only?: string[];
  /** Gets the evidence. */
  items?: EvidenceItem[];
  /** Gets what was said of each outcome, after its id. */
  reasons?: string[];
}

interface Started {
  provider: StartedIdentityProvider;
  /** A reference alongside it, with names of its own. */
  peers: StartedIdentityProvider;
  peersFetch: Resolver['fetch'];
}

function contextOf(
  test: TestIssuer,
  { provider, peers, peersFetch }: Started,
  { declarations, declares = {}, forge = true, trusting = true, second, waited = [] }: Setting,
  setTime: (instant: Date) => void,
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
        if (instant.getTime() > Date.now()) {
          setTime(instant);
        }
      },
    },
    signal: new AbortController().signal,
    evidence: (label: string, data: unknown) => evidence.push({ label, data, at: new Date().toISOString() }),
    notApplicable: (reason: string) => {
      throw new NotApplicable(reason);
    },
    namespace: async () => ({ name: 'test' }),
    namespaceFor: async (purpose: string) => ({ name: purpose }),
    withNamespace: async <T>(purpose: string, _: unknown, act: (namespace: string) => Promise<T>) => act(purpose),
    shared: (key: string, make: () => Promise<unknown>) => {
      const known = shared.get(key) ?? make();
      shared.set(key, known);
      return known;
    },
    identityProvider: async () => ({
      ...description,
      providers: providers.map((one) => ({ ...one, ...declares, grants: declared(one.grants) })),
      register: provider.register.bind(provider),
      ...(provider.trusting === undefined || !trusting
        ? {}
        : {
            additionalIssuer: {
              address: '127.0.0.1',
              trusting: async (trust: AdditionalIssuerTrust) => {
                const additional = await provider.trusting?.(trust);
                return { ...additional, grants: declared(additional?.grants ?? []) };
              },
            },
          }),
      fetch: test.context.resolver.fetch,
    }),
    peerProviders: async () => ({
      ...peers.description,
      register: peers.register.bind(peers),
      fetch: peersFetch,
    }),
    peerCluster: async () =>
      second === undefined
        ? undefined
        : {
            context: 'second',
            issuer: second.issuer,
            createToken: (workload: WorkloadIdentity, asked: { audiences: string[]; expirationSeconds: number }) =>
              second.mint({ ...workload, ...asked }),
          },
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

/**
 * The outcome of every requirement that did not pass.
 *
 * @param bodies what is evaluated, one requirement after another
 * @param setTime puts forward the clock that `Date` reads
 * @throws HarnessError where a requirement gave no evidence, or a token that is whole
 */
export async function evaluateInProcess(
  { bodies, setTime }: { bodies: Bodies; setTime: (instant: Date) => void },
  started: InProcessProvider,
  setting: Setting = {},
): Promise<Record<string, string>> {
  const issuer = await makeTestIssuer();
  const { serve } = issuer;
  // The issuers that the suites serve themselves listen on loopback.
  issuer.serve = (url, init) => {
    const { hostname } = new URL(url);
    return hostname === '127.0.0.1' ? issuer.context.resolver.fetch(url, init) : serve(url, init);
  };
  const provider = await ('variant' in started || started.kind !== 'embedded'
    ? startIdentityProvider(started.kind, 'variant' in started ? started.variant : undefined, issuer.context)
    : startEmbedded(issuer.context, 'twin' in started ? started.twin : {}, {
        ...('opaqueAccessTokens' in started ? { opaqueAccessTokens: started.opaqueAccessTokens === true } : {}),
      }));
  const resolver = new Resolver({ routes: {}, ca: issuer.context.pki.ca });
  const { trust, fetch } = (setting.second ?? issuer).context;
  const peerContext = { ...issuer.context, resolver, trust, fetch, providers: ['peer'] };
  const peers = await startIdentityProvider('embedded', undefined, peerContext);
  const outcomes: Record<string, string> = {};
  const reasons: string[] = [];
  const shared = new Map<string, Promise<unknown>>();
  try {
    // One after another: each of them may put the clock forward.
    for (const [id, body] of bodies) {
      if (setting.leftOut?.includes(id) || setting.only?.includes(id) === false) {
        continue;
      }
      const evidence: EvidenceItem[] = [];
      const context = contextOf(
        issuer,
        { provider, peers, peersFetch: resolver.fetch },
        setting,
        setTime,
        evidence,
        shared,
      );
      await body(context).catch((error: unknown) => {
        outcomes[id] = outcomeOf(error);
        reasons.push(`${id}: ${describeError(error)}`);
      });
      setting.items?.push(...evidence);
      if (outcomes[id] !== 'not applicable' && evidence.length === 0) {
        throw new HarnessError(`${id} gave no evidence`);
      }
      if (wholeTokensIn(JSON.stringify(evidence)).length > 0) {
        throw new HarnessError(`the evidence of ${id} holds a whole token`);
      }
    }
  } finally {
    await Promise.all([provider.stop(), peers.stop()]);
  }
  setting.reasons?.push(...reasons);
  return outcomes;
}

/** Those outcomes that say something about the provider. */
export function applicable(outcomes: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(outcomes).filter(([, outcome]) => outcome !== 'not applicable'));
}
