import { setTimeout as delay } from 'node:timers/promises';
import type { Act } from '../../../../fixtures/workloads/observer/simulated.ts';
import type { SimulatedName } from '../../../fakes/simulated-providers.ts';
import type { Call } from '../record.ts';
import { isRequestTo, isTokenRequestTo, type SimulatedClient, shortTokenEnd } from './simulated-client.ts';

/** How long providers fail while tokens are about to be renewed. */
const RENEWAL_SECONDS = 9;

/** Calls of a provider that does not answer the renewal of a token that is good. */
const SILENT_CALLS = 2;

/** So long a client that does one thing at a time has for the other calls before one that may hold it up. */
const HEAD_START_MS = 1_000;

const HANGING_POLL_MS = 250;

/** How a provider fails when a token is about to be renewed, and how many calls come at once then. */
interface Renewal {
  name: SimulatedName;
  act: Act;
  atOnce?: number;
}

const RENEWALS: readonly Renewal[] = [
  { name: 'renewal-refused', act: 'refusing' },
  { name: 'renewal-down', act: 'failing', atOnce: 20 },
  { name: 'renewal-limited', act: 'limiting' },
  { name: 'renewal-silent', act: 'silent' },
];

/** Up to here a client may take half of a token's life for the time before its end at which it renews it. */
const LONGEST_HALF_SECONDS = 60;

/** A client that renews at half of a token's life is called some twenty times in the other half, on a busy machine. */
const SHORTEST_RENEWED_SECONDS = 40;

/**
 * How long access tokens live that are to be renewed soon, and when their renewal is due: so long before their end as
 * the client documents, or at half of their life, whatever comes later. Then there is time left in which they are good.
 */
export function renewalTimes(skewSeconds: number): { lifeSeconds: number; dueSeconds: number } {
  const lifeSeconds = Math.max(SHORTEST_RENEWED_SECONDS, skewSeconds + 6);
  const half = skewSeconds > LONGEST_HALF_SECONDS ? 0 : lifeSeconds / 2;
  return { lifeSeconds, dueSeconds: Math.max(half, skewSeconds === 0 ? 0 : lifeSeconds - skewSeconds) + 1 };
}

/** A call of the provider that will be down, while it is good. */
export async function callBeforeOutage(client: SimulatedClient): Promise<void> {
  if (!client.isConfiguredFor('outage')) {
    return;
  }
  await client.putTokens();
  await client.call('outage', 'outage', { act: 'good' });
  client.noteShortToken('outage');
}

/**
 * The provider closes connections, answers 503, does not answer at all, and is good again. Nothing may come after this:
 * a client may not survive it.
 */
export async function callDuringOutage(client: SimulatedClient): Promise<void> {
  if (!client.isConfiguredFor('outage')) {
    return;
  }
  const { driver } = client;
  await client.untilTokenEnds('outage');
  for (const act of ['closed', 'failing', 'silent'] as const) {
    await driver.act('outage', act);
    const again = (): Promise<Call> => client.call('outage', 'outage', { act });
    if (client.startsForEachCall) {
      await again();
    } else {
      const from = (await driver.records()).length;
      await client.callUntilSeen((record) => isRequestTo(record, 'outage'), 1, again, from);
    }
  }
  await driver.act('outage', 'good');
  await client.callUntilRecovered(() => client.call('outage', 'outage', { act: 'good' }));
}

/**
 * Providers fail while the client has a token of theirs that is good for some more seconds and that it is about to
 * renew; then one never answers a cold call.
 *
 * @param meanwhile done while the tokens are not yet about to be renewed; absent: nothing
 * @returns false where the client is not asked
 */
export async function callDuringRenewals(
  client: SimulatedClient,
  meanwhile: () => Promise<void> = async () => undefined,
): Promise<boolean> {
  if (client.startsForEachCall || !client.driver.capabilities.includes('resident')) {
    await meanwhile();
    return false;
  }
  await client.putTokens();
  const renewals = RENEWALS.filter(({ name }) => client.isConfiguredFor(name));
  if (renewals.length > 0) {
    await failRenewals(client, renewals, meanwhile);
  } else {
    await meanwhile();
  }
  if (client.isConfiguredFor('hanging')) {
    await leaveRequestHanging(client);
  }
  return renewals.length > 0;
}

async function failRenewals(
  client: SimulatedClient,
  renewals: readonly Renewal[],
  meanwhile: () => Promise<void>,
): Promise<void> {
  const { driver } = client;
  const { endsAt, dueAt, lifeSeconds } = await getTokens(client, renewals);
  driver.progress(`waits until access tokens that live ${lifeSeconds} s are about to be renewed`);
  await Promise.all([meanwhile(), driver.until(dueAt)]);
  driver.progress('calls the client while providers fail, with access tokens that are good and about to be renewed');
  await Promise.all(renewals.map(({ name, act }) => driver.act(name, act)));
  await callWhileGood(client, renewals, Math.min(endsAt - 1_000, Date.now() + RENEWAL_SECONDS * 1_000));
  await Promise.all(renewals.map(({ name }) => driver.act(name, 'good')));
  // Side by side: a client that keeps tokens for too long is asked for a minute, and not for one for each of them.
  await Promise.all(renewals.map(({ name }) => callUntilGranted(client, name)));
}

