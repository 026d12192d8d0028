import { expect, test } from 'vitest';
import { SIMULATED_HOSTS, simulatedSetups } from '../../../fakes/simulated-providers.ts';
import type { SessionDriver } from '../driver.ts';
import { FULLY_CONFIGURABLE } from '../record.ts';
import { driveClientSession } from './session.ts';
import { untilReloaded } from './session-plan.ts';

const NOTHING_SEEN = {
  reads: 0,
  burstReads: 0,
  absent: 0,
  missing: 0,
  empty: 0,
  partial: 0,
  modes: [],
  defects: [],
};

const SETUPS = simulatedSetups({ hosts: SIMULATED_HOSTS, port: 8443, tokenPath: '/token', swappedPath: '/swapped' });

/** A client that answers every call, in the pod of a name; `asked` has the providers that it was called for. */
function clientIn(pod: string, simulated: string[]): SessionDriver & { asked: string[] } {
  const asked: string[] = [];
  const done = async (): Promise<void> => undefined;
  return {
    asked,
    providers: [],
    latePath: '/late',
    capabilities: [],
    configurable: FULLY_CONFIGURABLE,
    simulated: SETUPS.filter(({ name }) => simulated.includes(name)),
    timeLimitMs: 0,
    async call(provider) {
      asked.push(provider);
      return { ok: true, status: 200 };
    },
    observations: async () => [{ path: pod, observations: [], ...NOTHING_SEEN }],
    records: async () => [],
    refuseNext: done,
    act: done,
    copy: done,
    pad: done,
    link: done,
    project: done,
    identity: async () => ({ podUid: pod, restarts: 0 }),
    identityAfter: async (known) => known,
    output: async () => ({ text: `written in ${pod}` }),
    secrets: async () => [`of ${pod}`],
    stalls: async () => [],
    until: done,
    progress: () => undefined,
  };
}

test('other instances are asked what a client may not survive, and the session holds what all were seen to do', async () => {
  const [one, other] = [clientIn('one', ['plain']), clientIn('other', ['outage'])];
  const third = { ...clientIn('third', ['hanging']), capabilities: ['resident' as const] };
  const beside = { outage: other, renewals: third };
  const session = await driveClientSession(one, { subjectLifeSeconds: 25, paceMs: 1, patienceMs: 1_000 }, beside);
  expect([...new Set(one.asked)]).toEqual(['late', 'plain']);
  expect([...new Set(other.asked)]).toEqual(['outage']);
  expect([...new Set(third.asked)]).toEqual(['hanging']);
  expect(session.simulated.map(({ name }) => name)).toEqual(['plain', 'outage', 'hanging']);
  const firstOf = (called: string): number => session.calls.findIndex(({ provider }) => provider === called);
  const lastWithoutToken = session.calls.findLastIndex(({ phase }) => phase === 'recovered');
  expect(firstOf('outage'), 'no other token is asked for while a file has none').toBeGreaterThan(lastWithoutToken);
  expect(session.before.podUid).toBe('one');
  expect([session.beforeOutage, session.afterOutage].map(({ podUid }) => podUid)).toEqual(['other', 'other']);
  expect([session.beforeRenewals, session.afterRenewals].map(({ podUid }) => podUid)).toEqual(['third', 'third']);
  expect(session.files.map(({ path }) => path)).toEqual(['one', 'other', 'third']);
  expect(session.secrets).toEqual(['of one', 'of other', 'of third']);
  expect(session.output.lines).toBe(3);
});

test('a client without another instance is asked everything', async () => {
  const one = clientIn('one', ['plain', 'outage']);
  const session = await driveClientSession(one, { subjectLifeSeconds: 25, paceMs: 1, patienceMs: 1_000 });
  expect([...new Set(one.asked)]).toEqual(['late', 'plain', 'outage']);
  expect(session.beforeOutage).toEqual(session.after);
});

test('a client whose reload interval has no room is not called across rotations, which no check reads', async () => {
  const client = { ...clientIn('one', ['plain']), reloadSeconds: 300 };
  const plan = { subjectLifeSeconds: 120, paceMs: 1, patienceMs: 1_000, rotations: { each: 2, total: 4 } };
  const { calls } = await driveClientSession(client, plan);
  expect(calls.map(({ phase }) => phase)).not.toContain('blanked');
  expect(client.asked).toContain('plain');
});

async function waited(reloadSeconds: number | undefined, subjectLifeSeconds: number): Promise<number> {
  let until = 0;
  const driver = {
    ...(reloadSeconds === undefined ? {} : { reloadSeconds }),
    until: async (instant: Date): Promise<void> => {
      until = Math.round((instant.getTime() - Date.now()) / 1_000);
    },
  };
  await untilReloaded(driver, subjectLifeSeconds);
  return until;
}

test('the reload interval of a client is waited for where tokens live long enough for it, and only there', async () => {
  expect(await waited(undefined, 25)).toBe(0);
  expect(await waited(21, 120)).toBe(24);
  expect(await waited(300, 120)).toBe(0);
  expect(await waited(117, 600)).toBe(120);
});
