/** How a token client reads its token files. No check is content with having seen nothing. */
import type { DecodedToken } from '../../fixtures/workloads/lib/jwt.ts';
import type { TokenObservation } from '../../fixtures/workloads/token-probe/probe.ts';
import { NotApplicable } from '../../harness/core/errors.ts';
import { type Finding, missing, missingIf, unlessStalled } from '../../harness/core/findings.ts';
import {
  assertRoomForReload,
  beforeToken,
  CLOCKS_MS,
  type ClientSession,
  describeCall,
  digestsOfFile,
  endOf,
  FAIL_FAST_MS,
  failuresOf,
  isForItself,
  iso,
  LATE,
  observationsOf,
  presentedTokens,
  READ_TO_ARRIVAL_MS,
  restarts,
  rotationsSince,
  type SessionProvider,
  TOKEN_PARAMETERS,
  tokensIn,
  unseen,
  withoutToken,
} from '../../harness/roles/token-client/record.ts';
import {
  callsOfSimulated,
  exchangesAtSimulated,
  startOfCalls,
  succeeded,
} from '../../harness/roles/token-client/simulated-record.ts';

/** TR-20: the token presented to a provider without a configured path is the one of the default file. */
export function readsDefaultTokenFile(session: ClientSession): Finding[] {
  if (session.providers.length > 0 && session.providers.every(({ pathConfigured }) => pathConfigured)) {
    throw new NotApplicable(
      'the target declares no default token path, so that the path of every provider is configured',
    );
  }
  return readsItsTokenFile(session, { pathConfigured: false });
}

/** TR-21: the token presented to a provider with a configured path is the one of that file. */
export function readsConfiguredTokenFile(session: ClientSession): Finding[] {
  if (!session.configurable.tokenPath) {
    throw new NotApplicable('the `provider` of the target file mentions no token path: the client can be given none');
  }
  return readsItsTokenFile(session, { pathConfigured: true });
}

function readsItsTokenFile(session: ClientSession, { pathConfigured }: { pathConfigured: boolean }): Finding[] {
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
        missingIf(
          presented.length === 0,
          `${provider.name} was never presented a token of ${provider.tokenPath}, but ${instead}${firstError(session, provider)}`,
        ),
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
  return crossed ? findings : [...findings, missing('no provider was presented a second token')];
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
    findings.push(missing(`only ${rotations.join(' and ')} rotations were crossed`));
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
    findings.push(missing('no call was made'));
  }
  return [...findings, ...failuresOf(calls, (call) => `a call failed: ${describeCall(call)}`)];
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
    return [...findings, missing('no such calls were made')];
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
      const text = `with the token file ${state} the call was not answered (${describeCall(call)})`;
      findings.push(unlessStalled(text, Date.parse(call.at), endOf(call)));
    } else if (call.ok) {
      findings.push(`with the token file ${state} the call succeeded: with whose token?`);
    } else if ((call.error ?? '') === '') {
      findings.push(`with the token file ${state} the call failed without an error`);
    }
  }
  const tooSoon = beforeToken(session, session.exchanges, there).filter((exchange) => !isForItself(session, exchange));
  if (tooSoon[0] !== undefined) {
    findings.push(
      `a token request came to ${tooSoon[0].provider} at ${tooSoon[0].at}, though the token file of "${LATE}", which was called then, held no token`,
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
  const padded = exchanges.find(({ parameters }) =>
    TOKEN_PARAMETERS.some((name) => (parameters[name] ?? []).some((value) => typeof value === 'string')),
  );
  return [
    ...(exchanges.length > 0
      ? []
      : unseen(calls, 'with white space around the token in its file nothing was presented')),
    ...(padded === undefined
      ? succeeded(session, 'padded', 'a call with white space around the token in its file')
      : [
          `at ${padded.at} what was presented is not the token: its file has white space around it, which was sent too`,
        ]),
  ];
}

/** TR-28a: the error of a call for which there is no token names the file that should hold it. */
export function namesTheMissingFile({ calls, latePath }: ClientSession): Finding[] {
  const failed = calls.filter(({ phase, ok }) => withoutToken(phase) !== undefined && !ok);
  if (failed.length === 0) {
    return [missing('no call failed for want of its token file')];
  }
  // Where the machine stalls, a client may have failed of something else before it came to the file.
  return failuresOf(
    failed.filter(({ namesFile }) => namesFile !== true),
    (call) =>
      `with the token file ${withoutToken(call.phase)} the error does not name ${latePath}: ${describeCall(call)}`,
  );
}

/** When a token was first seen to have been replaced in its file. */
function replacedAt(observations: TokenObservation[], { sha256 }: DecodedToken): number | undefined {
  const index = observations.findIndex((observation) => observation.sha256 === sha256);
  const successor = index < 0 ? undefined : observations[index + 1];
  return successor === undefined ? undefined : Date.parse(successor.at);
}

function firstError({ calls }: ClientSession, { name }: SessionProvider): string {
  const failed = calls.find(({ provider, ok }) => provider === name && !ok);
  return failed === undefined ? '' : ` (${describeCall(failed)})`;
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
    return [missing('no such calls were made')];
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