/**
 * Has the client get an access token of each provider, all at once: the time between the first and the last one is lost
 * to what is asked while all of them are good.
 *
 * @returns when the first one ends, in milliseconds, and when the renewal of the last one is due
 */
async function getTokens(
  { driver, call }: SimulatedClient,
  renewals: readonly Renewal[],
): Promise<{ endsAt: number; dueAt: Date; lifeSeconds: number }> {
  const skewSeconds = Math.max(0, ...driver.providers.map(({ skewSeconds: skew = 0 }) => skew));
  const { lifeSeconds, dueSeconds } = renewalTimes(skewSeconds);
  await Promise.all(renewals.map(({ name }) => driver.act(name, 'good', lifeSeconds)));
  const begun = Date.now();
  const had = await Promise.all(
    renewals.map(async ({ name }) => {
      const { at, durationMs } = await call('renewal', name, { act: 'good' });
      return Date.parse(at) + durationMs;
    }),
  );
  return {
    endsAt: begun + lifeSeconds * 1_000,
    dueAt: new Date(Math.max(begun, ...had) + dueSeconds * 1_000),
    lifeSeconds,
  };
}

/** Calls the failing providers until `end`, in milliseconds, while the access tokens are still good. */
async function callWhileGood(
  { driver, call }: SimulatedClient,
  renewals: readonly Renewal[],
  end: number,
): Promise<void> {
  const failing = renewals.filter(({ act }) => act !== 'silent');
  const silent = renewals.filter(({ act }) => act === 'silent');
  // All are called at once, while their tokens are good for certain: a client may be busy with each of them for as long
  // as its time limit. The call that may take longest comes a moment later, and is made beside the others.
  const first = Promise.all(failing.map(({ name, act }) => call('renewal', name, { act })));
  await Promise.race([first, driver.until(new Date(Date.now() + HEAD_START_MS))]);
  const unanswered = (async () => {
    // A client that waits for its time limit is not called again and again.
    for (let count = 0; count < SILENT_CALLS && Date.now() < end; count += 1) {
      for (const { name, act } of silent) {
        await call('renewal', name, { act });
      }
    }
  })();
  // It is awaited below; until then nobody else looks at it.
  unanswered.catch(() => undefined);
  await first;
  // All at one moment, as an agent's calls come.
  for (const { name, act, atOnce = 1 } of failing) {
    for (let count = 1; count < atOnce && Date.now() < end; count += 1) {
      await call('renewal', name, { act });
    }
  }
  for (let turn = 1; turn < RENEWAL_SECONDS && Date.now() < end; turn += 1) {
    await driver.until(new Date(Date.now() + 1_000));
    for (const { name, act } of failing) {
      if (Date.now() < end) {
        await call('renewal', name, { act });
      }
    }
  }
  await unanswered;
}

/** Calls until the provider gave another token, and a call succeeded with it. */
async function callUntilGranted(client: SimulatedClient, name: SimulatedName): Promise<void> {
  const { driver } = client;
  const from = (await driver.records()).findLastIndex((record) => record.kind === 'act' && record.provider === name);
  await client.callUntilRecovered(
    () => client.call('renewal', name, { act: 'good' }),
    async () =>
      (await driver.records())
        .slice(from)
        .some((record) => isTokenRequestTo(record, name) && record.accessToken !== undefined),
  );
}

/**
 * A cold call whose token request is never answered; while it hangs the provider is good again, and further calls are
 * made.
 */
async function leaveRequestHanging(client: SimulatedClient): Promise<void> {
  const { driver } = client;
  const callWhile = (act: Act): Promise<Call> => client.call('hanging', 'hanging', { act });
  driver.progress('calls the client while a token request is not answered');
  await driver.act('hanging', 'good');
  // So that only the token request hangs: where it goes is known by then.
  await callWhile('good');
  await driver.until(shortTokenEnd());
  await driver.act('hanging', 'silent');
  const from = (await driver.records()).length;
  const hanging = callWhile('silent');
  const ended = hanging.then(() => true);
  while (!(await driver.records()).slice(from).some((record) => isRequestTo(record, 'hanging'))) {
    if (await Promise.race([ended, delay(HANGING_POLL_MS, false)])) {
      break;
    }
  }
  await driver.act('hanging', 'good');
  await callWhile('good');
  await hanging;
  await client.callUntilRecovered(() => callWhile('good'));
}
