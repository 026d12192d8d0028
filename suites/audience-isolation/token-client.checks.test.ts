import { expect, test } from 'vitest';
import { textOf } from '../../harness/core/findings.ts';
import { simulatedSetups } from '../../harness/fakes/simulated-providers.ts';
import { type Call, LATE, type SessionProvider } from '../../harness/roles/token-client/record.ts';
import { aCall, aSession } from '../../harness/roles/token-client/record-builders.ts';
import { keepsOthersWorking, neverFallsBack } from './token-client.checks.ts';

const HOSTS = {
  simulated: 'simulated.test',
  tenants: 'tenants.test',
  untrusted: 'untrusted.test',
  elsewhere: 'elsewhere.test',
};
const simulated = simulatedSetups({ hosts: HOSTS, port: 8443, tokenPath: '/token', swappedPath: '/swapped/token' });
const failed = { ok: false, error: 'refused' };
const paced = aCall('paced', 'production', [1, 2]);
const blanked = (provider: string, change: Partial<Call> = {}): Call => aCall('blanked', provider, [10, 11], change);
const before = aCall('simulated', 'emptied', [9, 10]);

const told = (...calls: Call[]): string[] =>
  keepsOthersWorking(
    aSession({ providers: [{ name: 'production' } as SessionProvider], simulated, calls: [paced, ...calls] }),
  ).map(textOf);

test('where the late provider goes on with a good token, one whose token has ended fails in its place', () => {
  const others = blanked('production');
  expect(told(blanked(LATE, failed), others)).toEqual([]);
  expect(told(blanked(LATE), before, blanked('emptied', failed), others)).toEqual([]);
  expect(told(blanked(LATE), before, blanked('emptied', failed), { ...others, ...failed })).toEqual([
    expect.stringContaining('while emptied failed a call of another provider failed too'),
  ]);
});

test('where neither fails nothing is known of the others', () => {
  expect(told(blanked(LATE), blanked('production'))).toEqual([expect.stringContaining(`${LATE} did not fail`)]);
  expect(told(blanked(LATE), before, blanked('emptied'), blanked('production'))).toEqual([
    expect.stringContaining('emptied did not fail'),
  ]);
  expect(told(blanked(LATE), { ...before, ...failed }, blanked('emptied', failed), blanked('production'))).toEqual([
    expect.stringContaining('a call of emptied failed'),
  ]);
});

test('a client that never gets an access token shows no fallback, and not that it has none', () => {
  const failing = (['missing', 'blank', 'refused'] as const).map((phase, at) =>
    aCall(phase, LATE, [at, at + 0.1], { ok: false, error: 'no such authority' }),
  );
  expect(neverFallsBack(aSession({ calls: failing, exchanges: [] })).map(textOf)).toEqual([
    expect.stringMatching(/^the client never got an access token, so nothing is known: .*no such authority/),
  ]);
});
