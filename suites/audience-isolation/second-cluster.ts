import { decodeToken } from '../../harness/core/token.ts';
import { refusesGood } from '../../harness/oauth/refusal.ts';
import { isAccepted } from '../../harness/oauth/token-response.ts';
import { type BadToken, type DeclaredExchange, LIFE_SECONDS } from '../../harness/probes/declared-exchanges.ts';
import { requireGood } from '../../harness/probes/token-matrix.ts';
import type { PeerCluster, RequirementContext } from '../../harness/rpc/context.ts';

/**
 * Genuine tokens of the run's second cluster for the same ServiceAccount and the provider's own audience: nothing but
 * issuer and key tells them from good ones.
 *
 * @throws HarnessError where the reference that trusts that cluster does not take its tokens: then a refusal elsewhere
 *   proves nothing
 */
export async function tokenOfSecondCluster(
  t: RequirementContext,
  peers: DeclaredExchange[],
  { context, issuer, createToken }: PeerCluster,
): Promise<BadToken> {
  const [peer] = peers;
  const good = await peer?.good();
  t.evidence('the second cluster', {
    context,
    issuer,
    ...(good === undefined ? {} : { itsToken: decodeToken(good) }),
  });
  for (const exchange of peers) {
    const response = await exchange.present(await exchange.good());
    requireGood(isAccepted(response) ? [] : [refusesGood(exchange, response)]);
  }
  return {
    fault: `the genuine signature of the second cluster (context "${context}"), for the same ServiceAccount`,
    reasons: ['issuer', 'signature', 'subject'],
    make: ({ workload, provider: { audience } }) =>
      createToken(workload, { audiences: [audience], expirationSeconds: LIFE_SECONDS }),
  };
}
