import { type PlayedName, SHORT_LIFE_SECONDS } from '../environment/resource-server/played-providers.ts';
import type { ClientCapability, MakeCall, SessionDriver } from './client-session.ts';

/** A client is not asked to count seconds more exactly than that. */
const MARGIN_MS = 500;

/** Calls that are made at the same time, to see whether they share one exchange. */
const AT_ONCE = 5;

/** How often a client is called after an outage before it must have recovered, once a second. */
const RECOVERY_CALLS = 10;

interface PlayedCalls {
  /** To be made in this order, one after another; short, so that they find their place between other calls. */
  parts: (() => Promise<void>)[];
  /** A provider closes connections, answers 503, does not answer at all, and is good again: last, since a client may not survive it. */
  outage(): Promise<void>;
}

/** The calls of the played providers. */
export function callsOfPlayedProviders(driver: SessionDriver, call: MakeCall): PlayedCalls {
  if (driver.played.length === 0) return { parts: [], outage: async () => {} };
  const once = (name: PlayedName) => async (): Promise<void> => {
    await call('played', name);
  };
  const can = (capability: ClientCapability, ...parts: (() => Promise<void>)[]): (() => Promise<void>)[] =>
    driver.capabilities.includes(capability) ? parts : [];
  const [first, second] = driver.providers.map(({ tokenPath }) => tokenPath);
  const swappedPath = driver.played.find(({ name }) => name === 'swapped')?.tokenPath ?? '';
  const project = (from = ''): Promise<void> => driver.project(from, swappedPath);
  const expired: Partial<Record<PlayedName, number>> = {};
  const shortLived = (name: PlayedName) => async (): Promise<void> => {
    await call('played', name);
    expired[name] = Date.now() + SHORT_LIFE_SECONDS * 1000 + MARGIN_MS;
  };
  const swapped = (path: string | undefined) => async (): Promise<void> => {
    await untilExpired('swapped');
    await project(path);
    await shortLived('swapped')();
  };
  const untilExpired = (name: PlayedName): Promise<void> => driver.until(new Date(expired[name] ?? Date.now()));
  const tokenPath = driver.played.find(({ name }) => name === 'plain')?.tokenPath ?? '';
  const parts = [
    async () => {
      // A file of their own is there from now on and never swapped: what a client makes of a rotation is seen elsewhere.
      if (second !== undefined && ![first, second].includes(tokenPath)) await driver.copy(second, tokenPath);
      await call('played', 'plain');
    },
    swapped(first),
    shortLived('no-expiry'),
    ...can('discovery', once('other-issuer'), once('tenant'), once('stranger')),
    once('redirecting-endpoint'),
    once('redirecting-server'),
    once('refusing'),
    once('revoking'),
    async () => {
      await driver.act('revoking', 'refuse-next-token');
      await call('played', 'revoking', { act: 'refuse-next-token' });
      await driver.act('revoking', 'refuse-tokens');
      await call('played', 'revoking', { act: 'refuse-tokens' });
    },
    ...can('resident', async () => {
      await Promise.all(Array.from({ length: AT_ONCE }, () => call('played', 'slow')));
    }),
    ...can('token_exchange', once('exchange'), once('exchange-audience')),
    swapped(second),
    async () => {
      await untilExpired('no-expiry');
      await call('played', 'no-expiry');
    },
    // Once more: who watches the file is told of the first swap, by the end of what it watches.
    swapped(first),
    async () => {
      await call('outage', 'outage', { act: 'good' });
      expired.outage = Date.now() + SHORT_LIFE_SECONDS * 1000 + MARGIN_MS;
    },
  ];
  const outage = async (): Promise<void> => {
    await untilExpired('outage');
    for (const act of ['closed', 'failing', 'silent'] as const) {
      await driver.act('outage', act);
      await call('outage', 'outage', { act });
    }
    await driver.act('outage', 'good');
    for (let count = 0; count < RECOVERY_CALLS; count += 1) {
      const { ok, unanswered = false } = await call('outage', 'outage', { act: 'good' });
      if (ok || unanswered) return;
      await driver.until(new Date(Date.now() + 1_000));
    }
  };
  return { parts, outage };
}
