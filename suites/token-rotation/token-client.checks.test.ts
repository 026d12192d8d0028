import { describe, expect, test } from 'vitest';
import type { ExchangeRecord, ResourceRecord } from '../../fixtures/workloads/observer/records.ts';
import type { TokenObservation } from '../../fixtures/workloads/token-probe/probe.ts';
import { HarnessError, Violation } from '../../harness/core/errors.ts';
import { expectNone, type Finding, textOf } from '../../harness/core/findings.ts';
import { BURST_CALLS, type Call, type ClientSession, LATE } from '../../harness/roles/token-client/record.ts';
import { aCall, anExchange, aRequest, aSession, iso, START } from '../../harness/roles/token-client/record-builders.ts';
import { simulated } from '../../harness/roles/token-client/simulated-builders.ts';
import { neverFallsBack } from '../audience-isolation/token-client.checks.ts';
import { ROWS } from './client-session-rows.ts';
import {
  neverPresentsAnExpiredToken,
  rereadsAtEveryExchange,
  survivesAMissingTokenFile,
} from './token-client.checks.ts';
import { reusesAccessTokens } from './token-client-exchanges.checks.ts';

const call = (phase: Call['phase'], from: number, to: number, change: Partial<Call> = {}): Call =>
  aCall(phase, 'production', [from, to], change);
const token = (name: string, exp: number): TokenObservation => ({
  at: iso(0),
  sha256: name,
  header: {},
  claims: { exp: START / 1000 + exp },
  inode: 0,
});
const exchange = (at: number, subject: TokenObservation, change: Partial<ExchangeRecord> = {}): ExchangeRecord =>
  anExchange('production', at, { parameters: { assertion: [subject] }, durationMs: 50, expiresIn: 12, ...change });
const refusal = (at: number): ResourceRecord => aRequest('production', at, 401);
const burst = (from: number): Call[] =>
  Array.from({ length: BURST_CALLS }, (_, index) => call('burst', from + index * 0.01, from + index * 0.01 + 0.005));

const A = token('a', 25);
const B = token('b', 41);
const C = token('c', 57);

/** A file that held A from 0 s, B from 16 s and C from 32 s. */
function session(change: Partial<ClientSession>): ClientSession {
  const observations = [A, { ...B, at: iso(16) }, { ...C, at: iso(32) }];
  const file = {
    path: '/token',
    reads: 0,
    burstReads: 0,
    absent: 0,
    missing: 0,
    empty: 0,
    partial: 0,
    modes: [],
    defects: [],
  };
  return aSession({
    providers: [
      {
        name: 'production',
        audience: 'audience',
        clientId: 'client',
        scopes: [],
        tokenPath: '/token',
        pathConfigured: true,
        accessTokenLifetimeSeconds: 12,
      },
    ],
    files: [{ ...file, observations }],
    calls: [call('concurrent', 0, 0.1)],
    ...change,
  });
}
const stall = (from: number, to: number) => [{ where: "the client's pod", from: iso(from), to: iso(to) }];

describe('TR-22', () => {
  const first = call('concurrent', 0.5, 1.2);
  const seen = (exchanges: ExchangeRecord[], calls: Call[]) =>
    rereadsAtEveryExchange(session({ exchanges: [exchange(1, A), ...exchanges], calls: [first, ...calls] }));

  test('a call that began before the replacement may present the old token, however long that takes', () => {
    expect(seen([exchange(21, A), exchange(22, B)], [call('paced', 15.9, 21.1), call('paced', 21.9, 22.1)])).toEqual(
      [],
    );
  });

  test('a call that began after it may not', () => {
    const findings = seen([exchange(21, A), exchange(22, B)], [call('paced', 20.9, 21.1), call('paced', 21.9, 22.1)]);
    expect(findings.map(textOf)).toEqual([expect.stringContaining('had been replaced in /token')]);
    expect(() => expectNone(findings, [])).toThrow(Violation);
  });

  test('what a client sends by itself may be late by as much as its pod stalled', () => {
    const findings = seen([exchange(20, A), exchange(22, B)], []);
    expect(() => expectNone(findings, stall(17, 18))).toThrow(Violation);
    expect(() => expectNone(findings, stall(16.5, 19.8))).toThrow(HarnessError);
  });
});

describe('TR-23', () => {
  test('a token that expired on its way says nothing where the machine stalled for as long', () => {
    const findings = neverPresentsAnExpiredToken(
      session({
        exchanges: [exchange(1, A), exchange(27, A)],
        calls: [call('concurrent', 0, 0.1), call('paced', 0.5, 1.1), call('paced', 24, 27.1)],
      }),
    );
    expect(findings.map(textOf)).toEqual([expect.stringContaining('had expired')]);
    expect(() => expectNone(findings, [])).toThrow(Violation);
    expect(() => expectNone(findings, stall(24.1, 26.9))).toThrow(HarnessError);
  });
});

