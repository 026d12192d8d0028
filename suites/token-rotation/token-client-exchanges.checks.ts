/** When a token client exchanges, and how often. No check is content with having seen nothing. */

import type { ExchangeRecord } from '../../fixtures/workloads/observer/records.ts';
import { NotApplicable } from '../../harness/core/errors.ts';
import { type Finding, missing } from '../../harness/core/findings.ts';
import { SHORT_LIFE_SECONDS } from '../../harness/fakes/simulated-providers.ts';
import {
  BURST_CALLS,
  betweenLate,
  type Call,
  CLOCKS_MS,
  type ClientSession,
  describeCall,
  endOf,
  failuresOf,
  READ_TO_ARRIVAL_MS,
  unseen,
} from '../../harness/roles/token-client/record.ts';
import {
  callsOfSimulated,
  exchangesAtSimulated,
  startOfCalls,
  succeeded,
} from '../../harness/roles/token-client/simulated-record.ts';

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
  return evaluated === 0 ? [missing('no provider answered a series of calls')] : findings;
}

/** The half of a token's life, as the client that rounds it to seconds sees it. */
const ROUNDING_MS = 1_000;

function answeredAt({ at, durationMs }: ExchangeRecord): number {
  return Date.parse(at) + durationMs;
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
    ...(together ? [] : [missing('no calls were made at the same time')]),
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
    return [missing('no such calls were made')];
  }
  const [told, toldAgain] = session.acts.filter(({ provider }) => provider === 'revoking').map(({ place }) => place);
  if (told === undefined || toldAgain === undefined) {
    return [missing('no token was refused')];
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
    return [missing('no such calls were made')];
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
