/**
 * The rows of the role `token-client`, as functions of what was seen. Each returns what is wrong, one sentence a finding;
 * nothing wrong is an empty list. None of them is content with having seen nothing.
 */

import type { DecodedToken } from '../../../../fixtures/workloads/lib/jwt.ts';
import type { ExchangeRecord } from '../../../../fixtures/workloads/observer/records.ts';
import type { TokenObservation } from '../../../../fixtures/workloads/token-probe/probe.ts';
import { type Finding, unlessStalled } from '../../../core/findings.ts';
import {
  BURST_CALLS,
  type Call,
  type ClientSession,
  LATE,
  type ProcessIdentity,
  rotationsSince,
  type SessionProvider,
} from '../scenarios/session.ts';

/** From the reading of a file to the arrival of the request at the recorder, on a busy machine. */
const READ_TO_ARRIVAL_MS = 2_000;

/** What is known at once, or within a time limit, is told not later than this after it: the rest is the way to the pod and back. */
export const FAIL_FAST_MS = 10_000;

/** The half of a token's life, as the client that rounds it to seconds sees it. */
const ROUNDING_MS = 1_000;

/** Parameters in which a projected token is presented: RFC 7523 sections 2.1 and 2.2, RFC 8693 section 2.1. */
const TOKEN_PARAMETERS = ['assertion', 'subject_token', 'client_assertion', 'actor_token'];

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

interface Presented {
  at: number;
  provider: string;
  parameter: string;
  token: DecodedToken;
}

/** TR-20 (no path configured) and TR-21 (path configured): the token presented to a provider is the one of its file. */
export function readsItsTokenFile(session: ClientSession, { pathConfigured }: { pathConfigured: boolean }): string[] {
  const providers = session.providers.filter((provider) => provider.pathConfigured === pathConfigured);
  return [
    ...(providers.length === 0 ? ['no provider is configured so'] : []),
    ...providers.flatMap((provider) => {
      const known = new Set(observationsOf(session, provider.tokenPath).map(({ sha256 }) => sha256));
      const presented = presentedTokens(session).filter(({ provider: to }) => to === provider.name);
      if (presented.some(({ token }) => known.has(token.sha256))) return [];
      const instead =
        presented[0] === undefined ? 'nothing at all' : `a token for ${JSON.stringify(presented[0].token.claims.aud)}`;
      return [
        `${provider.name} was never presented a token of ${provider.tokenPath}, but ${instead}${firstError(session, provider)}`,
      ];
    }),
  ];
}

/** TR-22: no exchange presents a token that its file no longer held, within one process that crossed rotations. */
export function rereadsAtEveryExchange(session: ClientSession): Finding[] {
  const findings: Finding[] = restarts(session.before, session.after);
  let crossed = false;
  for (const { name, tokenPath } of session.providers) {
    const observations = observationsOf(session, tokenPath);
    const presented = presentedTokens(session).filter(({ provider }) => provider === name);
    if (new Set(presented.map(({ token }) => token.sha256)).size > 1) crossed = true;
    for (const { at, parameter, token } of presented) {
      const replaced = replacedAt(observations, token);
      // A call that had begun before may have read the file before.
      if (replaced === undefined || startOfCalls(session, name, at) <= replaced) continue;
      const excessMs = at - replaced - READ_TO_ARRIVAL_MS;
      if (excessMs <= 0) continue;
      const text = `${name}: the ${parameter} presented at ${iso(at)} had been replaced in ${tokenPath} at ${iso(replaced)}`;
      findings.push({ text, from: replaced, to: at, excessMs });
    }
  }
  return crossed ? findings : [...findings, 'no provider was presented a second token'];
}