describe('TR-24', () => {
  const seen = (exchanges: ExchangeRecord[], calls: Call[], resources: ResourceRecord[] = []) =>
    reusesAccessTokens(
      session({ exchanges, calls: [call('concurrent', 0, 0.1), ...burst(40), ...calls], resources }),
    ).map(textOf);

  test('the next exchange may come when half of the life has passed since the client asked', () => {
    // It asked at 1.0 s, the request arrived 2.2 s later; at 7.0 s half of the 12 s are over.
    expect(seen([exchange(3.2, A), exchange(7, A)], [call('paced', 1, 3.4), call('paced', 6.9, 7.1)])).toEqual([]);
    expect(seen([exchange(1.1, A), exchange(4.9, A)], [call('paced', 1, 1.2), call('paced', 4.8, 5)])).toEqual([
      expect.stringContaining('3.8 s after it got a token for 12 s'),
    ]);
  });

  test('a call that began before the answer answers the same need', () => {
    const calls = [call('concurrent', 1, 5), call('concurrent', 1, 5)];
    expect(seen([exchange(1.5, A, { durationMs: 3000 }), exchange(4.9, A)], calls)).toEqual([]);
  });

  test('a refusal of the resource server is answered by an exchange, however long that takes', () => {
    const calls = [call('paced', 1, 1.2), call('paced', 2, 5)];
    expect(seen([exchange(1.1, A), exchange(4.9, A)], calls, [refusal(2.1)])).toEqual([]);
    expect(seen([exchange(1.1, A), exchange(4.9, A)], calls, [refusal(0.9)])).toHaveLength(1);
  });
});

describe('TR-28', () => {
  const late = { provider: LATE };
  const failed = { ...late, ok: false, error: 'cannot read' };
  const seen = (took: number, change: Partial<Call> = {}) =>
    survivesAMissingTokenFile(
      session({
        calls: [
          call('missing', 0, took, { ...failed, ...change }),
          call('blank', 20, 20.1, failed),
          call('refused', 21, 21.1, failed),
          call('recovered', 22, 22.1, late),
        ],
      }),
    );

  test('a call that took long fails, unless the machine stalled for what was too much', () => {
    expect(seen(9.9)).toEqual([]);
    expect(() => expectNone(seen(11.5), [])).toThrow(Violation);
    expect(() => expectNone(seen(11.5), stall(2, 3.3))).toThrow(Violation);
    expect(() => expectNone(seen(11.5), stall(2, 3.5))).toThrow(HarnessError);
  });

  describe('what is presented at the endpoint that the late provider shares with the first', () => {
    const providers = session({}).providers;
    const resident = (at: number) =>
      session({
        providers,
        calls: [
          call('missing', 10, 10.1, failed),
          call('blank', 20, 20.1, failed),
          call('refused', 21, 21.1, failed),
          call('recovered', 22, 22.1, late),
        ],
        exchanges: [exchange(at, A)],
        resources: [
          {
            ...aRequest('production', at + 1, 200),
            token: { sha256: `access-${at}`, header: {}, claims: {} },
          },
        ],
      });

    test('at the start of a client that stays is for the first provider', () => {
      expect(survivesAMissingTokenFile(resident(5))).toEqual([]);
      expect(neverFallsBack(resident(5))).toEqual([]);
    });

    test('from the first call on is a token of another', () => {
      expect(survivesAMissingTokenFile(resident(10.05)).map(textOf)).toEqual([
        expect.stringMatching(/a token request came to production at .* "late", which was called then, held no token/),
      ]);
      expect(neverFallsBack(resident(10.05))).toEqual([
        expect.stringMatching(/was presented for late at the endpoint of production/),
        expect.stringMatching(/the resource server was sent a token/),
      ]);
    });
  });

  test('a call that was never answered fails for a short stall', () => {
    expect(() => expectNone(seen(15, { unanswered: true }), stall(2, 4))).toThrow(Violation);
  });
});

describe('what was never seen of a client may be the machine’s fault', () => {
  const provider = session({}).providers[0] as ClientSession['providers'][number];
  const providers = [provider, { ...provider, name: 'staging', tokenPath: '/default', pathConfigured: false }];
  const capabilities: ClientSession['capabilities'] = ['resident', 'cache'];
  const nothing = session({
    ...{ providers, capabilities, simulated, calls: [], remaining: [] },
    files: session({}).files.flatMap((file) => [file, { ...file, path: '/default', observations: [] }]),
  });
  /** TR-37 and TR-22 are about clients that declare different things. */
  const sessionFor = (id: string): ClientSession => (id === 'TR-37' ? { ...nothing, reloadSeconds: 1 } : nothing);

  test.each(Object.keys(ROWS))('%s', (id) => {
    const findings: Finding[] = ROWS[id]?.(sessionFor(id)) ?? [];
    expect(findings).not.toEqual([]);
    expect(findings.filter((finding) => typeof finding === 'string')).toEqual([]);
  });
});
