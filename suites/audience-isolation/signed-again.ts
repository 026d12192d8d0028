import type { TokenForge } from '../../harness/core/token.ts';
import type { DeclaredExchange } from '../../harness/probes/declared-exchanges.ts';

export type Change = (claims: Record<string, unknown>) => void;

/** A good token with changed claims, signed again with the cluster's own key. */
export async function signedAgain(exchange: DeclaredExchange, { resign }: TokenForge, change: Change): Promise<string> {
  return resign(await exchange.good(), change);
}
