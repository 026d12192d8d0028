/** What a token client makes of providers that fail. No check is content with having seen nothing. */

import { INTERACTIVE, RETRY_AFTER_SECONDS } from '../../fixtures/workloads/observer/simulated.ts';
import { HarnessError, NotTestable } from '../../harness/core/errors.ts';
import { type Finding, missing, unlessStalled } from '../../harness/core/findings.ts';
import {
  type Call,
  CLOCKS_MS,
  type ClientSession,
  describeCall,
  endOf,
  FAIL_FAST_MS,
  failuresOf,
  isSameProcess,
  restarts,
  unseen,
} from '../../harness/roles/token-client/record.ts';
import {
  callsOfSimulated,
  control,
  duringAct,
  exchangesAtSimulated,
  hangingCalls,
  outageCalls,
  renewalCalls,
} from '../../harness/roles/token-client/simulated-record.ts';
import { once, requireWholeOutput } from './token-client-shared.ts';

/**
 * TR-29: while the provider is down, answers 503 or nothing the client fails in time, and recovers in the same process.
 */
export function survivesAnOutage(session: ClientSession): Finding[] {
  const calls = outageCalls(session);
  const [before, ...after] = calls.filter(({ act }) => act === 'good');
  const during = calls.filter(({ act }) => act !== 'good');
  if (before === undefined || during.length === 0) {
    return [missing('no such calls were made')];
  }
  // A client that is started for each call needs that time too.
  const startMs = session.capabilities.includes('resident') ? 0 : before.durationMs;
  const limitMs = session.timeLimitMs + FAIL_FAST_MS + startMs;
  const findings: Finding[] = failuresOf([before], (call) => `a call failed before the outage: ${describeCall(call)}`);
  for (const call of during) {
    const excessMs = call.durationMs - limitMs;
    const provider = `with a provider that is ${call.act}`;
    if (excessMs > 0) {
      const took = `${(call.durationMs / 1000).toFixed(1)} s`;
      const ended = call.unanswered === true ? `the call had not ended after ${took}` : `the call took ${took}`;
      const text = `${provider}, ${ended} (allowed: ${session.timeLimitMs / 1000} s + ${(limitMs - session.timeLimitMs) / 1000} s)`;
      findings.push({ text, from: Date.parse(call.at), to: endOf(call), excessMs });
    } else if (call.unanswered === true) {
      const text = `${provider} a call was not answered: ${describeCall(call)}`;
      findings.push(unlessStalled(text, Date.parse(call.at), endOf(call)));
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
      ? [missing('no call was made after the outage')]
      : failuresOf(
          [last],
          (call) =>
            `after the outage, ${after.length} ${after.length === 1 ? 'call' : 'calls'} failed; the last: ${describeCall(call)}`,
        )),
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
    ...restarts(session.beforeRenewals, session.afterRenewals),
    ...RENEWALS.flatMap(([name, does]) => {
      const calls = renewalCalls(session, name);
      const [first, ...others] = calls;
      if (first === undefined) {
        return [missing(`no call was made of a provider that ${does}`)];
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
        // Without a first call that succeeded there is no token that could be good.
        ...(evaluated.length > 0 || !first.ok
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
          : unseen(
              after.slice(-1),
              `once the provider answered again, ${after.length} ${after.length === 1 ? 'call' : 'calls'} failed`,
            )),
        ...(duringAct(session, session.exchanges, name, 'good').some(
          ({ accessToken, at }) => accessToken !== undefined && Date.parse(at) > endOf(first),
        )
          ? []
          : unseen(after, 'once the provider was good again the token was never renewed')),
      ];
    }),
  ];
}

/**
 * Exchanges that one call may make while its provider fails, and among those the ones that may follow one another at
 * once.
 */
const ATTEMPTS_OF_A_CALL = 10;

const ATTEMPTS_AT_ONCE = 3;

/** The last pause is so many times as long as the first one, at least. */
const GROWTH = 1.2;

