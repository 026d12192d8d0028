import { afterEach, expect, test, vi } from 'vitest';
import { SIMULATED_HOSTS, simulatedSetups } from '../../../fakes/simulated-providers.ts';
import type { SessionDriver } from '../driver.ts';
import type { Call } from '../record.ts';
import { callsOf } from './calls.ts';
import { SimulatedClient } from './simulated-client.ts';
import { callDuringRenewals, renewalTimes } from './simulated-failures.ts';

afterEach(() => {
  vi.useRealTimers();
});

test.each([
  [0, { lifeSeconds: 40, dueSeconds: 21 }],
  [5, { lifeSeconds: 40, dueSeconds: 36 }],
  [30, { lifeSeconds: 40, dueSeconds: 21 }],
  [120, { lifeSeconds: 126, dueSeconds: 7 }],
  [1_200, { lifeSeconds: 1_206, dueSeconds: 7 }],
])('with a skew of %i s a token is renewed while it is good for some time', (skewSeconds, wanted) => {
  expect(renewalTimes(skewSeconds)).toEqual(wanted);
  expect(wanted.lifeSeconds - wanted.dueSeconds).toBeGreaterThan(3);
});

test('a client that is busy for seconds with each provider that fails is asked of the silent one, too', async () => {
  vi.useFakeTimers();
  const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
  const names = ['renewal-refused', 'renewal-down', 'renewal-limited', 'renewal-silent'];
  const acts = new Map<string, string>();
  const done = async (): Promise<void> => undefined;
  const setups = simulatedSetups({ hosts: SIMULATED_HOSTS, port: 8443, tokenPath: '/token', swappedPath: '/swapped' });
  const driver = {
    providers: [{ skewSeconds: 5 }],
    capabilities: ['resident'],
    simulated: setups.filter(({ name }) => names.includes(name)),
    timeLimitMs: 3_000,
    async call(provider: string) {
      await sleep(acts.get(provider) === 'good' ? 10 : 3_000);
      return { ok: true };
    },
    async act(name: string, act: string) {
      acts.set(name, act);
    },
    records: async () =>
      names.flatMap((provider) => [
        { kind: 'act', provider },
        { kind: 'exchange', provider, accessToken: 'x' },
      ]),
    copy: done,
    until: (instant: Date) => sleep(Math.max(0, instant.getTime() - Date.now())),
    progress: () => undefined,
  } as unknown as SessionDriver;
  const calls: Call[] = [];
  const client = new SimulatedClient(driver, callsOf(driver, { patienceMs: 15_000 }, { calls, slowWays: [] }), 25);
  const made = callDuringRenewals(client, done);
  await vi.runAllTimersAsync();
  expect(await made).toBe(true);
  const failing = calls.filter(({ act }) => act !== 'good').map(({ provider }) => provider);
  expect(new Set(failing)).toEqual(new Set(names));
});
