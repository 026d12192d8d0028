import { describe, expect, test } from 'vitest';
import { HarnessError, NotTestable } from '../../harness/core/errors.ts';
import { expectNone, textOf } from '../../harness/core/findings.ts';
import type { Call, ClientSession } from '../../harness/roles/token-client/record.ts';
import { aCall, iso } from '../../harness/roles/token-client/record-builders.ts';
import {
  call,
  exchange,
  failed,
  plain,
  request,
  session,
  told,
} from '../../harness/roles/token-client/simulated-builders.ts';
import {
  doesNotGuessALife,
  exchangesOnceForManyCalls,
  exchangesOnceMoreWhenRefused,
} from './token-client-exchanges.checks.ts';
import {
  boundsItsExchanges,
  goesOnWithAGoodToken,
  neverTurnsToAPerson,
  survivesAnOutage,
} from './token-client-failures.checks.ts';
import { persistsAccessTokensPrivately, writesNoToken } from './token-client-secrets.checks.ts';

test('exchanges overlap where one arrives before the other is answered', () => {
  const calls = [call('slow', 0, 2), call('slow', 0.1, 2)];
  const seen = (second: number) =>
    exchangesOnceForManyCalls(
      session({ calls, exchanges: [exchange('slow', 0.2, { durationMs: 1_000 }), exchange('slow', second)] }),
    );
  expect(seen(1.3)).toEqual([]);
  expect(told(seen(1.1))).toEqual(['2 calls at the same time made 2 exchanges at the same time']);
  const apart = session({ calls: [call('slow', 0, 1), call('slow', 2, 3)], exchanges: [exchange('slow', 0.2)] });
  expect(told(exchangesOnceForManyCalls(apart))).toEqual(['no calls were made at the same time']);
  const warm = session({ calls, exchanges: [exchange('slow', -30)] });
  expect(told(exchangesOnceForManyCalls(warm))).toEqual([expect.stringContaining('the calls needed no exchange')]);
});

test('a client whose good call is several requests may repeat each of them once', () => {
  const calls = [call('revoking', 0, 1), call('revoking', 2, 3), call('revoking', 4, 5, failed)];
  const good = [request('revoking', 0.1, 200), request('revoking', 0.2, 200)];
  const refused = [2.1, 2.2, 2.3].map((at, index) => request('revoking', at, index === 0 ? 401 : 200));
  const again = (count: number) =>
    Array.from({ length: count }, (_, index) => request('revoking', 4.1 + index / 100, 401));
  const acts = [1.5, 3.5].map((at) => ({
    kind: 'act' as const,
    at: iso(at),
    place: at,
    provider: 'revoking',
    act: 'good',
  }));
  const seen = (count: number) =>
    told(exchangesOnceMoreWhenRefused(session({ calls, acts, resources: [...good, ...refused, ...again(count)] })));
  expect(seen(4)).toEqual([]);
  expect(seen(5)).toEqual(['a refused call made 5 requests and 0 exchanges, a good one 2 requests']);
});

test('a life is not guessed: the second call must succeed', () => {
  const calls = [call('no-expiry', 0, 1), call('no-expiry', 5, 6, failed)];
  expect(told(doesNotGuessALife(session({ calls })))).toEqual([expect.stringContaining('once the token had expired')]);
});

test('a client whose first call failed has no token that could be good: nothing is missed of it', () => {
  const first = call('renewal-silent', 0, 10, { phase: 'renewal', act: 'good', ...failed });
  const findings = goesOnWithAGoodToken(session({ calls: [first] })).filter((one) =>
    textOf(one).includes('not answer'),
  );
  expect(findings.map(textOf)).toEqual([expect.stringContaining('a call failed before the provider does not answer')]);
  expect(() => expectNone(findings, [{ where: 'the pod', from: iso(1), to: iso(9) }])).toThrow(HarnessError);
});

describe('an outage', () => {
  const outage = (act: NonNullable<Call['act']>, from: number, to: number, change: Partial<Call> = {}): Call =>
    call('outage', from, to, { phase: 'outage', act, ...change });
  const seen = (silent: Call, change: Partial<ClientSession> = {}) =>
    survivesAnOutage(session({ calls: [outage('good', 0, 1), silent, outage('good', 90, 91)], ...change }));

  test('a call may take as long as the client declares, and the way there', () => {
    expect(seen(outage('silent', 10, 22.9, failed))).toEqual([]);
    const findings = seen(outage('silent', 10, 25, failed));
    expect(told(findings)).toEqual([expect.stringContaining('the call took 15.0 s (allowed: 3 s + 10 s)')]);
    expect(() => expectNone(findings, [{ where: 'the pod', from: iso(12), to: iso(14.5) }])).toThrow(HarnessError);
  });

  test('a process that is another one did not survive; where each call has its own that says nothing', () => {
    const crashed = { afterOutage: { podUid: 'uid', restarts: 1 } };
    expect(told(seen(outage('silent', 10, 11, failed), crashed))).toEqual([expect.stringContaining('was replaced')]);
    expect(seen(outage('silent', 10, 11, failed), { ...crashed, capabilities: [] })).toEqual([]);
  });
});

