import { NotTestable } from '../core/errors.ts';
import type { TokenForge } from '../core/token.ts';
import {
  type AdditionalIssuer,
  makeSigningKey,
  projectedClaims,
  startAdditionalIssuer,
} from '../fakes/additional-issuer.ts';
import type { AdditionalIssuerDeclaration, AdditionalIssuerTrust } from '../oauth/provider.ts';
import { type ProviderFinding, refusesGood } from '../oauth/refusal.ts';
import { describeResponse, isAccepted } from '../oauth/token-response.ts';
import type { RequirementContext } from '../rpc/context.ts';
import { type DeclaredExchange, declaredExchanges, exchangesBy, LIFE_SECONDS } from './declared-exchanges.ts';

/** An issuer alongside the cluster's, with a signing key that is published. */
export interface IssuerUnderControl {
  issuer: AdditionalIssuer;
  key: TokenForge;
  /**
   * Makes a provider that trusts it, registers a ServiceAccount there, and gives its exchanges; their tokens are signed
   * by `key`. Those by which the cluster's own tokens are refused are left out.
   */
  exchanges(keys?: AdditionalIssuerTrust['keys']): Promise<DeclaredExchange[]>;
  /** The token that an exchange takes, signed by another key. */
  signedBy(exchange: DeclaredExchange, key: TokenForge): Promise<string>;
  /** What was left out. */
  untestable: ProviderFinding[];
}

/**
 * Serves an issuer for as long as `body` takes: the cluster's own keys cannot be rolled for one requirement alone.
 *
 * @throws NotApplicable where the provider cannot be configured to trust one
 */
export async function withAdditionalIssuer(
  t: RequirementContext,
  serviceAccount: string,
  body: (control: IssuerUnderControl) => Promise<void>,
): Promise<void> {
  const identityProvider = await t.identityProvider();
  const { additionalIssuer, furtherIssuer } = identityProvider;
  if (additionalIssuer === undefined) {
    return t.notApplicable(
      furtherIssuer?.quoted ??
        'this provider cannot be configured to trust an additional issuer, whose keys the harness could roll',
    );
  }
  const isDead = new Map<string, boolean>();
  const untestable: ProviderFinding[] = [];
  for (const exchange of await declaredExchanges(t, serviceAccount)) {
    const control = await exchange.present(await exchange.good());
    isDead.set(declarationOf(exchange), !isAccepted(control));
    if (!isAccepted(control)) {
      untestable.push(refusesGood(exchange, control));
    }
  }
  const issuer = await startAdditionalIssuer({
    address: additionalIssuer.address,
    ...(await t.certificate(additionalIssuer.address)),
    plainHttp: furtherIssuer?.plainHttp === true,
  });
  try {
    const key = makeSigningKey();
    issuer.publish(key);
    const workload = { namespace: 'additional-issuer', serviceAccount };
    const mint = (audiences: string[], by: TokenForge, expirationSeconds = LIFE_SECONDS): Promise<string> =>
      by.sign(projectedClaims(issuer.issuer, { ...workload, audiences, expirationSeconds }));
    await body({
      issuer,
      key,
      async exchanges(keys) {
        const provider = await additionalIssuer.trusting(issuer.trust(keys));
        const registration = await identityProvider.register(provider.name, workload);
        const all = exchangesBy(t, identityProvider, provider, registration, {
          workload,
          genuine: ({ audiences = [provider.audience], expirationSeconds } = {}) =>
            mint(audiences, key, expirationSeconds),
          good: () => mint([provider.audience], key),
        });
        return all.filter((exchange) => isDead.get(declarationOf(exchange)) !== true);
      },
      untestable,
      signedBy: ({ provider }, by) => mint([provider.audience], by),
    });
  } catch (error) {
    if (error instanceof NotTestable && mustAsk(furtherIssuer) && issuer.isOutOfReach) {
      throw new NotTestable(`${error.message}\n${unasked(issuer)}`);
    }
    throw error;
  } finally {
    await issuer.stop();
  }
}

/** False for a provider that was given the keys themselves. */
function mustAsk(furtherIssuer: AdditionalIssuerDeclaration | undefined): boolean {
  return furtherIssuer?.keys !== 'static-keys';
}

/**
 * The reason for a provider that should have asked its issuer and never did: where it cannot reach it, that is no fault
 * of its own.
 */
function unasked({ issuer }: { issuer: string }): string {
  return `nobody asked anything of the harness's issuer ${issuer}: the provider does not reach it, or does not trust its TLS ("furtherIssuer.tls" in its target file)`;
}

const declarationOf = ({ declaration: { grant, clientAuthentication } }: DeclaredExchange): string =>
  `${grant} ${clientAuthentication}`;

/** One answer on the way to the first token, for evidence. */
export interface Answered {
  afterSeconds: number;
  answer: string;
}

/** Between two attempts: a provider answers at once, and may ask the issuer again only every so often. */
const ATTEMPT_EVERY_MS = 2_000;

/**
 * Presents a fresh token again and again until it is accepted; the last time when
 * `withinSeconds` have passed since `from`. There is nothing to watch: a provider asks for keys when it is shown a
 * token.
 */
export async function presentUntilAccepted(
  t: RequirementContext,
  exchange: DeclaredExchange,
  token: () => Promise<string>,
  { from, withinSeconds, why }: { from: number; withinSeconds: number; why: string },
): Promise<{ accepted: boolean; answers: Answered[]; timedOut?: true }> {
  const answers: Answered[] = [];
  for (let after = 0; ; after = Math.min(after + ATTEMPT_EVERY_MS, withinSeconds * 1_000)) {
    await t.clock.until(new Date(from + after), why);
    const last = after >= withinSeconds * 1_000;
    const response = await exchange.present(await token());
    const answer = describeResponse(response);
    const accepted = isAccepted(response);
    if (accepted || answers.at(-1)?.answer !== answer) {
      answers.push({ afterSeconds: Math.round((Date.now() - from) / 100) / 10, answer });
    }
    if (accepted || last) {
      return { accepted, answers, ...(response.timedOut === true ? { timedOut: true } : {}) };
    }
  }
}