/** Requests that follow one another sooner are made at once: whether the last of them grew is chance. */
const SHORTEST_PAUSE_MS = 200;

/** Exchanges that many calls at one moment may make between them while their provider fails and their token is good. */
const ATTEMPTS_OF_A_BURST = 5;

/** Half of the time for which it fails then: a client that is busy for so long was asked often enough. */
const BUSY_MS = 4_500;

/**
 * TR-39: exchanges are bounded while the provider fails: few for each call, with growing pauses, and none before
 * `Retry-After`.
 *
 * @throws NotTestable where nothing else was found, and the process was replaced meanwhile
 */
export function boundsItsExchanges(session: ClientSession): Finding[] {
  const calls = outageCalls(session);
  const outage = (['closed', 'failing'] as const).flatMap((act): Finding[] => {
    const made = calls.filter((call) => call.act === act);
    const requests = duringAct(session, [...session.exchanges, ...session.lookups], 'outage', act);
    if (requests.length === 0) {
      return unseen(made, `with a provider that is ${act} nothing was asked of it`);
    }
    return made.flatMap((call): Finding[] => {
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
      if (own.length <= ATTEMPTS_AT_ONCE || (longest >= GROWTH * shortest && longest >= SHORTEST_PAUSE_MS)) {
        return [];
      }
      const text = `${told}, at pauses that do not grow (the first ${shortest} ms, the last ${longest} ms)`;
      // A first pause that was longer than the client meant it to be hides that they do.
      const excessMs = shortest - longest / GROWTH;
      const [from = 0, to = 0] = own;
      return longest < SHORTEST_PAUSE_MS ? [text] : [{ text, from, to, excessMs }];
    });
  });
  // A process that was replaced meanwhile cannot know what it did before: that it was is TR-38.
  if (isSameProcess(session.beforeRenewals, session.afterRenewals)) {
    return [...once(outage), ...boundsOfABurst(session), ...keepsRetryAfter(session)];
  }
  if (outage.length === 0) {
    throw new NotTestable(
      "the client's process was replaced while a provider failed and a token of its was good (see TR-38), so that nothing is known of what it asks of it then",
    );
  }
  return once(outage);
}

const busyWith = (calls: Call[]): number => calls.reduce((sum, { durationMs }) => sum + durationMs, 0);

function boundsOfABurst(session: ClientSession): Finding[] {
  const [before, ...others] = renewalCalls(session, 'renewal-down');
  const failing = others.filter(({ act }) => act === 'failing');
  if (before === undefined || failing.length === 0) {
    return [missing('no calls were made while a provider failed and their token was good')];
  }
  if (!before.ok) {
    return unseen([before], 'no access token was had that could be good while the provider answered 503');
  }
  const attempts = duringAct(session, session.exchanges, 'renewal-down', 'failing').length;
  // Less than that shows nothing of a client that asks once for each call.
  if (failing.length <= ATTEMPTS_OF_A_BURST && busyWith(failing) < BUSY_MS) {
    // Those are made in turn with the ones of the provider that limits the rate.
    const beside = renewalCalls(session, 'renewal-limited').filter(({ act }) => act !== 'good');
    if (busyWith([...failing, ...beside]) < BUSY_MS) {
      throw new HarnessError(
        `the harness was too slow: it made ${failing.length} calls while a provider answered 503 and their token was good`,
      );
    }
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
    return [missing('no such calls were made')];
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
        `${after.length} ${after.length === 1 ? 'call' : 'calls'} failed after one whose token request was never answered, though the provider answers again: ${describeCall(call)}`,
    ),
  ];
}

/** TR-35: a machine whose token is refused fails; it asks nobody to log in, and waits for nobody. */
export function neverTurnsToAPerson(session: ClientSession): Finding[] {
  const [call] = callsOfSimulated(session, 'refusing');
  if (call === undefined) {
    return [missing('no such call was made')];
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
