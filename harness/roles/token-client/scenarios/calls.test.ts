import { expect, test } from 'vitest';
import type { SessionDriver } from '../driver.ts';
import type { Phase } from '../record.ts';
import { callsOf } from './calls.ts';

test('a call of a provider that does not behave has as long as the client declares, other calls have not', async () => {
  const patience: number[] = [];
  const driver = {
    timeLimitMs: 60_000,
    latePath: '/late',
    async call(_provider: string, patienceMs: number) {
      patience.push(patienceMs);
      return { ok: true };
    },
  } as Partial<SessionDriver> as SessionDriver;
  const call = callsOf(driver, { patienceMs: 15_000 }, { calls: [], slowWays: [] });
  const phases: Phase[] = ['missing', 'burst', 'paced', 'refused', 'simulated', 'blanked', 'outage'];
  for (const phase of phases) {
    await call(phase, 'one');
  }
  expect(patience.map((milliseconds) => milliseconds / 1_000)).toEqual([15, 15, 15, 75, 75, 75, 75]);
});
