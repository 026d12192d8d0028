/**
 * The rows of the role `token-client` that are seen at the providers that the observer plays, and in what the client leaves behind.
 * As in {@link ./session.ts}: nothing wrong is an empty list, and nothing seen is something wrong.
 */

import { INTERACTIVE, REDIRECTS } from '../../../../fixtures/workloads/observer/played.ts';
import type { ExchangeRecord } from '../../../../fixtures/workloads/observer/records.ts';
import { type Finding, unlessStalled } from '../../../core/findings.ts';
import type { PlayedName } from '../../../fakes/simulated-providers.ts';
import type { Call, ClientSession } from '../scenarios/session.ts';
import {
  describeCall,
  endOf,
  FAIL_FAST_MS,
  failuresOf,
  iso,
  JWT,
  observationsOf,
  requestFindings,
  restarts,
  tokensIn,
} from './session.ts';

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const JWT_TYPE = 'urn:ietf:params:oauth:token-type:jwt';

/** Calls that are told apart by time are further apart than the lives of a token; clocks may differ by so much. */
const CLOCKS_MS = 1_000;

/** TX-02: a token exchange is the form of RFC 8693 section 2.1 with what is configured: an audience only where there is one. */
export function exchangesBySubjectToken(session: ClientSession): Finding[] {
  const names = ['exchange', 'exchange-audience'] as const;
  return names.flatMap((name) => {
    const setup = session.played.find((played) => played.name === name);
    const exchanges = exchangesOf(session, name);
    const findings = exchanges.flatMap((exchange) =>
      requestFindings(exchange, {
        grant_type: TOKEN_EXCHANGE,
        subject_token: JWT,
        subject_token_type: JWT_TYPE,
        audience: setup?.tokenExchangeAudience ?? '',
        client_id: setup?.clientId ?? '',
        scope: setup?.scopes.join(' ') ?? '',
      }),
    );
    return [
      ...(exchanges.length === 0 ? [`${name}: no exchange was made${firstError(session, name)}`] : []),
      ...[...new Set(findings)].map((finding) => `${name}: ${finding}`),
    ];
  });
}

/** TX-04: the metadata of an issuer with a path is found, not that of its neighbour without one. */
export function findsAnIssuerWithAPath(session: ClientSession): Finding[] {
  const issuer = session.played.find(({ name }) => name === 'tenant')?.issuer ?? '';
  const own = issuer === '' ? '' : `${new URL(issuer).pathname}/token`;
  const astray = exchangesOf(session, 'tenant').filter(({ path }) => path !== own);
  return [
    ...control(session),
    ...astray.map(({ at, path }) => `a token for the issuer ${issuer} was asked for at ${path} of its origin at ${at}`),
    ...succeeded(session, 'tenant', 'a call for an issuer with a path'),
  ];
}

/** TX-06: metadata that names another issuer is not used, nor where the two differ by a slash at the end (RFC 8414 section 3.3). */
export function refusesMetadataOfAnotherIssuer(session: ClientSession): Finding[] {
  const names = ['other-issuer', 'other-slash'] as const;
  return [
    ...control(session),
    ...names.flatMap((name) => {
      const whose = name === 'other-slash' ? 'of its issuer with a slash more' : 'of another issuer';
      const asked = session.lookups.some(({ provider, status }) => provider === name && status === 200);
      return [
        ...exchangesOf(session, name).map(
          ({ at }) => `a token was presented at ${at} to the endpoint that the metadata ${whose} names`,
        ),
        ...callsOf(session, name)
          .filter(({ ok }) => ok)
          .map(() => `a call succeeded by the metadata ${whose}`),
        ...(asked ? [] : unseen(callsOf(session, name), `the metadata document ${whose} was never asked for`)),
      ];
    }),
  ];
}