/** TR-23: across rotations and past the first expiry no expired token is presented, and no call fails. */
export function neverPresentsAnExpiredToken(session: ClientSession): Finding[] {
  const findings: Finding[] = [];
  const began = Date.parse(session.calls.find(({ phase }) => phase === 'paced')?.at ?? '');
  const rotations = session.providers.map(
    ({ tokenPath }) => rotationsSince(observationsOf(session, tokenPath), began).later.length,
  );
  if (rotations.reduce((sum, count) => sum + count, 0) < 2) {
    findings.push(`only ${rotations.join(' and ')} rotations were crossed`);
  }
  // The token files of the providers that the observer plays are copies, which nobody rotates.
  const rotating = new Set(session.providers.map(({ name }) => name));
  for (const { at, provider, parameter, token } of presentedTokens(session)) {
    const expiry = Number(token.claims.exp) * 1000;
    if (!rotating.has(provider) || !(expiry <= at)) continue;
    const text = `${provider}: the ${parameter} presented at ${iso(at)} had expired at ${iso(expiry)}`;
    const from = Math.min(expiry, startOfCalls(session, provider, at));
    findings.push({ text, from, to: at, excessMs: at - expiry });
  }
  const calls = session.calls.filter(({ phase }) => phase === 'paced' || phase === 'burst');
  if (calls.length === 0) findings.push('no call was made');
  return [...findings, ...failuresOf(calls, (call) => `a call failed: ${describeCall(call)}`)];
}

/** TR-24: many calls need one exchange, and the next one comes when the access token's end is near (never before half of its life). */
export function reusesAccessTokens(session: ClientSession): Finding[] {
  const findings: Finding[] = [];
  let judged = 0;
  for (const { name, skewSeconds = 0 } of session.providers) {
    // Half of its life, or so long before its end as the client documents.
    const usableMs = (seconds = Number.POSITIVE_INFINITY): number =>
      Math.min(seconds / 2, seconds - skewSeconds) * 1000;
    const burst = session.calls.filter(({ phase, provider }) => phase === 'burst' && provider === name);
    if (burst.length < (session.burstCalls ?? BURST_CALLS) || burst.some(({ ok }) => !ok)) continue;
    judged += 1;
    const from = Date.parse(burst[0]?.at ?? '');
    const last = burst.at(-1);
    const to = last === undefined ? from : endOf(last);
    const exchanges = grantedBy(session, name);
    const needless = exchanges.filter((exchange, index) => {
      const previous = exchanges[index - 1];
      const at = Date.parse(exchange.at);
      // A call that began before the answer could not know of it: whether the two should be one is TR-25.
      const together = previous !== undefined && startOfCalls(session, name, at) < answeredAt(previous);
      return !together && !wasRefused(session, name, previous, at);
    });
    const within = needless.filter(({ at }) => Date.parse(at) > from && Date.parse(at) <= to);
    const usable = Math.min(...exchanges.map(({ expiresIn }) => usableMs(expiresIn)));
    if (within.length > 1 + Math.floor((to - from) / usable)) {
      findings.push(
        `${name}: ${burst.length} calls in a row within ${((to - from) / 1000).toFixed(1)} s made ${within.length} exchanges`,
      );
    }
    for (const [index, exchange] of exchanges.entries()) {
      const previous = exchanges[index - 1];
      if (previous?.expiresIn === undefined || !needless.includes(exchange)) continue;
      const at = Date.parse(exchange.at);
      // The client counts from when it asked, which the recorder cannot see: not before the call that needed it.
      const asked = startOfCalls(session, name, Date.parse(previous.at));
      const excessMs = usableMs(previous.expiresIn) - ROUNDING_MS - (at - asked);
      if (excessMs <= 0) continue;
      const gap = ((at - Date.parse(previous.at)) / 1000).toFixed(1);
      const text = `${name}: exchanged at ${exchange.at}, ${gap} s after it got a token for ${previous.expiresIn} s`;
      findings.push({ text, from: asked, to: at, excessMs });
    }
  }
  return judged === 0 ? ['no provider answered a series of calls'] : findings;
}