describe('nobody is asked', () => {
  const refusing = call('refusing', 10, 11, failed);
  const base = { calls: [plain, refusing], exchanges: [exchange('refusing', 10.1, { status: 400 })] };

  test('to log in at an endpoint that the metadata offer', () => {
    expect(neverTurnsToAPerson(session(base))).toEqual([]);
    const path = '/realms/refusing/device';
    const lookups = [
      { kind: 'provider' as const, at: iso(10.5), host: '', provider: 'refusing', method: 'POST', path, status: 404 },
    ];
    expect(told(neverTurnsToAPerson(session({ ...base, lookups })))).toEqual([expect.stringContaining(path)]);
  });

  test('which is not known where the client ended so often that some of its output is gone', () => {
    const without = (lost: number) => session({ ...base, output: { lines: 0, leaks: [], prompts: [], lost } });
    expect(neverTurnsToAPerson(without(0))).toEqual([]);
    expect(() => neverTurnsToAPerson(without(2))).toThrow(/kept not all that 2 of its processes wrote/);
    expect(() => writesNoToken(without(2))).toThrow(NotTestable);
    const leak = { line: 1, sha256: 'a'.repeat(64), token: 'known' as const };
    const output = { lines: 1, leaks: [leak], prompts: [], lost: 2 };
    expect(writesNoToken(session({ ...base, output }))).toContainEqual(expect.stringContaining('line 1'));
  });

  test('by a port that is opened when a token is refused, unless ports are opened for good calls too', () => {
    const listener = (port: number, at: number) => ({ port, at: iso(at) });
    const seen = (...listeners: ReturnType<typeof listener>[]) => neverTurnsToAPerson(session({ ...base, listeners }));
    expect(seen(listener(8080, -5))).toEqual([]);
    expect(told(seen(listener(8080, -5), listener(4242, 10.5)))).toEqual([expect.stringContaining('port 4242')]);
    expect(seen(listener(4241, 0.05), listener(4242, 10.5))).toEqual([]);
  });
});