/** TX-07: a server that TLS cannot verify is told nothing, and no token goes along a redirect to another origin. */
export function sendsNoTokenToStrangers(session: ClientSession): Finding[] {
  const strange = [...session.lookups, ...session.exchanges, ...session.resources];
  const sentOn = (name: PlayedName, records: { provider: string; status: number }[]): Finding[] =>
    records.some(({ provider, status }) => provider === name && REDIRECTS.some((redirect) => redirect === status))
      ? []
      : unseen(callsOf(session, name), `${name}: nothing was sent on`);
  return [
    ...control(session),
    ...strange
      .filter(({ provider, kind }) => provider === 'stranger' && kind !== 'resource')
      .map(({ at, path }) => `${path} was asked for at ${at}, of a server whose certificate nobody vouches for`),
    ...session.elsewhere.flatMap(({ at, path, tokens }) =>
      tokens.map((token) => `a redirect was followed to another origin (${path}) at ${at} with a token (${token.as})`),
    ),
    ...callsOf(session, 'stranger')
      .filter(({ ok }) => ok)
      .map(() => 'a call succeeded by a server whose certificate nobody vouches for'),
    ...sentOn('redirecting-endpoint', session.exchanges),
    ...sentOn('redirecting-server', session.resources),
  ];
}

/** TR-25: of the exchanges that calls at the same time need, no two overlap. */
export function exchangesOnceForManyCalls(session: ClientSession): Finding[] {
  const calls = callsOf(session, 'slow');
  const together = calls.some((call, index) =>
    calls.slice(index + 1).some((other) => Date.parse(other.at) < endOf(call) && Date.parse(call.at) < endOf(other)),
  );
  const began = Math.min(...calls.map(({ at }) => Date.parse(at))) - CLOCKS_MS;
  const exchanges = exchangesOf(session, 'slow').filter(({ at }) => Date.parse(at) >= began);
  const overlapping = exchanges.filter((exchange, index) =>
    exchanges.slice(0, index).some((earlier) => Date.parse(exchange.at) < Date.parse(earlier.at) + earlier.durationMs),
  );
  return [
    ...(together ? [] : ['no calls were made at the same time']),
    ...(exchanges.length > 0 ? [] : unseen(calls, 'the calls needed no exchange')),
    ...succeeded(session, 'slow', 'one of many calls at the same time'),
    ...(overlapping.length === 0
      ? []
      : [`${calls.length} calls at the same time made ${overlapping.length + 1} exchanges at the same time`]),
  ];
}

/** TR-26: a token that the resource server refuses is replaced once, and the call repeated once. */
export function exchangesOnceMoreWhenRefused(session: ClientSession): Finding[] {
  const [first, refused, refusedAgain] = callsOf(session, 'revoking');
  if (first === undefined || refused === undefined || refusedAgain === undefined) return ['no such calls were made'];
  const [told, toldAgain] = session.acts.filter(({ provider }) => provider === 'revoking').map(({ place }) => place);
  if (told === undefined || toldAgain === undefined) return ['no token was refused'];
  // Told apart by what the observer was told in between, so that no clocks are compared.
  const parts = new Map([
    [first, [0, told]],
    [refused, [told, toldAgain]],
    [refusedAgain, [toldAgain, Number.POSITIVE_INFINITY]],
  ]);
  const during = <R extends { place?: number; provider: string }>(records: R[], call: Call): R[] => {
    const [from = 0, to = 0] = parts.get(call) ?? [];
    return records.filter(({ place = -1, provider }) => provider === 'revoking' && place >= from && place < to);
  };
  const usual = during(session.resources, first).length;
  const loops = [refused, refusedAgain].flatMap((call) => {
    const requests = during(session.resources, call).length;
    const granted = during(session.exchanges, call).filter(({ accessToken }) => accessToken !== undefined).length;
    return requests > 2 * usual || granted > 2
      ? [`a refused call made ${requests} requests and ${granted} exchanges, a good one ${usual} requests`]
      : [];
  });
  return [
    ...failuresOf([first], (call) => `a call failed before its token was refused: ${describeCall(call)}`),
    ...(during(session.resources, refused).some(({ status }) => status === 401)
      ? []
      : unseen([refused], 'no token was refused')),
    ...failuresOf([refused], (call) => `a call was not repeated with another token: ${describeCall(call)}`),
    ...(refusedAgain.ok ? ['a call succeeded though every token was refused'] : []),
    ...loops,
  ];
}

