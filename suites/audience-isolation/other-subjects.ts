import type { Fetch } from '../../harness/oauth/fetch.ts';
import { identityOf, membersOf, tellingMembers } from '../../harness/oauth/identity.ts';
import type { Reason } from '../../harness/oauth/stated-reason.ts';
import { isAccepted } from '../../harness/oauth/token-response.ts';
import type { BadToken, DeclaredExchange } from '../../harness/probes/declared-exchanges.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';
import { signedAgain } from './signed-again.ts';

interface Account {
  /** What its token is called where it is presented. */
  fault: string;
  namespace: string;
  serviceAccount: string;
}

/** Some keep the keys of assertions by issuer and subject: they find none for a subject that nobody registered. */
const SUBJECT_REASONS: Reason[] = ['subject', 'signature'];

/**
 * Tokens that are good but for their subject, by the exchange that they are presented to (AI-09).
 *
 * @param registered the same exchanges, with a ServiceAccount that is registered, too
 */
export async function tokensOfOtherSubjects(
  t: RequirementContext,
  exchanges: DeclaredExchange[],
  registered: DeclaredExchange[],
): Promise<Map<DeclaredExchange, BadToken[]>> {
  const { fetch } = await t.identityProvider();
  const ofNobody = await tokensOfNobody(t, exchanges[0]?.workload.serviceAccount ?? '');
  const badTokens = new Map<DeclaredExchange, BadToken[]>();
  for (const [index, exchange] of exchanges.entries()) {
    const { provider, declaration } = exchange;
    const other = registered[index];
    const byClientId = declaration.grant === 'client-assertion' && declaration.omitsClientId !== true;
    const harmOf =
      other !== undefined && (byClientId || provider.acceptsUnmappedSubjects === true)
        ? await harmTo(fetch, exchange, other)
        : undefined;
    const inItsOwnName = provider.acceptsUnmappedSubjects === true && harmOf !== undefined ? { harmOf } : {};
    // A provider that finds the client by the assertion alone gives the other one its own identity, which does no harm.
    const underTheClientId: BadToken[] =
      byClientId && other !== undefined && harmOf !== undefined
        ? [
            {
              fault: 'the subject of another registered ServiceAccount',
              reasons: SUBJECT_REASONS,
              make: () => other.good(),
              harmOf,
            },
          ]
        : [];
    badTokens.set(exchange, [
      ...ofNobody.unmapped.map((token) => ({ ...token, ...inItsOwnName })),
      ...ofNobody.withoutSubject,
      ...underTheClientId,
    ]);
  }
  return badTokens;
}

/** Tokens of ServiceAccounts that nobody registered, and of none. */
async function tokensOfNobody(
  t: RequirementContext,
  name: string,
): Promise<{ unmapped: BadToken[]; withoutSubject: BadToken[] }> {
  const [cluster, own, other] = await Promise.all([t.cluster(), t.namespace(), t.namespaceFor('unmapped')]);
  const accounts: Account[] = [
    { fault: 'the subject of another ServiceAccount', namespace: own.name, serviceAccount: `${name}-unmapped` },
    { fault: 'the subject of the same name in another namespace', namespace: other.name, serviceAccount: name },
  ];
  await cluster.create(
    accounts.map(({ namespace, serviceAccount }) => ({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { namespace, name: serviceAccount },
      automountServiceAccountToken: false,
    })),
  );
  const { forge } = cluster;
  return {
    unmapped: accounts.map(({ fault, ...account }) => ({
      fault,
      reasons: SUBJECT_REASONS,
      make: async ({ provider }) =>
        (await cluster.createToken({ ...account, audiences: [provider.audience], expirationSeconds: 3_600 })).token,
    })),
    withoutSubject:
      forge === undefined
        ? []
        : [
            {
              fault: 'no subject',
              reasons: SUBJECT_REASONS,
              make: (exchange) =>
                signedAgain(exchange, forge, (claims) => {
                  delete claims.sub;
                }),
            },
          ],
  };
}

/**
 * Tells whether an access token is a registered ServiceAccount's, by what tells that one from another that is
 * registered, too.
 *
 * @returns undefined where the exchange refuses good tokens, which the controls of a refusal say
 */
async function harmTo(
  fetch: Fetch,
  mapped: DeclaredExchange,
  other: DeclaredExchange,
): Promise<BadToken['harmOf'] | undefined> {
  const known: (Record<string, unknown> | string)[] = [];
  for (const exchange of [mapped, other, mapped]) {
    const response = await exchange.present(await exchange.good());
    if (!isAccepted(response)) {
      return undefined;
    }
    known.push(await identityOf(fetch, exchange.provider, response.accessToken ?? ''));
  }
  const [before, between, after] = known;
  return async (accessToken) => {
    const given = await identityOf(fetch, mapped.provider, accessToken);
    if (typeof before !== 'object' || typeof between !== 'object' || typeof after !== 'object') {
      return { undecided: 'nobody can tell whose identity it was given' };
    }
    if (typeof given !== 'object') {
      return { undecided: given };
    }
    const telling = tellingMembers(before, between, after);
    const shared = membersOf(telling, before, given);
    if (telling.length > 0 && shared.length === 0) {
      return 'none';
    }
    return { harm: `it was given the identity of the one that is registered (${shared.join(', ') || 'all have one'})` };
  };
}
