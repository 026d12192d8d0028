/**
 * The checks of the token client in this suite. Each returns what is wrong, one sentence a finding. None of them is
 * content with having seen nothing.
 */

import { type Finding, missing } from '../../harness/core/findings.ts';
import {
  assertRoomForReload,
  beforeToken,
  betweenLate,
  type ClientSession,
  describeCall,
  failuresOf,
  isForItself,
  iso,
  LATE,
  observationsOf,
  presentedTokens,
  tokensIn,
  unseen,
  withoutToken,
} from '../../harness/roles/token-client/record.ts';
import { simulatedSetup, succeeded } from '../../harness/roles/token-client/simulated-record.ts';

/**
 * AI-30: each provider's endpoint is only ever presented tokens of that provider's file, with calls of all at the same
 * time too.
 */
export function presentsEachTokenToItsProvider(session: ClientSession): Finding[] {
  const findings = concurrency(session);
  for (const { name, tokenPath, audience } of session.providers) {
    const presented = presentedTokens(session).filter(({ provider }) => provider === name);
    if (presented.length === 0) {
      findings.push(missing(`${name} was never presented a token, so nothing is known of it`));
    }
    const others = session.providers.filter((other) => other.name !== name);
    for (const { at, parameter, token } of presented) {
      const owner = others.find((other) =>
        observationsOf(session, other.tokenPath).some(({ sha256 }) => sha256 === token.sha256),
      );
      const own = observationsOf(session, tokenPath).some(({ sha256 }) => sha256 === token.sha256);
      if (own) {
        continue;
      }
      const whose =
        owner === undefined ? `a token for ${JSON.stringify(token.claims.aud)}` : `the token of ${owner.name}`;
      if (owner !== undefined || ![token.claims.aud].flat().includes(audience)) {
        findings.push(`${name} was presented ${whose} as ${parameter} at ${iso(at)}`);
      }
    }
  }
  return findings;
}

/** AI-31: each resource server is only ever sent access tokens that its own provider issued. */
export function sendsEachAccessTokenToItsResourceServer(session: ClientSession): Finding[] {
  const findings = concurrency(session);
  const issuer = new Map(
    session.exchanges.flatMap(({ accessToken, provider }) =>
      accessToken === undefined ? [] : [[accessToken, provider]],
    ),
  );
  for (const { name } of session.providers) {
    const sent = betweenLate(session, session.resources).filter(
      ({ provider, token }) => provider === name && token !== undefined,
    );
    if (!sent.some(({ status }) => status === 200)) {
      findings.push(missing(`${name}: no call was accepted, so nothing is known of it`));
    }
    for (const { at, token } of sent) {
      const from = issuer.get(token?.sha256 ?? '');
      if (from !== name) {
        const whose =
          from === undefined
            ? `a token of "${token?.claims.iss}" that no exchange gave it`
            : `the access token of ${from}`;
        findings.push(`the resource server of ${name} was sent ${whose} at ${at}`);
      }
    }
  }
  return findings;
}

/** AI-32: while one provider fails, for want of its token, the others that worked until then go on working. */
export function keepsOthersWorking(session: ClientSession): Finding[] {
  assertRoomForReload(session);
  const { calls, providers } = session;
  const blanked = calls.filter(({ phase }) => phase === 'blanked');
  // Where the late one has a good access token yet, one whose token has ended is called in its place.
  const emptied = simulatedSetup(session, 'emptied')?.name;
  const failing = blanked.findLast(({ provider }) => provider === LATE || provider === emptied);
  if (failing === undefined) {
    return [missing('no such calls were made')];
  }
  const broken = failing.provider === LATE ? [] : succeeded(session, 'emptied', `a call of ${emptied}`);
  if (broken.length > 0) {
    return broken;
  }
  if (failing.ok) {
    return [missing(`${failing.provider} did not fail with its token file blank, so nothing is known of the others`)];
  }
  const worked = providers.filter(
    ({ name }) => calls.findLast(({ phase, provider }) => phase === 'paced' && provider === name)?.ok === true,
  );
  if (worked.length === 0) {
    return [missing(`no other provider worked before ${failing.provider} failed, so nothing is known of them`)];
  }
  return worked.flatMap(({ name }) => {
    const made = blanked.filter(({ provider }) => provider === name);
    if (made.length === 0) {
      return [missing(`${name} was not called while ${failing.provider} failed`)];
    }
    return failuresOf(
      made,
      (call) => `while ${failing.provider} failed a call of another provider failed too: ${describeCall(call)}`,
    );
  });
}

/**
 * AI-33: while its own token file is missing or blank a provider is shown no token at all, and its resource server
 * neither.
 */
export function neverFallsBack(session: ClientSession): Finding[] {
  const calls = session.calls.filter(({ provider }) => provider === LATE);
  const without = calls.filter(({ phase }) => withoutToken(phase) !== undefined);
  const there = calls.find(({ phase }) => phase === 'refused');
  if (without.length < 2 || there === undefined) {
    return [missing('no such calls were made')];
  }
  const early = <R extends { at: string }>(records: R[]): R[] => beforeToken(session, records, there);
  const findings = [
    ...without
      .filter(({ ok }) => ok)
      .map(
        ({ phase }) =>
          `with its token file ${withoutToken(phase)} ${LATE} was called with success, so with a token of another`,
      ),
    ...tokensIn(early(session.exchanges).filter((exchange) => !isForItself(session, exchange))).map(
      ({ at, provider, token }) => {
        const owner = session.providers.find(({ tokenPath }) =>
          observationsOf(session, tokenPath).some(({ sha256 }) => sha256 === token.sha256),
        );
        const whose =
          owner === undefined ? `a token for ${JSON.stringify(token.claims.aud)}` : `the token of ${owner.name}`;
        return `at ${iso(at)} ${whose} was presented for ${LATE} at the endpoint of ${provider}, while the file of ${LATE} had none`;
      },
    ),
    ...early(session.resources).flatMap(({ at, provider, token }) =>
      token === undefined || ownsAccessToken(session, provider, token.sha256)
        ? []
        : [`at ${at} the resource server was sent a token, while the file of ${LATE} had none`],
    ),
  ];
  // One that never works falls back to nothing, and shows nothing by that.
  if (findings.length === 0 && !session.exchanges.some(({ accessToken }) => accessToken !== undefined)) {
    return unseen(without.slice(0, 1), 'the client never got an access token');
  }
  return findings;
}

function concurrency({ calls }: ClientSession): Finding[] {
  const together = new Set(calls.filter(({ phase }) => phase === 'concurrent').map(({ provider }) => provider));
  return together.size > 1 ? [] : [missing('no calls of two providers were made at the same time')];
}

/** The same of an access token that such an exchange gave, at its own resource server. */
function ownsAccessToken(session: ClientSession, provider: string, sha256: string): boolean {
  return session.exchanges.some(
    (exchange) => exchange.provider === provider && exchange.accessToken === sha256 && isForItself(session, exchange),
  );
}