/** TR-27: an access token of which the answer tells no life is not used beyond what else is known of it. */
export function doesNotGuessALife(session: ClientSession): Finding[] {
  const calls = callsOf(session, 'no-expiry');
  if (calls.length < 2) return ['no such calls were made'];
  return failuresOf(
    calls,
    (call) =>
      `${call === calls[0] ? 'the first call failed' : 'a call failed once the token had expired'}, where the answer tells no expires_in: ${describeCall(call)}`,
  );
}

/** TR-29: while the provider is down, answers 503 or nothing the client fails in time, and recovers in the same process. */
export function survivesAnOutage(session: ClientSession): Finding[] {
  const calls = session.calls.filter(({ phase }) => phase === 'outage');
  const [before, ...after] = calls.filter(({ act }) => act === 'good');
  const during = calls.filter(({ act }) => act !== 'good');
  if (before === undefined || during.length === 0) return ['no such calls were made'];
  // A client that is started for each call needs that time too.
  const startMs = session.capabilities.includes('resident') ? 0 : before.durationMs;
  const limitMs = session.timeLimitMs + FAIL_FAST_MS + startMs;
  const findings: Finding[] = failuresOf([before], (call) => `a call failed before the outage: ${describeCall(call)}`);
  for (const call of during) {
    const excessMs = call.durationMs - limitMs;
    const provider = `with a provider that is ${call.act}`;
    if (excessMs > 0) {
      const text = `${provider} a call took ${(call.durationMs / 1000).toFixed(1)} s, its limit is ${session.timeLimitMs / 1000} s`;
      findings.push({ text, from: Date.parse(call.at), to: endOf(call), excessMs });
    } else if (call.unanswered === true) {
      findings.push(`${provider} a call was not answered: ${describeCall(call)}`);
    } else if (call.ok) {
      findings.push(`${provider} a call succeeded: with which token?`);
    } else if ((call.error ?? '') === '') {
      findings.push(`${provider} a call failed without an error`);
    }
  }
  const last = after.at(-1);
  return [
    ...findings,
    ...(session.capabilities.includes('resident') ? restarts(session.after, session.afterOutage) : []),
    ...(last === undefined
      ? ['no call was made after the outage']
      : failuresOf([last], (call) => `${after.length} calls failed after the outage, the last: ${describeCall(call)}`)),
  ];
}

/** TR-31: no file holds a subject token, and those with access tokens are their user's alone. */
export function persistsAccessTokensPrivately(session: ClientSession): Finding[] {
  const files = session.remaining ?? [];
  const subjects = new Set([
    ...session.files.flatMap(({ observations }) => observations.map(({ sha256 }) => sha256)),
    ...tokensIn(session.exchanges).map(({ token }) => token.sha256),
  ]);
  const issued = new Set<string | undefined>(session.exchanges.map(({ accessToken }) => accessToken));
  const holds = (words: string[], digests: ReadonlySet<string | undefined>): boolean =>
    words.some((word) => digests.has(word));
  const caches = files.filter(({ words, unreadable }) => unreadable !== undefined || holds(words, issued));
  return [
    ...files.filter(({ words }) => holds(words, subjects)).map(({ path }) => `${path} holds a subject token`),
    ...caches
      .filter(({ mode }) => (Number.parseInt(mode, 8) & 0o077) !== 0)
      .map(({ path, mode }) => `${path}, which holds an access token, has the mode ${mode}`),
    ...(caches.length === 0 && session.capabilities.includes('cache')
      ? ['no file holds an access token, though the client declares a cache']
      : []),
    ...(session.exchanges.length === 0 ? ['no exchange was made'] : []),
  ];
}

