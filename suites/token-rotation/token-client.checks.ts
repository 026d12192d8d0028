/**
 * The checks of the token client in this suite. Each returns what is wrong, one sentence a finding. None of them is
 * content with having seen nothing.
 */

import type { DecodedToken } from '../../fixtures/workloads/lib/jwt.ts';
import type { ExchangeRecord } from '../../fixtures/workloads/observer/records.ts';
import { INTERACTIVE, RETRY_AFTER_SECONDS } from '../../fixtures/workloads/observer/simulated.ts';
import type { TokenObservation } from '../../fixtures/workloads/token-probe/probe.ts';
import { HarnessError, NotApplicable, NotTestable } from '../../harness/core/errors.ts';
import { type Finding, unlessStalled } from '../../harness/core/findings.ts';
import { SHORT_LIFE_SECONDS } from '../../harness/fakes/simulated-providers.ts';
import {
  type CacheSession,
  callsOfStart,
  duringCalls,
  exchangesOfStart,
  FRESH,
  type Start,
} from '../../harness/roles/token-client/cache-record.ts';
import {
  assertRoomForReload,
  BURST_CALLS,
  beforeToken,
  betweenLate,
  type Call,
  CLOCKS_MS,
  type ClientSession,
  callsOfSimulated,
  control,
  describeCall,
  digestsOfFile,
  duringAct,
  endOf,
  exchangesAtSimulated,
  FAIL_FAST_MS,
  failuresOf,
  hangingCalls,
  isForItself,
  iso,
  isSameProcess,
  LATE,
  observationsOf,
  outageCalls,
  presentedTokens,
  READ_TO_ARRIVAL_MS,
  renewalCalls,
  restarts,
  rotationsSince,
  type SessionProvider,
  startOfCalls,
  succeeded,
  TOKEN_PARAMETERS,
  tokensIn,
  unseen,
  withoutToken,
} from '../../harness/roles/token-client/record.ts';

/** TR-20: the token presented to a provider without a configured path is the one of the default file. */
export function readsDefaultTokenFile(session: ClientSession): string[] {
  if (session.providers.length > 0 && session.providers.every(({ pathConfigured }) => pathConfigured)) {
    throw new NotApplicable(
      'the target declares no default token path, so that the path of every provider is configured',
    );
  }
  return readsItsTokenFile(session, { pathConfigured: false });
}

/** TR-21: the token presented to a provider with a configured path is the one of that file. */
export function readsConfiguredTokenFile(session: ClientSession): string[] {
  if (!session.configurable.tokenPath) {
    throw new NotApplicable('the `provider` of the target file mentions no token path: the client can be given none');
  }
  return readsItsTokenFile(session, { pathConfigured: true });
}