describe('exchanges while a provider fails', () => {
  const told503 = { kind: 'act', provider: 'outage', act: 'failing', at: iso(10), place: 1 } as const;
  const limiting = { kind: 'act', provider: 'renewal-limited', act: 'limiting', at: iso(30), place: 500 } as const;
  const made = aCall('outage', 'outage', [10, 13], { act: 'failing', ...failed });
  const down = Array.from({ length: 6 }, () => aCall('renewal', 'renewal-down', [40, 40.1], { act: 'failing' }));
  const before = aCall('renewal', 'renewal-down', [35, 35.1], { act: 'good' });
  const closed = { ...told503, act: 'closed', place: 0.1 };
  const seen = (at: number[], limited: number[] = [], burst = down, after = {}): string[] =>
    told(
      boundsItsExchanges(
        session({
          ...after,
          // As the row declares them: what it looks at beyond that nobody may have called.
          declared: ['outage', 'renewal-down', 'renewal-limited'],
          acts: [closed, told503, limiting],
          calls: [aCall('outage', 'outage', [8, 8.1], { act: 'closed', ...failed }), made, before, ...burst],
          exchanges: [
            exchange('outage', 8, { place: 0.5, status: 0 }),
            ...at.map((second, index) => exchange('outage', second, { place: 2 + index / 1e6, status: 503 })),
            ...limited.map((second, index) => exchange('renewal-limited', second, { place: 501 + index, status: 429 })),
          ],
        }),
      ),
    );
  const times = (count: number, pause: number): number[] =>
    Array.from({ length: count }, (_, index) => 10 + index * pause);

  test('are few for each call', () => {
    expect(seen(times(3, 0.01))).toEqual([]);
    expect(seen(times(20_000, 0.0001))).toEqual([expect.stringMatching(/one call of 3\.0 s made 20000 requests/)]);
  });

  test('have growing pauses where they are more', () => {
    expect(seen([10, 10.2, 10.6, 11.4, 13])).toEqual([]);
    expect(seen(times(5, 0.5))).toEqual([
      expect.stringMatching(/pauses that do not grow .*first 500 ms, the last 500 ms/),
    ]);
    // At once: one of them is late by chance.
    expect(seen([10, 10.01, 10.02, 10.03, 10.16])).toEqual([expect.stringMatching(/pauses that do not grow/)]);
  });

  test('may have grown from a first pause that a stall made longer, and not where all of them are short', () => {
    const found = (at: number[]) =>
      boundsItsExchanges(
        session({
          ...{ declared: ['outage', 'renewal-down', 'renewal-limited'], acts: [closed, told503, limiting] },
          calls: [aCall('outage', 'outage', [8, 8.1], { act: 'closed', ...failed }), made, before, ...down],
          exchanges: [
            exchange('outage', 8, { place: 0.5, status: 0 }),
            ...at.map((second, index) => exchange('outage', second, { place: 2 + index, status: 503 })),
          ],
        }),
      );
    expect(found([10, 11.2, 11.4, 11.8, 12.4])).toEqual([
      { text: expect.any(String), from: Date.parse(iso(10)), to: Date.parse(iso(11.2)), excessMs: 700 },
    ]);
    expect(found([10, 10.01, 10.02, 10.03])).toEqual([expect.stringMatching(/pauses that do not grow/)]);
  });

  test('say nothing where too few calls were made, unless the client was busy with those', () => {
    const busyElsewhere = aCall('renewal', 'renewal-limited', [40, 45], { act: 'limiting', ...failed });
    expect(seen([10], [], [...down.slice(0, 5), busyElsewhere])).toEqual([
      expect.stringMatching(/^only 5 calls .* so nothing is known/),
    ]);
    expect(() => seen([10], [], down.slice(0, 5))).toThrow(HarnessError);
    const busy = aCall('renewal', 'renewal-down', [40, 45], { act: 'failing' });
    expect(seen([10], [], [busy])).toEqual([]);
  });

  test('are not known of a process that ended meanwhile, beyond what was found before', () => {
    const replaced = { afterRenewals: { podUid: 'uid', restarts: 1 } };
    expect(() => seen([10], [], down, replaced)).toThrow(NotTestable);
    expect(seen(times(5, 0.5), [], down, replaced)).toEqual([expect.stringMatching(/pauses that do not grow/)]);
  });

  test('say nothing of a client that never had a token of the provider', () => {
    const never = { ...before, ...failed };
    const outage = aCall('outage', 'outage', [8, 8.1], { act: 'closed', ...failed });
    const calls = [outage, made, never, ...down];
    expect(
      told(boundsItsExchanges(session({ acts: [closed, told503, limiting], calls, exchanges: [] }))),
    ).toContainEqual(expect.stringMatching(/no access token was had that could be good/));
  });

  test('do not come before Retry-After', () => {
    expect(seen([10], [30, 38.1])).toEqual([]);
    expect(seen([10], [30, 31, 39])).toEqual([expect.stringMatching(/asked again 1\.0 s after .*"Retry-After: 8"/)]);
    // A pause of a client's own that is nearly as long.
    expect(seen([10], [30, 35.2])).toEqual([expect.stringMatching(/asked again 5\.2 s after/)]);
  });
});

test('what a client leaves behind holds no subject token, and access tokens for its user alone', () => {
  const subject = { header: {}, claims: {}, sha256: 'subject' };
  const seen = (file: { mode: string; words: string[]; unreadable?: string }) =>
    persistsAccessTokensPrivately(
      session({
        exchanges: [exchange('plain', 1, { parameters: { assertion: [subject] } })],
        remaining: [{ path: '/cache/a', uid: 1000, ...file }],
        capabilities: ['cache'],
      }),
    );
  expect(seen({ mode: '0600', words: ['access-1'] })).toEqual([]);
  expect(seen({ mode: '0640', words: ['access-1'] })).toEqual([
    '/cache/a, which holds an access token, has the mode 0640',
  ]);
  expect(seen({ mode: '0600', words: ['access-1', 'subject'] })).toEqual(['/cache/a holds a subject token']);
  expect(seen({ mode: '0600', words: [] })).toEqual([expect.stringContaining('though the client declares a cache')]);
  expect(seen({ mode: '0644', words: [], unreadable: 'EACCES' })).toEqual([
    expect.stringContaining('has the mode 0644'),
  ]);
});
