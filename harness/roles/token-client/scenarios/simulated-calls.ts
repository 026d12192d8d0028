import { setTimeout as delay } from 'node:timers/promises';
import type { ObserverRecord } from '../../../../fixtures/workloads/observer/records.ts';
import type { Act } from '../../../../fixtures/workloads/observer/simulated.ts';
import { SHORT_LIFE_SECONDS, type SimulatedName, type SimulatedSetup } from '../../../fakes/simulated-providers.ts';
import type { ClientCapability } from '../../../role-data/token-client/target-file.ts';
import type { SessionDriver } from '../driver.ts';
import type { Call } from '../record.ts';
import { type MakeCall, untilReloaded } from './session.ts';

/** A client is not asked to count seconds more exactly than that. */
const MARGIN_MS = 500;

/** Calls that are made at the same time, to see whether they share one exchange. */
const AT_ONCE = 5;

/** How often a client is called after an outage before it must have recovered: once a second at first, for a minute. */
const RECOVERY_CALLS = 20;

/** A client whose pauses have grown may ask again only after the longest of them. */
function recoveryPauseMs(count: number): number {
  return count < RECOVERY_CALLS / 2 ? 1_000 : 5_000;
}

/** Calls, once a second, within which a client asks its provider again after a failure. */
const PAUSE_CALLS = 10;

/** How long providers fail while tokens are about to be renewed. */
const RENEWAL_SECONDS = 9;

/** Calls of a provider that does not answer the renewal of a token that is good. */
const SILENT_CALLS = 2;

const HANGING_POLL_MS = 250;

/** What befalls the renewal of a token, and how many calls come at once then. */
const RENEWALS: { name: SimulatedName; act: Act; atOnce?: number }[] = [
  { name: 'renewal-refused', act: 'refusing' },
  { name: 'renewal-down', act: 'failing', atOnce: 20 },
  { name: 'renewal-limited', act: 'limiting' },
  { name: 'renewal-silent', act: 'silent' },
];

/** Up to here a client may take half of a token's life for the time before its end at which it renews it. */
const LONGEST_HALF_SECONDS = 60;

const SHORTEST_RENEWED_SECONDS = 28;

/**
 * How long access tokens live that are to be renewed soon, and when their renewal is due: so long before their end as
 * the client documents, or at half of their life, whatever comes later. Then there is time left in which they are good.
 */
export function renewalTimes(skewSeconds: number): { lifeSeconds: number; dueSeconds: number } {
  const lifeSeconds = Math.max(SHORTEST_RENEWED_SECONDS, skewSeconds + 6);
  const half = skewSeconds > LONGEST_HALF_SECONDS ? 0 : lifeSeconds / 2;
  return { lifeSeconds, dueSeconds: Math.max(half, skewSeconds === 0 ? 0 : lifeSeconds - skewSeconds) + 1 };
}

function isRequestTo(record: ObserverRecord, name: SimulatedName): boolean {
  return (record.kind === 'exchange' || record.kind === 'provider') && record.provider === name;
}

export interface SimulatedCalls {
  /** To be made in this order, one after another; short, so that they find their place between other calls. */
  parts: (() => Promise<void>)[];
  /** The call of a provider before its outage. */
  beforeOutage(): Promise<void>;
  /**
   * Providers fail while the client has a token of theirs that is good for some more seconds and that it is about to
   * renew; then one never answers a cold call.
   *
   * @param meanwhile done while the tokens are not yet about to be renewed
   * @returns false where the client is not asked
   */
  renewals(meanwhile: () => Promise<void>): Promise<boolean>;
  /**
   * It closes connections, answers 503, does not answer at all, and is good again: last, since a client may not survive
   * it.
   */
  outage(): Promise<void>;
}

/**
 * The calls of the simulated providers that the client is configured for.
 *
 * @param subjectLifeSeconds seconds that the subject tokens live
 */
