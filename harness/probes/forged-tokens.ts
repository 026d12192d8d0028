import type { TokenForge } from '../core/token.ts';
import { conclude } from '../oauth/refusal.ts';
import type { RequirementContext } from '../rpc/context.ts';
import { withAdditionalIssuer } from './additional-issuer.ts';
import { type DeclaredExchange, declaredExchanges } from './declared-exchanges.ts';

/** Exchanges of an issuer whose signing key the harness holds. */
export interface Forged {
  exchanges: DeclaredExchange[];
  forge: TokenForge;
  issuer: string;
}

const NO_FORGE = "needs tokens signed with the cluster's own key, which the harness does not hold here";

/**
 * Evaluates by tokens that the harness signs: the cluster's where it holds that key, else those of an issuer of its
 * own, where the provider can be configured to trust one.
 *
 * @throws NotApplicable where neither is so
 */
export async function withForge(
  t: RequirementContext,
  serviceAccount: string,
  body: (forged: Forged) => Promise<void>,
): Promise<void> {
  const [{ forge, issuer }, { additionalIssuer, furtherIssuer }] = await Promise.all([
    t.cluster(),
    t.identityProvider(),
  ]);
  if (forge !== undefined) {
    return body({ exchanges: await declaredExchanges(t, serviceAccount), forge, issuer });
  }
  if (additionalIssuer === undefined) {
    return t.notApplicable(furtherIssuer === undefined ? NO_FORGE : `${NO_FORGE}; ${furtherIssuer.quoted}`);
  }
  return withAdditionalIssuer(t, serviceAccount, async ({ issuer: own, key, exchanges, untestable }) => {
    await body({ exchanges: await exchanges(), forge: key, issuer: own.issuer });
    conclude([], untestable);
  });
}