/** TR-35: a machine whose token is refused fails; it asks nobody to log in, and waits for nobody. */
export function neverTurnsToAPerson(session: ClientSession): Finding[] {
  const [call] = callsOf(session, 'refusing');
  if (call === undefined) return ['no such call was made'];
  const [from, to] = [Date.parse(call.at), endOf(call)];
  const asked = session.lookups.filter(
    ({ provider, path }) => provider !== undefined && INTERACTIVE.some((page) => path.endsWith(`/${page}`)),
  );
  const opened = (session.listeners ?? []).filter(({ at }) => Date.parse(at) >= Date.parse(session.calls[0]?.at ?? ''));
  // A client that opens ports for calls that succeed, too, does not open them to let a person in.
  const usual = opened.some(({ at }) => Date.parse(at) < from);
  const forThis = opened.filter(({ at }) => Date.parse(at) >= from && Date.parse(at) <= to);
  return [
    ...control(session),
    ...(exchangesOf(session, 'refusing').some(({ status }) => status === 400)
      ? []
      : unseen([call], 'no token request was refused')),
    ...(call.unanswered === true
      ? [{ text: `a refused call does not end: ${describeCall(call)}`, from, to, excessMs: call.durationMs }]
      : []),
    ...asked.map(({ at, path }) => `${path}, where a person logs in, was asked for at ${at}`),
    ...session.output.prompts.map((line) => `line ${line} of the output asks a person to log in`),
    ...(usual ? [] : forThis.map(({ at, port }) => `port ${port} was listened on at ${at}, when a token was refused`)),
  ];
}

/** TR-36: after the symlinks behind its path were swapped, and swapped once more, the client presents the token that is there now. */
export function followsTheSymlinkSwap(session: ClientSession): Finding[] {
  const calls = callsOf(session, 'swapped');
  const files = session.providers.map(({ tokenPath }) => new Set(digestsOf(session, tokenPath)));
  if (calls.length <= files.length) return ['no such calls were made'];
  const presented = tokensIn(exchangesOf(session, 'swapped'));
  const instants = [...calls.map(({ at }) => Date.parse(at) - CLOCKS_MS), Number.POSITIVE_INFINITY];
  return [
    ...failuresOf(calls, (call) => `a call failed: ${describeCall(call)}`),
    ...calls.flatMap((call, index) => {
      const [from = 0, to = 0] = instants.slice(index);
      // The files of the providers take turns.
      const inPlace = files[index % files.length];
      const during = presented.filter(({ at }) => at >= from && at < to);
      const told = index === 0 ? 'before the swap' : `after swap ${index}`;
      return [
        ...(during.length === 0 ? unseen([call], `no token was presented ${told}`) : []),
        ...during
          .filter(({ token }) => inPlace?.has(token.sha256) !== true)
          .map(({ at, token }) => {
            const which = files.some((file) => file.has(token.sha256)) ? 'the one from before' : 'of another file';
            return `the token presented ${told}, at ${iso(at)}, was ${which}`;
          }),
      ];
    }),
  ];
}

function callsOf({ calls }: ClientSession, name: PlayedName): Call[] {
  return calls.filter(({ phase, provider }) => phase === 'played' && provider === name);
}

function exchangesOf({ exchanges }: ClientSession, name: PlayedName): ExchangeRecord[] {
  return exchanges.filter(({ provider }) => provider === name);
}

function digestsOf(session: ClientSession, path: string): string[] {
  return observationsOf(session, path).map(({ sha256 }) => sha256);
}

/** A refusal counts where a good provider, played in the same way, is used with success. */
function control(session: ClientSession): Finding[] {
  return succeeded(session, 'plain', 'the control, a call with a good provider,');
}

function succeeded(session: ClientSession, name: PlayedName, what: string): Finding[] {
  const calls = callsOf(session, name);
  if (calls.length === 0) return [`${what} was not made`];
  return failuresOf(calls, (call) => `${what} failed: ${describeCall(call)}`);
}

/** What was not seen may be missing because the machine stalled. */
function unseen(calls: Call[], what: string): Finding[] {
  const [call] = calls;
  return call === undefined
    ? [`${what}, since no such call was made`]
    : [unlessStalled(`${what}, so nothing is known: ${describeCall(call)}`, Date.parse(call.at), endOf(call))];
}

function firstError(session: ClientSession, name: PlayedName): string {
  const failed = callsOf(session, name).find(({ ok }) => !ok);
  return failed === undefined ? '' : ` (${describeCall(failed)})`;
}
