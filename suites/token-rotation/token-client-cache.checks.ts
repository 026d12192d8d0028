/** What a token client keeps beyond its process. No check is content with having seen nothing. */

import { type Finding, missing, missingIf, unlessStalled } from '../../harness/core/findings.ts';
import {
  type CacheSession,
  callsOfStart,
  duringCalls,
  exchangesOfStart,
  FRESH,
  type Start,
} from '../../harness/roles/token-client/cache-record.ts';

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
          ? [missing(`no exchange was made for the provider "${provider}", whose ${provider} is another one now`)]
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
    ...(session.corruptFiles === 0 ? [missing('there was no file in its cache that could be made corrupt')] : []),
  ];
}

function exactlyExchanges(session: CacheSession, start: Start, wanted: number): Finding[] {
  const made = exchangesOfStart(session, start, 'same').length;
  const calls = callsOfStart(session, start, 'same');
  if (made === wanted || calls.length === 0) {
    return [];
  }
  // A call that failed may have had no answer to its exchange.
  const isComplete = made > wanted && session.calls.every(({ provider, ok }) => provider !== 'same' || ok);
  return [
    missingIf(!isComplete, `with a cache that is ${start} ${calls.length} calls made ${made} exchanges, not ${wanted}`),
  ];
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
      ...(failed.length === 0 && made.length === 0 ? [missing(`with a cache that is ${start} no call was made`)] : []),
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
