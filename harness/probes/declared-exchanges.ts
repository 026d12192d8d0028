import { randomUUID } from 'node:crypto';
import { HarnessError, NotTestable } from '../core/errors.ts';
import type { ClusterHandle } from '../kubernetes/cluster-handle.ts';
import { exchange } from '../oauth/exchange.ts';
import type {
  ClientAuthentication,
  GrantDeclaration,
  ProviderDescription,
  Registration,
  WorkloadIdentity,
} from '../oauth/provider.ts';
import {
  conclude,
  type Harm,
  type ProviderFinding,
  type Refusal,
  type RefusalSeries,
  seeRefusals,
} from '../oauth/refusal.ts';
import type { Reason } from '../oauth/stated-reason.ts';
import type { TokenResponse } from '../oauth/token-response.ts';
import type { IdentityProviderHandle, PeerCluster, RequirementContext } from '../rpc/context.ts';
import { createServiceAccount } from './pods.ts';

/** Asked of the cluster: the longest life for which a provider must take the same token again (catalogue TX-11). */
export const LIFE_SECONDS = 3_600;

/** One provider, one grant that it declares, and a ServiceAccount that is registered there: ready to be asked. */
export interface DeclaredExchange {
  /** For example `production jwt-bearer (client assertion)`. */
  readonly label: string;
  readonly provider: ProviderDescription;
  /** The ServiceAccount whose tokens it presents. */
  readonly workload: WorkloadIdentity;
  readonly declaration: GrantDeclaration;
  /**
   * A genuine token of the ServiceAccount from the cluster, never presented before: for the provider's audience and one
   * hour, unless asked otherwise.
   */
  genuine(asked?: { audiences?: string[]; expirationSeconds?: number }): Promise<string>;
  /**
   * A good token, never presented before: where the harness holds the cluster's key, one genuine token that is signed
   * again under a `jti` of its own (a bad one is made of it in the same way, so that they differ in nothing else); else
   * a genuine one.
   */
  good(): Promise<string>;
  /** Asks for an access token, with the client authentication that is declared. */
  present(token: string, clientAssertion?: string, scope?: string): Promise<TokenResponse>;
}

/** A bad token, made fresh for each attempt: a provider may refuse one that it has seen before. */
export interface BadToken {
  fault: string;
  reasons: Reason[];
  make(exchange: DeclaredExchange): Promise<string>;
  /** Whether an access token that it brings does harm; absent where every one does. */
  harmOf?(accessToken: string): Promise<Harm>;
}

const CLIENT_NAMES: Record<ClientAuthentication, string> = {
  none: 'public client',
  'subject-token': 'client assertion',
  'client-secret-post': 'client secret',
  'client-secret-basic': 'client secret by HTTP Basic',
};

function labelOf({ name }: ProviderDescription, { grant, clientAuthentication }: GrantDeclaration): string {
  if (grant === 'client-assertion') {
    return `${name} ${grant}`;
  }
  return `${name} ${grant} (${CLIENT_NAMES[clientAuthentication]})`;
}

/**
 * Makes a ServiceAccount, registers it at every provider and gives every exchange that is declared.
 *
 * @param serviceAccount name, unique in the requirement's namespace
 * @param options.second where a requirement compares two: another one than without it, also where the provider takes no
 *   new ones
 * @throws NotTestable if nothing is declared
 */
export async function declaredExchanges(
  t: RequirementContext,
  serviceAccount: string,
  options: { second?: boolean } = {},
): Promise<DeclaredExchange[]> {
  const identityProvider = await t.identityProvider();
  return (
    await exchangesAt(t, await workloadOf(t, identityProvider, serviceAccount, options), [identityProvider])
  ).flat();
}

/**
 * A ServiceAccount of the harness's own, or one that the provider knows already. @throws NotTestable where the cluster
 * does not have that one
 */