function readsItsTokenFile(session: ClientSession, { pathConfigured }: { pathConfigured: boolean }): string[] {
  const providers = session.providers.filter((provider) => provider.pathConfigured === pathConfigured);
  return [
    ...(providers.length === 0 ? ['no provider is configured so'] : []),
    ...providers.flatMap((provider) => {
      const known = new Set(observationsOf(session, provider.tokenPath).map(({ sha256 }) => sha256));
      const presented = presentedTokens(session).filter(({ provider: to }) => to === provider.name);
      if (presented.some(({ token }) => known.has(token.sha256))) {
        return [];
      }
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
  if (session.reloadSeconds !== undefined) {
    throw new NotApplicable(
      `the client declares that it reads its token file again every ${session.reloadSeconds} s (tokenReloadSeconds); TR-37 evaluates that`,
    );
  }
  return presentsWhatWasThere(session, 0);
}

/**
 * TR-37: no exchange presents a token that its file has not held for longer than the declared interval, within one such
 * process.
 */
export function rereadsOnSchedule(session: ClientSession): Finding[] {
  if (session.reloadSeconds === undefined) {
    throw new NotApplicable(
      'the client declares no reload interval (tokenReloadSeconds), so it reads its token file at every exchange; TR-22 evaluates that',
    );
  }
  assertRoomForReload(session);
  return presentsWhatWasThere(session, session.reloadSeconds * 1_000);
}

/** What is presented was in its file within `rememberedMs` before, in one process that crossed rotations. */
function presentsWhatWasThere(session: ClientSession, rememberedMs: number): Finding[] {
  const findings: Finding[] = restarts(session.before, session.after);
  let crossed = false;
  for (const { name, tokenPath } of session.providers) {
    const observations = observationsOf(session, tokenPath);
    const presented = presentedTokens(session).filter(({ provider }) => provider === name);
    if (new Set(presented.map(({ token }) => token.sha256)).size > 1) {
      crossed = true;
    }
    for (const { at, parameter, token } of presented) {
      const replaced = replacedAt(observations, token);
      // A call that had begun before may have read the file before.
      if (replaced === undefined || startOfCalls(session, name, at) <= replaced) {
        continue;
      }
      const excessMs = at - replaced - rememberedMs - READ_TO_ARRIVAL_MS;
      if (excessMs <= 0) {
        continue;
      }
      const text = `${name}: the ${parameter} presented at ${iso(at)} had been replaced in ${tokenPath} at ${iso(replaced)}`;
      findings.push({ text, from: replaced, to: at, excessMs });
    }
  }
  return crossed ? findings : [...findings, 'no provider was presented a second token'];
}

/** TR-23: across rotations and past the first expiry no expired token is presented, and no call fails. */
export function neverPresentsAnExpiredToken(session: ClientSession): Finding[] {
  assertRoomForReload(session);
  const findings: Finding[] = [];
  const began = Date.parse(session.calls.find(({ phase }) => phase === 'paced')?.at ?? '');
  const rotations = session.providers.map(
    ({ tokenPath }) => rotationsSince(observationsOf(session, tokenPath), began).later.length,
  );
  if (rotations.reduce((sum, count) => sum + count, 0) < 2) {
    findings.push(`only ${rotations.join(' and ')} rotations were crossed`);
  }
  // The token files of the providers that the observer simulates are copies, which nobody rotates.
  const rotating = new Set(session.providers.map(({ name }) => name));
  for (const { at, provider, parameter, token } of presentedTokens(session)) {
    const expiry = Number(token.claims.exp) * 1000;
    if (!rotating.has(provider) || !(expiry <= at)) {
      continue;
    }
    const text = `${provider}: the ${parameter} presented at ${iso(at)} had expired at ${iso(expiry)}`;
    const from = Math.min(expiry, startOfCalls(session, provider, at));
    findings.push({ text, from, to: at, excessMs: at - expiry });
  }
  const calls = session.calls.filter(({ phase }) => phase === 'paced' || phase === 'burst');
  if (calls.length === 0) {
    findings.push('no call was made');
  }
  return [...findings, ...failuresOf(calls, (call) => `a call failed: ${describeCall(call)}`)];
}

/**
 * TR-24: many calls need one exchange, and the next one comes when the access token's end is near (never before half of
 * its life).
 */
export function reusesAccessTokens(session: ClientSession): Finding[] {
  const findings: Finding[] = [];
  let evaluated = 0;
  for (const { name, skewSeconds = 0 } of session.providers) {
    // Half of its life, or so long before its end as the client documents.
    const usableMs = (seconds = Number.POSITIVE_INFINITY): number =>
      Math.min(seconds / 2, seconds - skewSeconds) * 1000;
    const burst = session.calls.filter(({ phase, provider }) => phase === 'burst' && provider === name);
    if (burst.length < (session.burstCalls ?? BURST_CALLS) || burst.some(({ ok }) => !ok)) {
      continue;
    }
    evaluated += 1;
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
      if (previous?.expiresIn === undefined || !needless.includes(exchange)) {
        continue;
      }
      const at = Date.parse(exchange.at);
      // The client counts from when it asked, which the recorder cannot see: not before the call that needed it.
      const asked = startOfCalls(session, name, Date.parse(previous.at));
      const excessMs = usableMs(previous.expiresIn) - ROUNDING_MS - (at - asked);
      if (excessMs <= 0) {
        continue;
      }
      const gap = ((at - Date.parse(previous.at)) / 1000).toFixed(1);
      const text = `${name}: exchanged at ${exchange.at}, ${gap} s after it got a token for ${previous.expiresIn} s; the target declares that it renews one ${skewSeconds} s before its end (skewSeconds)`;
      findings.push({ text, from: asked, to: at, excessMs });
    }
  }
  return evaluated === 0 ? ['no provider answered a series of calls'] : findings;
}

/**
 * TR-28: with its token file missing or blank the client fails soon and says why, exchanges nothing, and recovers by
 * itself.
 */
export function survivesAMissingTokenFile(session: ClientSession): Finding[] {
  const findings: Finding[] = restarts(session.before, session.after);
  const calls = session.calls.filter(({ provider }) => provider === LATE);
  const without = calls.filter(({ phase }) => withoutToken(phase) !== undefined);
  const there = calls.find(({ phase }) => phase === 'refused');
  // A client may pause after the refusal.
  const recovered = calls.findLast(({ phase }) => phase === 'recovered');
  if (without.length < 2 || there === undefined || recovered === undefined) {
    return [...findings, 'no such calls were made'];
  }
  // A client that is started for each call needs that time too: not more than the slowest of its good calls.
  const startMs = Math.max(0, ...session.calls.flatMap(({ ok, durationMs }) => (ok ? [durationMs] : [])));
  for (const call of without) {
    const state = withoutToken(call.phase);
    const excessMs = call.durationMs - FAIL_FAST_MS - startMs;
    if (excessMs > 0) {
      const text = `with the token file ${state} the call took ${(call.durationMs / 1000).toFixed(1)} s (${describeCall(call)})`;
      findings.push({ text, from: Date.parse(call.at), to: endOf(call), excessMs });
    } else if (call.unanswered === true) {
      findings.push(`with the token file ${state} the call was not answered (${describeCall(call)})`);
    } else if (call.ok) {
      findings.push(`with the token file ${state} the call succeeded: with whose token?`);
    } else if ((call.error ?? '') === '') {
      findings.push(`with the token file ${state} the call failed without an error`);
    }
  }
  const tooSoon = beforeToken(session, session.exchanges, there).filter((exchange) => !isForItself(session, exchange));
  if (tooSoon[0] !== undefined) {
    findings.push(
      `a token was asked for at ${tooSoon[0].provider} at ${tooSoon[0].at}, while the only file asked for had none to present`,
    );
  }
  return [
    ...findings,
    ...failuresOf([recovered], (call) => `with the token in place the call failed: ${describeCall(call)}`),
  ];
}

/** TR-28: white space around the token in its file is no part of it. */
export function sendsNoWhiteSpace(session: ClientSession): Finding[] {
  const exchanges = exchangesAtSimulated(session, 'padded');
  const calls = callsOfSimulated(session, 'padded');
  const spoilt = exchanges.find(({ parameters }) =>
    TOKEN_PARAMETERS.some((name) => (parameters[name] ?? []).some((value) => typeof value === 'string')),
  );
  return [
    ...(exchanges.length > 0
      ? []
      : unseen(calls, 'with white space around the token in its file nothing was presented')),
    ...(spoilt === undefined
      ? succeeded(session, 'padded', 'a call with white space around the token in its file')
      : [
          `at ${spoilt.at} what was presented is not the token: its file has white space around it, which was sent too`,
        ]),
  ];
}

/** TR-28a: the error of a call for which there is no token names the file that should hold it. */
export function namesTheMissingFile({ calls, latePath }: ClientSession): Finding[] {
  const failed = calls.filter(({ phase, ok }) => withoutToken(phase) !== undefined && !ok);
  if (failed.length === 0) {
    return ['no call failed for want of its token file'];
  }
  // Where the machine stalls, a client may have failed of something else before it came to the file.
  return failuresOf(
    failed.filter(({ namesFile }) => namesFile !== true),
    (call) =>
      `with the token file ${withoutToken(call.phase)} the error does not name ${latePath}: ${describeCall(call)}`,
  );
}

/**
 * The log of a container's last but one process is kept, and none before that one (Kubernetes, Logging Architecture).
 *
 * @throws NotTestable where the client's process was started so often that not all of its output is known
 */
function requireWholeOutput({ before, afterRenewals }: ClientSession): void {
  const lost = afterRenewals.restarts - before.restarts - 1;
  if (lost > 0) {
    throw new NotTestable(
      `the client ended ${lost + 1} times, and what it wrote before the last time but one is gone: nothing can be said of it`,
    );
  }
}

/** TR-30: nothing that the client wrote holds a token that can be used. */
export function writesNoToken(session: ClientSession): string[] {
  const { exchanges, output } = session;
  if (output.leaks.length === 0) {
    requireWholeOutput(session);
  }
  return [
    ...(exchanges.some(({ accessToken }) => accessToken !== undefined) ? [] : ['no token was exchanged']),
    ...(exchanges.some(({ echoed }) => echoed) ? [] : ['no error repeated a token']),
    ...output.leaks.map(
      ({ line, issuer = 'a provider', sha256 }) =>
        `line ${line} of the client's output holds a token of ${issuer} (SHA-256 ${sha256.slice(0, 12)})`,
    ),
  ];
}

/** The half of a token's life, as the client that rounds it to seconds sees it. */
const ROUNDING_MS = 1_000;

function answeredAt({ at, durationMs }: ExchangeRecord): number {
  return Date.parse(at) + durationMs;
}

/** When a token was first seen to have been replaced in its file. */
function replacedAt(observations: TokenObservation[], { sha256 }: DecodedToken): number | undefined {
  const index = observations.findIndex((observation) => observation.sha256 === sha256);
  const successor = index < 0 ? undefined : observations[index + 1];
  return successor === undefined ? undefined : Date.parse(successor.at);
}

/**
 * Whether the provider's resource server refused a token since the exchange before: then another exchange is right
 * (TR-26).
 */
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

function grantedBy(session: ClientSession, provider: string): ExchangeRecord[] {
  return betweenLate(session, session.exchanges).filter(
    (exchange) => exchange.provider === provider && exchange.accessToken !== undefined,
  );
}

function firstError({ calls }: ClientSession, { name }: SessionProvider): string {
  const failed = calls.find(({ provider, ok }) => provider === name && !ok);
  return failed === undefined ? '' : ` (${describeCall(failed)})`;
}

/** TR-25: of the exchanges that calls at the same time need, no two overlap. */
export function exchangesOnceForManyCalls(session: ClientSession): Finding[] {
  const calls = callsOfSimulated(session, 'slow');
  const together = calls.some((call, index) =>
    calls.slice(index + 1).some((other) => Date.parse(other.at) < endOf(call) && Date.parse(call.at) < endOf(other)),
  );
  const began = Math.min(...calls.map(({ at }) => Date.parse(at))) - CLOCKS_MS;
  const exchanges = exchangesAtSimulated(session, 'slow').filter(({ at }) => Date.parse(at) >= began);
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
  const [first, refused, refusedAgain] = callsOfSimulated(session, 'revoking');
  if (first === undefined || refused === undefined || refusedAgain === undefined) {
    return ['no such calls were made'];
  }
  const [told, toldAgain] = session.acts.filter(({ provider }) => provider === 'revoking').map(({ place }) => place);
  if (told === undefined || toldAgain === undefined) {
    return ['no token was refused'];
  }
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
  const calls = callsOfSimulated(session, 'no-expiry');
  if (calls.length < 2) {
    return ['no such calls were made'];
  }
  const findings = failuresOf(
    calls,
    (call) =>
      `${call === calls[0] ? 'the first call failed' : 'a call failed once the token had expired'}, where the answer tells no expires_in: ${describeCall(call)}`,
  );
  const { defaultLifeSeconds = 0 } = session;
  if (findings.length > 0 && defaultLifeSeconds > SHORT_LIFE_SECONDS) {
    throw new NotApplicable(
      `the client declares a default life of ${defaultLifeSeconds} s (defaultLifeSeconds); the token lived ${SHORT_LIFE_SECONDS} s`,
    );
  }
  return findings;
}

/**
 * TR-29: while the provider is down, answers 503 or nothing the client fails in time, and recovers in the same process.
 */
export function survivesAnOutage(session: ClientSession): Finding[] {
  const calls = outageCalls(session);
  const [before, ...after] = calls.filter(({ act }) => act === 'good');
  const during = calls.filter(({ act }) => act !== 'good');
  if (before === undefined || during.length === 0) {
    return ['no such calls were made'];
  }
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
    ...(session.capabilities.includes('resident') ? restarts(session.beforeOutage, session.afterOutage) : []),
    ...(last === undefined
      ? ['no call was made after the outage']
      : failuresOf([last], (call) => `${after.length} calls failed after the outage, the last: ${describeCall(call)}`)),
  ];
}

/** The providers that fail while a token of theirs is about to be renewed, with what befalls them. */
const RENEWALS = [
  ['renewal-refused', 'refuses the renewal'],
  ['renewal-down', 'answers 503'],
  ['renewal-limited', 'answers 429'],
  ['renewal-silent', 'does not answer'],
] as const;

/**
 * TR-38: while a cached access token is good, a provider that refuses, fails or says nothing does no harm, and is asked
 * again.
 */
export function goesOnWithAGoodToken(session: ClientSession): Finding[] {
  return [
    ...restarts(session.afterOutage, session.afterRenewals),
    ...RENEWALS.flatMap(([name, does]) => {
      const calls = renewalCalls(session, name);
      const [first, ...others] = calls;
      if (first === undefined) {
        return [`no call was made of a provider that ${does}`];
      }
      const during = others.filter(({ act }) => act !== 'good');
      const after = others.filter(({ act }) => act === 'good');
      const granted = exchangesAtSimulated(session, name).findLast(
        ({ at, accessToken }) => accessToken !== undefined && Date.parse(at) <= endOf(first) + CLOCKS_MS,
      );
      const goodUntil = Date.parse(granted?.at ?? '') + 1_000 * (granted?.expiresIn ?? 0) - CLOCKS_MS;
      const evaluated = during.filter(({ at }) => Date.parse(at) < goodUntil);
      if (first.ok && during.length === 0) {
        throw new HarnessError(`the harness was too slow to call a provider that ${does} while its token was good`);
      }
      const limitMs = session.timeLimitMs + FAIL_FAST_MS;
      return [
        ...failuresOf([first], (call) => `a call failed before the provider ${does}: ${describeCall(call)}`),
        ...(evaluated.length > 0
          ? []
          : unseen(during, `no call was made while the provider ${does} and the token was good`)),
        ...once(
          failuresOf(evaluated, (call) => {
            const left = Math.round((goodUntil - Date.parse(call.at)) / 1000);
            return `while the provider ${does} a call failed, though its access token was good for another ${left} s: ${describeCall(call)}`;
          }),
        ),
        ...evaluated
          .filter(({ ok, durationMs }) => ok && durationMs > limitMs)
          .map((call) => ({
            text: `while the provider ${does} a call took ${(call.durationMs / 1000).toFixed(1)} s, though its access token was good: ${describeCall(call)}`,
            from: Date.parse(call.at),
            to: endOf(call),
            excessMs: call.durationMs - limitMs,
          })),
        ...(after.at(-1)?.ok === true
          ? []
          : unseen(after.slice(-1), `once the provider was good again ${after.length} calls failed`)),
        ...(duringAct(session, session.exchanges, name, 'good').some(
          ({ accessToken, at }) => accessToken !== undefined && Date.parse(at) > endOf(first),
        )
          ? []
          : unseen(after, 'once the provider was good again the token was never renewed')),
      ];
    }),
  ];
}

/** The first finding, with how many more there are like it. */
function once(findings: Finding[]): Finding[] {
  const [first, ...more] = findings;
  if (first === undefined || more.length === 0) {
    return findings;
  }
  return [
    typeof first === 'string'
      ? `${first} (and ${more.length} more)`
      : { ...first, text: `${first.text} (and ${more.length} more)` },
  ];
}

/**
 * Exchanges that one call may make while its provider fails, and among those the ones that may follow one another at
 * once.
 */
const ATTEMPTS_OF_A_CALL = 10;
const ATTEMPTS_AT_ONCE = 3;

/** Exchanges that many calls at one moment may make between them while their provider fails and their token is good. */
const ATTEMPTS_OF_A_BURST = 5;

/** Half of the time for which it fails then: a client that is busy for so long was asked often enough. */
const BUSY_MS = 4_500;

/**
 * TR-39: exchanges are bounded while the provider fails: few for each call, with growing pauses, and none before
 * `Retry-After`.
 */
export function boundsItsExchanges(session: ClientSession): Finding[] {
  const calls = outageCalls(session);
  const outage = (['closed', 'failing'] as const).flatMap((act): Finding[] => {
    const made = calls.filter((call) => call.act === act);
    const requests = duringAct(session, [...session.exchanges, ...session.lookups], 'outage', act);
    if (requests.length === 0) {
      return unseen(made, `with a provider that is ${act} nothing was asked of it`);
    }
    return made.flatMap((call) => {
      const own = requests
        .map(({ at }) => Date.parse(at))
        .filter((at) => at >= Date.parse(call.at) - CLOCKS_MS / 2 && at <= endOf(call) + CLOCKS_MS / 2)
        .toSorted((one, other) => one - other);
      const told = `with a provider that is ${act} one call of ${(call.durationMs / 1000).toFixed(1)} s made ${own.length} requests to it`;
      if (own.length > ATTEMPTS_OF_A_CALL) {
        return [`${told}; ${ATTEMPTS_OF_A_CALL} are plenty`];
      }
      const pauses = own.slice(1).map((at, index) => at - (own[index] ?? at));
      const [shortest = 0, longest = 0] = [pauses[0], pauses.at(-1)];
      return own.length > ATTEMPTS_AT_ONCE && longest < 1.2 * shortest
        ? [`${told}, at pauses that do not grow (the first ${shortest} ms, the last ${longest} ms)`]
        : [];
    });
  });
  // A process that was replaced meanwhile cannot know what it did before: that it was is TR-38.
  const isOneProcess = isSameProcess(session.afterOutage, session.afterRenewals);
  return [...once(outage), ...(isOneProcess ? [...boundsOfABurst(session), ...keepsRetryAfter(session)] : [])];
}

function boundsOfABurst(session: ClientSession): Finding[] {
  const failing = renewalCalls(session, 'renewal-down').filter(({ act }) => act === 'failing');
  const [first] = failing;
  if (first === undefined) {
    return ['no calls were made while a provider failed and their token was good'];
  }
  const attempts = duringAct(session, session.exchanges, 'renewal-down', 'failing').length;
  const busyMs = failing.reduce((sum, { durationMs }) => sum + durationMs, 0);
  // Less than that shows nothing of a client that asks once for each call.
  if (failing.length <= ATTEMPTS_OF_A_BURST && busyMs < BUSY_MS) {
    return unseen(
      failing,
      `only ${failing.length} calls were made while the provider answered 503 and their token was good`,
    );
  }
  return attempts > ATTEMPTS_OF_A_BURST
    ? [
        `${failing.length} calls with a good token made ${attempts} exchanges while the provider answered 503; with growing pauses they are ${ATTEMPTS_OF_A_BURST} at most`,
      ]
    : [];
}

function keepsRetryAfter(session: ClientSession): Finding[] {
  const limited = duringAct(session, session.exchanges, 'renewal-limited', 'limiting');
  const early = limited.flatMap((exchange, index) => {
    const previous = limited[index - 1];
    if (previous === undefined) {
      return [];
    }
    const seconds = (Date.parse(exchange.at) - Date.parse(previous.at)) / 1000;
    return seconds < RETRY_AFTER_SECONDS - CLOCKS_MS / 1000
      ? [
          `the provider was asked again ${seconds.toFixed(1)} s after it had answered 429 with "Retry-After: ${RETRY_AFTER_SECONDS}", at ${exchange.at}`,
        ]
      : [];
  });
  return once(early);
}

/**
 * TR-40: a token request that is never answered ends by the client's time limit, and the calls after it do not suffer
 * by it.
 */
export function survivesAHangingRequest(session: ClientSession): Finding[] {
  const [before, ...others] = hangingCalls(session);
  const hung = others.find(({ act }) => act === 'silent');
  const after = others.filter(({ act }) => act === 'good');
  const last = after.at(-1);
  if (before === undefined || hung === undefined || last === undefined) {
    return ['no such calls were made'];
  }
  const limitMs = session.timeLimitMs + FAIL_FAST_MS;
  const slow = [hung, ...after].filter(({ unanswered, durationMs }) => unanswered === true || durationMs > limitMs);
  const asked = duringAct(session, [...session.exchanges, ...session.lookups], 'hanging', 'silent').length > 0;
  return [
    ...failuresOf([before], (call) => `a call failed before the provider fell silent: ${describeCall(call)}`),
    ...(asked ? [] : unseen([hung], 'the provider that does not answer was never asked')),
    ...slow.map((call) => ({
      text: `${call === hung ? 'a call whose token request is never answered' : 'a call after one whose token request is never answered'} took ${(call.durationMs / 1000).toFixed(1)} s, its limit is ${session.timeLimitMs / 1000} s (timeLimitSeconds): ${describeCall(call)}`,
      from: Date.parse(call.at),
      to: endOf(call),
      excessMs: Math.max(call.durationMs - limitMs, call.unanswered === true ? FAIL_FAST_MS : 0),
    })),
    ...failuresOf(
      [last],
      (call) =>
        `${after.length} calls failed after one whose token request was never answered, though the provider answers again: ${describeCall(call)}`,
    ),
  ];
}

/** TR-31: no file holds a subject token, and those with access tokens are their user's alone. */
export function persistsAccessTokensPrivately(session: ClientSession): Finding[] {
  const { remaining: files } = session;
  if (files === undefined) {
    throw new NotApplicable('nobody can look into the folders that the client may write to');
  }
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
  const [call] = callsOfSimulated(session, 'refusing');
  if (call === undefined) {
    return ['no such call was made'];
  }
  if (session.output.prompts.length === 0) {
    requireWholeOutput(session);
  }
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
    ...(exchangesAtSimulated(session, 'refusing').some(({ status }) => status === 400)
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

/**
 * TR-36: after the symlinks behind its path were swapped, and swapped once more, the client presents the token that is
 * there now.
 */
export function followsTheSymlinkSwap(session: ClientSession): Finding[] {
  assertRoomForReload(session);
  const calls = callsOfSimulated(session, 'swapped');
  const files = session.providers.map(({ tokenPath }) => new Set(digestsOfFile(session, tokenPath)));
  if (calls.length <= files.length) {
    return ['no such calls were made'];
  }
  const presented = tokensIn(exchangesAtSimulated(session, 'swapped'));
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

/**
 * TR-32: a token in a cache that is kept needs no exchange after the pod was replaced; in a cache that is not, exactly
 * one.
 */
export function reusesTheKeptCache(session: CacheSession): Finding[] {
  return [
    ...failuresOfStarts(session, ['kept', 'replaced', 'emptied'], ['same']),
    ...exactlyExchanges(session, 'kept', 1),
    ...exactlyExchanges(session, 'replaced', 0),
    ...exactlyExchanges(session, 'emptied', 1),
  ];
}

/** TR-33: what was cached for another issuer, client or audience is not used. */
export function keepsConfigurationsApart(session: CacheSession): Finding[] {
  const changed = (['issuer', 'client', 'audience'] as const).filter((name) => !session.without.includes(name));
  return [
    ...failuresOfStarts(session, ['kept', 'replaced'], changed),
    ...changed.flatMap((provider): Finding[] => {
      const granted = new Set<unknown>(
        exchangesOfStart(session, 'replaced', provider).map(({ accessToken }) => accessToken),
      );
      const foreign = duringCalls(session, session.resources, callsOfStart(session, 'replaced', provider)).filter(
        ({ token }) => token !== undefined && !granted.has(token.sha256),
      );
      return [
        ...foreign.map(
          ({ at }) =>
            `at ${at} a token was used that had been cached for another ${provider} of the provider "${provider}"`,
        ),
        ...(granted.size === 0 && callsOfStart(session, 'replaced', provider).length > 0
          ? [`no exchange was made for the provider "${provider}", whose ${provider} is another one now`]
          : []),
      ];
    }),
  ];
}

/** TR-34: the client starts, and its calls succeed, with a cache that is corrupt or cannot be written. */
export function survivesABadCache(session: CacheSession): Finding[] {
  return [
    ...failuresOfStarts(session, ['kept', 'corrupt', 'unwritable'], ['same', FRESH]),
    // Control: the cache is where it is said to be.
    ...(session.corruptFiles === 0 ? ['there was no file in its cache that could be made corrupt'] : []),
  ];
}

function exactlyExchanges(session: CacheSession, start: Start, wanted: number): Finding[] {
  const made = exchangesOfStart(session, start, 'same').length;
  const calls = callsOfStart(session, start, 'same').length;
  if (made === wanted || calls === 0) {
    return [];
  }
  return [`with a cache that is ${start} ${calls} calls made ${made} exchanges, not ${wanted}`];
}

function failuresOfStarts(
  { calls, failedStarts }: CacheSession,
  starts: Start[],
  providers: readonly string[],
): Finding[] {
  return starts.flatMap((start) => {
    const failed = failedStarts.filter((each) => each.start === start);
    const made = calls.filter((call) => call.start === start && providers.includes(call.provider));
    return [
      ...failed.map(({ reason, from, to }) =>
        unlessStalled(
          `with a cache that is ${start} the client did not start: ${reason}`,
          Date.parse(from),
          Date.parse(to),
        ),
      ),
      ...(failed.length === 0 && made.length === 0 ? [`with a cache that is ${start} no call was made`] : []),
      ...made
        .filter(({ ok }) => !ok)
        .map(({ provider, at, durationMs, error = 'no error' }) =>
          unlessStalled(
            `with a cache that is ${start} a call of ${provider} failed at ${at}: ${error}`,
            Date.parse(at),
            Date.parse(at) + durationMs,
          ),
        ),
    ];
  });
}