export function callsOfSimulatedProviders(
  driver: SessionDriver,
  call: MakeCall,
  subjectLifeSeconds: number,
): SimulatedCalls {
  const [first, second] = driver.providers.map(({ tokenPath }) => tokenPath);
  const setupOf = (name: SimulatedName): SimulatedSetup | undefined =>
    driver.simulated.find((setup) => setup.name === name);
  const expired: Partial<Record<SimulatedName, number>> = {};
  const untilExpired = (name: SimulatedName): Promise<void> => driver.until(new Date(expired[name] ?? Date.now()));
  const forSimulated = (name: SimulatedName, ...parts: (() => Promise<void>)[]): (() => Promise<void>)[] =>
    setupOf(name) === undefined ? [] : parts;
  const can = (capability: ClientCapability, ...parts: (() => Promise<void>)[]): (() => Promise<void>)[] =>
    driver.capabilities.includes(capability) ? parts : [];
  const once = (name: SimulatedName): (() => Promise<void>)[] =>
    forSimulated(name, async () => {
      await call('simulated', name);
    });
  const shortLived = (name: SimulatedName) => async (): Promise<void> => {
    await untilExpired(name);
    await call('simulated', name);
    expired[name] = Date.now() + SHORT_LIFE_SECONDS * 1000 + MARGIN_MS;
  };
  const swapped = (from = ''): (() => Promise<void>)[] =>
    forSimulated('swapped', async () => {
      await untilExpired('swapped');
      await driver.project(from, setupOf('swapped')?.tokenPath ?? '');
      await untilReloaded(driver, subjectLifeSeconds);
      await shortLived('swapped')();
    });
  /**
   * Calls once, and again, once a second, until so many such records came after the first `from`: clients pause after
   * failures.
   */
  const untilSeen = async (
    wanted: (record: ObserverRecord) => boolean,
    times: number,
    again: () => Promise<Call>,
    from = 0,
  ): Promise<void> => {
    for (let count = 0; count < PAUSE_CALLS; count += 1) {
      const { unanswered = false } = await again();
      if (unanswered || (await driver.records()).slice(from).filter(wanted).length >= times) {
        return;
      }
      await driver.until(new Date(Date.now() + 1_000));
    }
  };
  const redirecting = (name: SimulatedName): (() => Promise<void>)[] =>
    forSimulated(name, async () => {
      await call('simulated', name);
      // By the other redirect. A client that is started for each call makes more than one request in it; one that stays
      // may pause first.
      if (driver.startsForEachCall === true) {
        return;
      }
      if (name === 'redirecting-server') {
        await call('simulated', name);
      } else {
        await untilSeen(
          (one) => one.kind === 'exchange' && one.provider === name,
          2,
          () => call('simulated', name),
        );
      }
    });
  // A file of their own is there from now on and never swapped: what a client makes of a rotation is seen elsewhere.
  let put: Promise<void> | undefined;
  const putSimulatedTokens = (): Promise<void> => {
    const paths = new Set(driver.simulated.flatMap(({ name, tokenPath }) => (name === 'swapped' ? [] : [tokenPath])));
    const own = [...paths].filter((path) => ![first, second].includes(path));
    const padded = setupOf('padded')?.tokenPath;
    const putOne = (path: string): Promise<void> => (path === padded ? driver.pad : driver.copy)(second ?? '', path);
    put ??= Promise.all(own.map(putOne)).then(() => undefined);
    return put;
  };
  const parts = [
    putSimulatedTokens,
    ...once('plain'),
    ...once('padded'),
    ...swapped(first),
    ...forSimulated('no-expiry', shortLived('no-expiry')),
    ...can('discovery', ...once('other-issuer'), ...once('other-slash'), ...once('tenant')),
    ...once('untrusted'),
    ...redirecting('redirecting-endpoint'),
    ...redirecting('redirecting-server'),
    ...once('refusing'),
    ...once('revoking'),
    ...forSimulated('revoking', async () => {
      await driver.act('revoking', 'refuse-next-token');
      await call('simulated', 'revoking', { act: 'refuse-next-token' });
      await driver.act('revoking', 'refuse-tokens');
      await call('simulated', 'revoking', { act: 'refuse-tokens' });
    }),
    ...can(
      'resident',
      ...forSimulated('slow', async () => {
        await Promise.all(Array.from({ length: AT_ONCE }, () => call('simulated', 'slow')));
      }),
    ),
    ...can('token_exchange', ...once('exchange'), ...once('exchange-audience')),
    ...can('client_credentials', ...once('client-assertion')),
    ...swapped(second),
    ...forSimulated('no-expiry', shortLived('no-expiry')),
    // Once more: who watches the file is told of the first swap, by the end of what it watches.
    ...swapped(first),
  ];
  const beforeOutage = async (): Promise<void> => {
    if (setupOf('outage') === undefined) {
      return;
    }
    await putSimulatedTokens();
    await call('outage', 'outage', { act: 'good' });
    expired.outage = Date.now() + SHORT_LIFE_SECONDS * 1000 + MARGIN_MS;
  };
  const outage = async (): Promise<void> => {
    if (setupOf('outage') === undefined) {
      return;
    }
    await untilExpired('outage');
    for (const act of ['closed', 'failing', 'silent'] as const) {
      await driver.act('outage', act);
      const again = (): Promise<Call> => call('outage', 'outage', { act });
      if (driver.startsForEachCall === true) {
        await again();
      } else {
        await untilSeen((one) => isRequestTo(one, 'outage'), 1, again, (await driver.records()).length);
      }
    }
    await driver.act('outage', 'good');
    for (let count = 0; count < RECOVERY_CALLS; count += 1) {
      const { ok, unanswered = false } = await call('outage', 'outage', { act: 'good' });
      if (ok || unanswered) {
        return;
      }
      await driver.until(new Date(Date.now() + recoveryPauseMs(count)));
    }
  };
  const renewals = async (meanwhile: () => Promise<void>): Promise<boolean> => {
    if (driver.startsForEachCall === true || !driver.capabilities.includes('resident')) {
      await meanwhile();
      return false;
    }
    await putSimulatedTokens();
    const asked = RENEWALS.filter(({ name }) => setupOf(name) !== undefined);
    if (asked.length > 0) {
      await failingRenewals(asked, meanwhile);
    } else {
      await meanwhile();
    }
    if (setupOf('hanging') !== undefined) {
      await hanging();
    }
    return asked.length > 0;
  };
  const failingRenewals = async (asked: typeof RENEWALS, meanwhile: () => Promise<void>): Promise<void> => {
    const skewSeconds = Math.max(0, ...driver.providers.map(({ skewSeconds = 0 }) => skewSeconds));
    const { lifeSeconds, dueSeconds } = renewalTimes(skewSeconds);
    // The tokens are had one after another: the first one ends first, and the last one is due last.
    const begun = Date.now();
    let due = begun;
    for (const { name } of asked) {
      await driver.act(name, 'good', lifeSeconds);
      const first = await call('renewal', name, { act: 'good' });
      due = Date.parse(first.at) + first.durationMs + dueSeconds * 1_000;
    }
    driver.progress(`waits until access tokens that live ${lifeSeconds} s are about to be renewed`);
    await Promise.all([meanwhile(), driver.until(new Date(due))]);
    driver.progress('calls the client while providers fail, with access tokens that are good and about to be renewed');
    for (const { name, act } of asked) {
      await driver.act(name, act);
    }
    const end = Math.min(begun + (lifeSeconds - 1) * 1_000, Date.now() + RENEWAL_SECONDS * 1_000);
    const failing = asked.filter(({ act }) => act !== 'silent');
    const silent = asked.filter(({ act }) => act === 'silent');
    // Each is called at once, while its token is good for certain, and what may take long is called beside the others.
    for (const { name, act } of failing) {
      await call('renewal', name, { act });
    }
    const held = (async () => {
      // A client that waits for its time limit is not called again and again.
      for (let count = 0; count < SILENT_CALLS && Date.now() < end; count += 1) {
        for (const { name, act } of silent) {
          await call('renewal', name, { act });
        }
      }
    })();
    // It is awaited below; until then nobody else looks at it.
    held.catch(() => undefined);
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
    await held;
    for (const { name } of asked) {
      await driver.act(name, 'good');
    }
    for (const { name } of asked) {
      await untilGranted(name);
    }
  };
  /** Calls until the provider gave another token, and a call succeeded with it. */
  const untilGranted = async (name: SimulatedName): Promise<void> => {
    const from = (await driver.records()).findLastIndex((one) => one.kind === 'act' && one.provider === name);
    for (let count = 0; count < RECOVERY_CALLS; count += 1) {
      const { ok, unanswered = false } = await call('renewal', name, { act: 'good' });
      if (unanswered) {
        return;
      }
      const granted = (await driver.records())
        .slice(from)
        .some((one) => one.kind === 'exchange' && one.provider === name && one.accessToken !== undefined);
      if (ok && granted) {
        return;
      }
      await driver.until(new Date(Date.now() + recoveryPauseMs(count)));
    }
  };
  /**
   * A cold call whose token request is never answered; while it hangs the provider is good again, and further calls are
   * made.
   */
  const hanging = async (): Promise<void> => {
    driver.progress('calls the client while a token request is not answered');
    await driver.act('hanging', 'good');
    // So that only the token request hangs: where it goes is known by then.
    await call('hanging', 'hanging', { act: 'good' });
    await driver.until(new Date(Date.now() + SHORT_LIFE_SECONDS * 1_000 + MARGIN_MS));
    await driver.act('hanging', 'silent');
    const from = (await driver.records()).length;
    const first = call('hanging', 'hanging', { act: 'silent' });
    const ended = first.then(() => true);
    while (!(await driver.records()).slice(from).some((record) => isRequestTo(record, 'hanging'))) {
      if (await Promise.race([ended, delay(HANGING_POLL_MS, false)])) {
        break;
      }
    }
    await driver.act('hanging', 'good');
    await call('hanging', 'hanging', { act: 'good' });
    await first;
    for (let count = 0; count < RECOVERY_CALLS; count += 1) {
      const { ok, unanswered = false } = await call('hanging', 'hanging', { act: 'good' });
      if (ok || unanswered) {
        return;
      }
      await driver.until(new Date(Date.now() + recoveryPauseMs(count)));
    }
  };
  return { parts, renewals, beforeOutage, outage };
}