async function workloadOf(
  t: RequirementContext,
  { registered }: IdentityProviderHandle,
  serviceAccount: string,
  { second = false }: { second?: boolean } = {},
): Promise<WorkloadIdentity> {
  const cluster = await t.cluster();
  if (registered === undefined) {
    const { name: namespace } = await t.namespace();
    await createServiceAccount(t, namespace, serviceAccount, false);
    return { namespace, serviceAccount };
  }
  const { namespace, serviceAccounts, quoted } = registered;
  await t.sharedByAllFiles(`registered ServiceAccounts of ${namespace}`, async () => {
    // Nobody can have made them on a cluster that has just been started.
    if (cluster.owned) {
      await makeAccounts(cluster, namespace, serviceAccounts);
    }
    for (const name of serviceAccounts) {
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}`;
      const response = await cluster.request(path);
      await response.arrayBuffer();
      if (response.status === 200) {
        continue;
      }
      throw new NotTestable(
        `${quoted} with ${namespace}/${name}, and the cluster answers ${response.status} to GET ${path}: make it first (kubectl create serviceaccount ${name} --namespace ${namespace})`,
      );
    }
    return true;
  });
  const name = serviceAccounts[second ? 1 : 0] ?? '';
  return { namespace, serviceAccount: name };
}

function makeAccounts(cluster: ClusterHandle, namespace: string, names: string[]): Promise<void> {
  return cluster.create([
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    ...names.map((name) => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace, name } })),
  ]);
}

/**
 * As {@link declaredExchanges}, with those of the peers: references, which are not evaluated themselves. Where the run
 * has a second cluster they trust that one, and its tokens are presented to them.
 */
export async function exchangesOfAll(
  t: RequirementContext,
  serviceAccount: string,
): Promise<{ evaluated: DeclaredExchange[]; peers: DeclaredExchange[] }> {
  const [slot, peerProviders, peerCluster] = await Promise.all([
    t.identityProvider(),
    t.peerProviders(),
    t.peerCluster(),
  ]);
  const workload = await workloadOf(t, slot, serviceAccount);
  const [evaluated = []] = await exchangesAt(t, workload, [slot]);
  const [peers = []] = peerProviders === undefined ? [] : await exchangesAt(t, workload, [peerProviders], peerCluster);
  return { evaluated, peers };
}

/**
 * One ServiceAccount, registered at every provider of several servers, and the exchanges of each server.
 *
 * @param mintedBy the second cluster of the run, where these servers trust that one and not the cluster in the slot
 */
async function exchangesAt(
  t: RequirementContext,
  workload: WorkloadIdentity,
  servers: IdentityProviderHandle[],
  mintedBy?: PeerCluster,
): Promise<DeclaredExchange[][]> {
  const cluster = await t.cluster();
  const exchangesOf = async (
    identityProvider: IdentityProviderHandle,
    provider: ProviderDescription,
  ): Promise<DeclaredExchange[]> => {
    const registration = await identityProvider.register(provider.name, workload);
    const genuine: DeclaredExchange['genuine'] = async (asked = {}) => {
      const request = { audiences: [provider.audience], expirationSeconds: LIFE_SECONDS, ...asked };
      return mintedBy === undefined
        ? (await cluster.createToken({ ...workload, ...request })).token
        : mintedBy.createToken(workload, request);
    };
    let pattern: Promise<string> | undefined;
    const good = async (): Promise<string> => {
      if (cluster.forge === undefined || mintedBy !== undefined) {
        return genuine();
      }
      pattern ??= genuine();
      return cluster.forge.resign(await pattern, (claims) => {
        claims.jti = randomUUID();
      });
    };
    return exchangesBy(t, identityProvider, provider, registration, { workload, genuine, good });
  };
  return Promise.all(
    servers.map(async (server) => {
      const perProvider = await Promise.all(server.providers.map((provider) => exchangesOf(server, provider)));
      const exchanges = perProvider.flat();
      if (exchanges.length === 0) {
        throw new NotTestable('the identity provider declares no grant');
      }
      return exchanges;
    }),
  );
}

/** The exchanges that one provider declares, for a ServiceAccount that is registered there. */
export function exchangesBy(
  t: RequirementContext,
  { fetch }: IdentityProviderHandle,
  provider: ProviderDescription,
  { clientId, clientSecret }: Registration,
  tokens: Pick<DeclaredExchange, 'workload' | 'genuine' | 'good'>,
): DeclaredExchange[] {
  return provider.grants.map(
    (declaration): DeclaredExchange => ({
      label: labelOf(provider, declaration),
      provider,
      declaration,
      ...tokens,
      present: (token, clientAssertion, scope) =>
        exchange(
          fetch,
          {
            tokenEndpoint: provider.tokenEndpoint,
            declaration,
            clientId,
            ...(clientSecret === undefined ? {} : { clientSecret }),
            token,
            ...(clientAssertion === undefined ? {} : { clientAssertion }),
            ...(scope === undefined ? {} : { scope }),
          },
          t.signal,
        ),
    }),
  );
}

/** One way of sending a bad token in a request. */
interface Presentation {
  as?: string;
  send(bad: string): Promise<TokenResponse>;
}

/** As which of the request's tokens a bad one is presented; the other one is good. */
export function presentations(exchange: DeclaredExchange): Presentation[] {
  const { grant, clientAuthentication } = exchange.declaration;
  if (clientAuthentication !== 'subject-token' || grant === 'client-assertion') {
    return [{ send: (bad) => exchange.present(bad) }];
  }
  // The client's authentication comes first, and would hide whether the grant itself verifies anything.
  return [
    { as: 'subject token and client assertion', send: (bad) => exchange.present(bad) },
    { as: 'subject token', send: async (bad) => exchange.present(bad, await exchange.good()) },
    { as: 'client assertion', send: async (bad) => exchange.present(await exchange.good(), bad) },
  ];
}

/** Every declared exchange must refuse every bad token, as each of the request's tokens: see {@link expectRefusals}. */
export function expectRefused(
  t: RequirementContext,
  exchanges: DeclaredExchange[],
  badTokens: (exchange: DeclaredExchange) => BadToken[],
): Promise<void> {
  return expectRefusals(t, exchanges, (exchange) =>
    badTokens(exchange).flatMap((badToken) => attemptsWith(exchange, badToken)),
  );
}

/** A bad token in a request, as each of its tokens. */
export function attemptsWith(exchange: DeclaredExchange, { fault, reasons, make, harmOf }: BadToken): Refusal[] {
  return presentations(exchange).map(({ as, send }) => ({
    fault,
    reasons,
    ...(as === undefined ? {} : { as }),
    attempt: async () => send(await make(exchange)),
    ...(harmOf === undefined ? {} : { harmOf }),
  }));
}

/**
 * Every declared exchange must refuse every attempt, each between two controls (see {@link seeRefusals}).
 * What was seen is kept as evidence.
 *
 * @throws Violation naming every attempt that was not refused as it must be
 * @throws NotTestable if a control was refused, where nothing was violated
 */
export async function expectRefusals(
  t: RequirementContext,
  exchanges: DeclaredExchange[],
  refusals: (exchange: DeclaredExchange) => Refusal[],
): Promise<void> {
  const series: [string, RefusalSeries][] = [];
  // One after another: many candidates are evaluated at the same time, and a provider is not to be tested for load.
  for (const exchange of exchanges) {
    const attempts = refusals(exchange);
    if (attempts.length === 0) {
      throw new HarnessError(`there is nothing that ${exchange.label} could refuse`);
    }
    series.push([exchange.label, await seeSeries(exchange, attempts)]);
  }
  t.evidence('refusals, each between two controls that were accepted', Object.fromEntries(series));
  const { violations, untestable } = findingsOf(series);
  conclude(violations, untestable);
}

/** Sends what an exchange must refuse, see {@link seeRefusals}. */
export function seeSeries(exchange: DeclaredExchange, refusals: Refusal[]): Promise<RefusalSeries> {
  return seeRefusals(async () => exchange.present(await exchange.good()), refusals);
}

/** What was wrong in series of refusals, by the label of the exchange. */
export function findingsOf(series: [string, RefusalSeries][]): {
  violations: ProviderFinding[];
  untestable: ProviderFinding[];
} {
  return {
    violations: series.flatMap(([label, { seen }]) =>
      seen.flatMap(({ as, violation, late }) => {
        if (violation === undefined) {
          return [];
        }
        const where = as === undefined ? label : `${label} as ${as}`;
        return [{ finding: violation, where, ...(late === true ? { late } : {}) }];
      }),
    ),
    untestable: series.flatMap(([where, { controlRefused, stopped, seen }]) => [
      ...seen.flatMap(({ undecided }) => (undecided === undefined ? [] : [{ finding: undecided, where }])),
      ...[controlRefused, stopped].flatMap((finding) => (finding === undefined ? [] : [{ finding, where }])),
    ]),
  };
}