/** TR-28: with its token file missing or blank the client fails soon and says why, exchanges nothing, and recovers by itself. */
export function survivesAMissingTokenFile(session: ClientSession): Finding[] {
  const findings: Finding[] = restarts(session.before, session.after);
  const calls = session.calls.filter(({ provider }) => provider === LATE);
  const [missing, blank, there, recovered] = (['missing', 'blank', 'refused', 'recovered'] as const).map((phase) =>
    calls.find((call) => call.phase === phase),
  );
  if (missing === undefined || blank === undefined || there === undefined || recovered === undefined)
    return [...findings, 'no such calls were made'];
  // A client that is started for each call needs that time too: not more than the slowest of its good calls.
  const startMs = Math.max(0, ...session.calls.flatMap(({ ok, durationMs }) => (ok ? [durationMs] : [])));
  for (const call of [missing, blank]) {
    const excessMs = call.durationMs - FAIL_FAST_MS - startMs;
    if (excessMs > 0) {
      const text = `with the token file ${call.phase} the call took ${(call.durationMs / 1000).toFixed(1)} s (${describeCall(call)})`;
      findings.push({ text, from: Date.parse(call.at), to: endOf(call), excessMs });
    } else if (call.unanswered === true) {
      findings.push(`with the token file ${call.phase} the call was not answered (${describeCall(call)})`);
    } else if (call.ok) {
      findings.push(`with the token file ${call.phase} the call succeeded: with whose token?`);
    } else if ((call.error ?? '') === '') {
      findings.push(`with the token file ${call.phase} the call failed without an error`);
    }
  }
  const tooSoon = beforeToken(session, session.exchanges, there).filter((exchange) => !isForItself(session, exchange));
  if (tooSoon[0] !== undefined) {
    findings.push(
      `a token was presented to ${tooSoon[0].provider} at ${tooSoon[0].at}, while the only file asked for had none`,
    );
  }
  return [
    ...findings,
    ...failuresOf([recovered], (call) => `with the token in place the call failed: ${describeCall(call)}`),
  ];
}

/** TR-28a: the error of a call for which there is no token names the file that should hold it. */
export function namesTheMissingFile({ calls, latePath }: ClientSession): Finding[] {
  const failed = calls.filter(({ phase, ok }) => (phase === 'missing' || phase === 'blank') && !ok);
  if (failed.length === 0) return ['no call failed for want of its token file'];
  // Where the machine stalls, a client may have failed of something else before it came to the file.
  return failuresOf(
    failed.filter(({ namesFile }) => namesFile !== true),
    (call) => `with the token file ${call.phase} the error does not name ${latePath}: ${describeCall(call)}`,
  );
}

/** TX-01: every exchange is one form-encoded POST of the JWT bearer grant (RFC 7523 section 2.1) with what is configured, and no more. */
export function exchangesByOneForm(session: ClientSession): string[] {
  const findings = new Set<string>();
  for (const exchange of session.exchanges) {
    const provider = session.providers.find(({ name }) => name === exchange.provider);
    if (provider === undefined) continue;
    for (const finding of formFindings(exchange, provider)) findings.add(`${provider.name}: ${finding}`);
  }
  if (session.exchanges.length === 0) findings.add('no exchange was made');
  return [...findings];
}

function formFindings(exchange: ExchangeRecord, provider: SessionProvider): string[] {
  return requestFindings(exchange, {
    grant_type: JWT_BEARER,
    assertion: JWT,
    client_id: provider.clientId,
    scope: provider.scopes.join(' '),
  });
}

/** Stands for any JWT as the value of a parameter. */
export const JWT = Symbol('a JWT');

/** What is wrong with the form of a token request: each parameter must be given once, with its value; '' stands for none. */
export function requestFindings(
  { method, contentType, authorization, parameters, path }: ExchangeRecord,
  expected: Record<string, string | typeof JWT>,
): string[] {
  const findings: string[] = [];
  if (method !== 'POST') findings.push(`the token endpoint was asked by ${method}`);
  if (path.includes('?')) findings.push('parameters stand in the URL');
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(contentType)) {
    findings.push(`the content type is "${contentType}", not application/x-www-form-urlencoded`);
    return findings;
  }
  for (const [name, wanted] of Object.entries(expected)) {
    const [value, ...more] = parameters[name] ?? [];
    if (more.length > 0) findings.push(`${name} is given ${more.length + 1} times`);
    const told = typeof value === 'object' ? 'a JWT' : `"${value ?? ''}"`;
    if (wanted === JWT) {
      if (typeof value !== 'object') findings.push(`${name} is not a JWT`);
    } else if ((value ?? '') !== wanted) {
      findings.push(`${name} is ${told}, ${wanted === '' ? 'though none is configured' : `not "${wanted}"`}`);
    }
  }
  if (authorization !== null)
    findings.push(`an Authorization header (${authorization}) was sent, though no secret is configured`);
  if (parameters.client_secret !== undefined) findings.push('a client_secret was sent, though none is configured');
  return findings;
}

