import { SHORT_LIFE_SECONDS, type SimulatedName, type SimulatedSetup } from '../../../fakes/simulated-providers.ts';
import type { ClientCapability } from '../../../targets/schema/token-client.ts';
import type { SessionDriver } from '../driver.ts';
import { type MakeCall, untilReloaded } from './session.ts';

/** A client is not asked to count seconds more exactly than that. */
const MARGIN_MS = 500;

/** Calls that are made at the same time, to see whether they share one exchange. */
const AT_ONCE = 5;

/** How often a client is called after an outage before it must have recovered, once a second. */
const RECOVERY_CALLS = 10;

interface SimulatedCalls {
  /** To be made in this order, one after another; short, so that they find their place between other calls. */
  parts: (() => Promise<void>)[];
  /** The call of a provider before its outage. */
  beforeOutage(): Promise<void>;
  /** It closes connections, answers 503, does not answer at all, and is good again: last, since a client may not survive it. */
  outage(): Promise<void>;
}

/** The calls of the simulated providers that the client is configured for. */
export function callsOfSimulatedProviders(driver: SessionDriver, call: MakeCall): SimulatedCalls {
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
      await untilReloaded(driver);
      await shortLived('swapped')();
    });
  const redirecting = (name: SimulatedName): (() => Promise<void>)[] =>
    forSimulated(name, async () => {
      await call('simulated', name);
      // By the other redirect. A client that is started for each call makes more than one request in it.
      if (driver.startsForEachCall !== true) await call('simulated', name);
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
    if (setupOf('outage') === undefined) return;
    await putSimulatedTokens();
    await call('outage', 'outage', { act: 'good' });
    expired.outage = Date.now() + SHORT_LIFE_SECONDS * 1000 + MARGIN_MS;
  };
  const outage = async (): Promise<void> => {
    if (setupOf('outage') === undefined) return;
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
  return { parts, beforeOutage, outage };
}