/** AI-30: each provider's endpoint is only ever presented tokens of that provider's file, with calls of all at the same time too. */
export function presentsEachTokenToItsProvider(session: ClientSession): string[] {
  const findings = concurrency(session);
  for (const { name, tokenPath, audience } of session.providers) {
    const presented = presentedTokens(session).filter(({ provider }) => provider === name);
    if (presented.length === 0) findings.push(`${name} was never presented a token, so nothing is known of it`);
    const others = session.providers.filter((other) => other.name !== name);
    for (const { at, parameter, token } of presented) {
      const owner = others.find((other) =>
        observationsOf(session, other.tokenPath).some(({ sha256 }) => sha256 === token.sha256),
      );
      const own = observationsOf(session, tokenPath).some(({ sha256 }) => sha256 === token.sha256);
      if (own) continue;
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
export function sendsEachAccessTokenToItsResourceServer(session: ClientSession): string[] {
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
    if (!sent.some(({ status }) => status === 200))
      findings.push(`${name}: no call was accepted, so nothing is known of it`);
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
export function keepsOthersWorking({ calls, providers }: ClientSession): Finding[] {
  const blanked = calls.filter(({ phase }) => phase === 'blanked');
  const failing = blanked.find(({ provider }) => provider === LATE);
  if (failing === undefined) return ['no such calls were made'];
  if (failing.ok) return [`${LATE} did not fail with its token file blank, so nothing is known of the others`];
  const worked = providers.filter(
    ({ name }) => calls.findLast(({ phase, provider }) => phase === 'paced' && provider === name)?.ok === true,
  );
  if (worked.length === 0) return [`no other provider worked before ${LATE} failed, so nothing is known of them`];
  return worked.flatMap(({ name }) => {
    const made = blanked.filter(({ provider }) => provider === name);
    if (made.length === 0) return [`${name} was not called while ${LATE} failed`];
    return failuresOf(
      made,
      (call) => `while ${LATE} failed a call of another provider failed too: ${describeCall(call)}`,
    );
  });
}

/** AI-33: while its own token file is missing or blank a provider is shown no token at all, and its resource server neither. */
export function neverFallsBack(session: ClientSession): string[] {
  const calls = session.calls.filter(({ provider }) => provider === LATE);
  const without = calls.filter(({ phase }) => phase === 'missing' || phase === 'blank');
  const there = calls.find(({ phase }) => phase === 'refused');
  if (without.length < 2 || there === undefined) return ['no such calls were made'];
  const early = <R extends { at: string }>(records: R[]): R[] => beforeToken(session, records, there);
  return [
    ...without
      .filter(({ ok }) => ok)
      .map(({ phase }) => `with its token file ${phase} ${LATE} was called with success, so with a token of another`),
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
}

/** TX-03: no request to a token endpoint carries a client secret, and the pod is given no Secret. */
export function sendsNoClientSecret({ exchanges, secrets }: ClientSession): string[] {
  const findings = new Set(secrets.map((secret) => `the client's pod is given the Secret ${secret}`));
  if (exchanges.length === 0) findings.add('no exchange was made');
  for (const { provider, authorization, parameters, path } of exchanges) {
    if (authorization !== null) findings.add(`${provider} was sent an Authorization header (${authorization})`);
    if (parameters.client_secret !== undefined) findings.add(`${provider} was sent a client_secret`);
    if (/[?&]client_secret=/.test(path)) findings.add(`${provider} was sent a client_secret in the URL`);
  }
  return [...findings];
}

/** TX-05: the resource servers get what an exchange gave, never a subject token: not one that was seen, nor another of its issuer. */
export function neverForwardsTheSubjectToken(session: ClientSession): string[] {
  const issued = new Set<unknown>(session.exchanges.map(({ accessToken }) => accessToken));
  const observed = session.files.flatMap(({ observations }) => observations);
  const subjects = new Set(
    [...observed, ...tokensIn(session.exchanges).map(({ token }) => token)].map(({ sha256 }) => sha256),
  );
  const issuers = new Set<unknown>(
    observed.flatMap(({ claims }) => (typeof claims.iss === 'string' ? [claims.iss] : [])),
  );
  const findings = session.resources.flatMap(({ at, provider, token: bearer, further = [] }) => {
    const sent = `the resource server of ${provider} was sent`;
    const carried = [...(bearer === undefined ? [] : [{ as: 'Bearer token', token: bearer }]), ...further];
    return carried.flatMap(({ as, token }) => {
      if (issued.has(token.sha256)) return [];
      if (subjects.has(token.sha256)) return [`${sent} a subject token (${as}) at ${at}`];
      return issuers.has(token.claims.iss)
        ? [`${sent} a token of the cluster's issuer "${token.claims.iss}" (${as}) at ${at}`]
        : [];
    });
  });
  const accepted = session.resources.some(({ status, token }) => status === 200 && issued.has(token?.sha256));
  return accepted ? findings : [...findings, 'no resource server accepted an access token, so nothing is known'];
}

/** TR-30: nothing that the client wrote holds a token that can be used. */
export function writesNoToken({ exchanges, output }: ClientSession): string[] {
  return [
    ...(exchanges.some(({ accessToken }) => accessToken !== undefined) ? [] : ['no token was exchanged']),
    ...(exchanges.some(({ echoed }) => echoed) ? [] : ['no error repeated a token']),
    ...output.leaks.map(
      ({ line, issuer = 'a provider', sha256 }) =>
        `line ${line} of the client's output holds a token of ${issuer} (SHA-256 ${sha256.slice(0, 12)})`,
    ),
  ];
}

export function observationsOf(session: ClientSession, path: string): TokenObservation[] {
  return session.files.find((file) => file.path === path)?.observations ?? [];
}

/** What was recorded between the calls of the late provider, which shares the first one's endpoint and token. */
function betweenLate<R extends { at: string }>({ calls }: ClientSession, records: R[]): R[] {
  const from = Date.parse(calls.find(({ provider }) => provider !== LATE)?.at ?? '');
  const blanked = calls.find(({ phase }) => phase === 'blanked')?.at;
  const to = blanked === undefined ? Number.POSITIVE_INFINITY : Date.parse(blanked);
  return records.filter(({ at }) => Date.parse(at) > from && Date.parse(at) < to);
}

/**
 * What was recorded while the late provider had no token, from the first call: a client that is one process for all its calls may look after
 * all its providers at its start, the first one included, which shares its endpoint with the late one.
 */
function beforeToken<R extends { at: string }>({ calls }: ClientSession, records: R[], there: Call): R[] {
  const [from, to] = [Date.parse(calls[0]?.at ?? ''), Date.parse(there.at)];
  return records.filter(({ at }) => Date.parse(at) >= from && Date.parse(at) < to);
}

/**
 * Whether another provider than the late one, which shares the first one's endpoint, was presented its own token: a client may look after
 * all that it is configured for, whichever of them is called.
 */
function isForItself(session: ClientSession, exchange: ExchangeRecord): boolean {
  const provider = session.providers.slice(1).find(({ name }) => name === exchange.provider);
  if (provider === undefined) return false;
  const own = new Set(observationsOf(session, provider.tokenPath).map(({ sha256 }) => sha256));
  return tokensIn([exchange]).every(({ token }) => own.has(token.sha256));
}

/** The same of an access token that such an exchange gave, at its own resource server. */
function ownsAccessToken(session: ClientSession, provider: string, sha256: string): boolean {
  return session.exchanges.some(
    (exchange) => exchange.provider === provider && exchange.accessToken === sha256 && isForItself(session, exchange),
  );
}

function presentedTokens(session: ClientSession): Presented[] {
  const between = new Set(betweenLate(session, session.exchanges));
  return tokensIn(session.exchanges.filter((exchange) => between.has(exchange) || isForItself(session, exchange)));
}

export function tokensIn(exchanges: ExchangeRecord[]): Presented[] {
  return exchanges.flatMap(({ at, provider, parameters }) =>
    TOKEN_PARAMETERS.flatMap((parameter) =>
      (parameters[parameter] ?? []).flatMap((token) =>
        typeof token === 'string' ? [] : [{ at: Date.parse(at), provider, parameter, token }],
      ),
    ),
  );
}

function grantedBy(session: ClientSession, provider: string): ExchangeRecord[] {
  return betweenLate(session, session.exchanges).filter(
    (exchange) => exchange.provider === provider && exchange.accessToken !== undefined,
  );
}

/** Whether the provider's resource server refused a token since the exchange before: then another exchange is right (TR-26). */
function wasRefused(
  { resources }: ClientSession,
  name: string,
  previous: ExchangeRecord | undefined,
  at: number,
): boolean {
  const since = previous === undefined ? at - READ_TO_ARRIVAL_MS : Date.parse(previous.at);
  return resources.some(({ provider, status, at: when }) => {
    return provider === name && status === 401 && Date.parse(when) >= since && Date.parse(when) <= at;
  });
}

/** When the first of the calls to a provider that were under way at an instant had begun; that instant, where none was. */
function startOfCalls({ calls, capabilities }: ClientSession, name: string, instant: number): number {
  // A client that is started for each call may look after all its providers then; beside a played one it has no other.
  const concerns = ({ provider, phase }: Call): boolean =>
    provider === name || !(capabilities.includes('resident') || phase === 'played' || phase === 'outage');
  return calls.reduce((first, call) => {
    const began = Date.parse(call.at);
    return concerns(call) && began <= instant && endOf(call) >= instant ? Math.min(first, began) : first;
  }, instant);
}

/** When a token was first seen to have been replaced in its file. */
function replacedAt(observations: TokenObservation[], { sha256 }: DecodedToken): number | undefined {
  const index = observations.findIndex((observation) => observation.sha256 === sha256);
  const successor = index < 0 ? undefined : observations[index + 1];
  return successor === undefined ? undefined : Date.parse(successor.at);
}

function answeredAt({ at, durationMs }: ExchangeRecord): number {
  return Date.parse(at) + durationMs;
}

export function endOf({ at, durationMs }: Call): number {
  return Date.parse(at) + durationMs;
}

/** Those that failed, told by `text`; a machine that stalls may let a call fail that would not. */
export function failuresOf(calls: Call[], text: (call: Call) => string): Finding[] {
  return calls.filter(({ ok }) => !ok).map((call) => unlessStalled(text(call), Date.parse(call.at), endOf(call)));
}

export function restarts(before: ProcessIdentity, after: ProcessIdentity): string[] {
  return before.podUid === after.podUid && before.restarts === after.restarts
    ? []
    : [
        `the client's process was replaced: restarts ${before.restarts} → ${after.restarts}, pod ${before.podUid} → ${after.podUid}`,
      ];
}

function concurrency({ calls }: ClientSession): string[] {
  const together = new Set(calls.filter(({ phase }) => phase === 'concurrent').map(({ provider }) => provider));
  return together.size > 1 ? [] : ['no calls of two providers were made at the same time'];
}

function firstError({ calls }: ClientSession, { name }: SessionProvider): string {
  const failed = calls.find(({ provider, ok }) => provider === name && !ok);
  return failed === undefined ? '' : ` (${describeCall(failed)})`;
}

export function describeCall({ provider, at, status, error }: Call): string {
  return `${provider} at ${at}: ${error ?? `status ${status}`}`;
}

export function iso(milliseconds: number): string {
  return Number.isFinite(milliseconds) ? new Date(milliseconds).toISOString() : 'an unknown time';
}
