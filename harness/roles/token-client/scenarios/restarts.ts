/**
 * A client that is started anew with the cache that it left: TR-32, TR-33 and TR-34. A session of its own, since it
 * costs a pod for each start.
 */

import { Heartbeat, type Stall } from '../../../../fixtures/workloads/lib/heartbeat.ts';
import type { ObserverRecord } from '../../../../fixtures/workloads/observer/records.ts';
import { HarnessError } from '../../../core/errors.ts';
import { redact } from '../../../core/redact.ts';
import { SIMULATED_HOSTS, type SimulatedSetup, simulatedSetups } from '../../../fakes/simulated-providers.ts';
import {
  CACHE_PROVIDERS,
  type CacheCall,
  type CacheProvider,
  type CacheProviderName,
  type CacheSession,
  clientOf,
  FRESH,
  STARTS,
  type Start,
} from '../cache-record.ts';

/** How a driver knows the simulated providers of an observer on `port`, for a client whose token is at `tokenPath`. */
export function simulatedSetupBy(port: number, tokenPath: string): CacheDriver['setup'] {
  const setups = simulatedSetups({ hosts: SIMULATED_HOSTS, port, tokenPath, swappedPath: tokenPath });
  return (simulated) => {
    const setup = setups.find(({ name }) => name === simulated);
    if (setup === undefined) {
      throw new HarnessError(`nobody simulates the provider ${simulated}`);
    }
    return setup;
  };
}

/** How the session starts the client and reaches those who watch it. */
export interface CacheDriver {
  /** Every call starts the client anew, which takes its time: one call after each start is enough. */
  startsForEachCall?: true;
  /** Providers that the client cannot be configured for, since it has no such setting; absent: none. */
  without?: readonly CacheProviderName[];
  /** How the client is configured for the two simulated providers by default. */
  setup(simulated: CacheProvider['simulated']): SimulatedSetup;
  /**
   * Starts the client in the place of the one before, which has ended. For `corrupt` every file of the kept cache is
   * overwritten first.
   *
   * @returns why it cannot be called, where it ended by itself
   */
  start(start: Start, providers: CacheProvider[]): Promise<string | undefined>;
  /** Ends it, and makes sure that it has ended; its kept cache stays. */
  end(): Promise<void>;
  /** Lets the client make one call; resolves to `undefined` when it has not answered within `patienceMs`. */
  call(provider: string, patienceMs: number): Promise<{ ok: boolean; error?: string } | undefined>;
  /**
   * Lets the observer write down that another start or call begins: as what it was told, see
   * {@link CacheSession.marks}.
   */
  mark(): Promise<void>;
  /** How many files were overwritten for `corrupt`. */
  corruptFiles(): number;
  records(): Promise<ObserverRecord[]>;
  stalls(): Promise<Stall[]>;
  progress(message: string): void;
}

/** Calls of one provider after each start. */
const CALLS = 2;

/**
 * The providers that are called after each start: those that are evaluated by it, since a call may be the start of a
 * process.
 */
const CALLED: Record<Start, readonly string[]> = {
  kept: [...CACHE_PROVIDERS, FRESH],
  replaced: CACHE_PROVIDERS,
  emptied: ['same'],
  corrupt: ['same', FRESH],
  unwritable: ['same', FRESH],
};

/** Drives the client through every start, and returns what was seen. */
export async function driveCacheSession(driver: CacheDriver, patienceMs: number): Promise<CacheSession> {
  const heartbeat = new Heartbeat('the harness').start();
  const calls: CacheCall[] = [];
  const failedStarts: CacheSession['failedStarts'] = [];
  const begun: Omit<CacheSession['marks'][number], 'place'>[] = [];
  const { without = [] } = driver;
  // Compared with any name that is called.
  const isLeftOut = (name: string): boolean => without.some((one) => one === name);
  for (const start of STARTS) {
    driver.progress(`starts the client: its cache is ${start}`);
    const from = Date.now();
    begun.push({ start });
    await driver.mark();
    const providers = providersOf(driver, start).filter(({ name }) => !isLeftOut(name));
    const reason = await driver.start(start, providers);
    if (reason === undefined) {
      for (const provider of CALLED[start].filter((name) => !isLeftOut(name))) {
        for (let count = 0; count < (driver.startsForEachCall === true ? 1 : CALLS); count += 1) {
          await driver.mark();
          const began = Date.now();
          const answer = await driver.call(provider, patienceMs);
          const error = answer === undefined ? `no answer within ${patienceMs / 1000} s` : answer.error;
          const call = {
            start,
            provider,
            at: new Date(began).toISOString(),
            durationMs: Date.now() - began,
            ok: answer?.ok ?? false,
            ...(error === undefined ? {} : { error: redact(error) }),
          };
          calls.push(call);
          begun.push({ start, call });
        }
      }
    } else {
      failedStarts.push({
        start,
        reason: redact(reason),
        from: new Date(from).toISOString(),
        to: new Date().toISOString(),
      });
    }
    await driver.end();
  }
  const [records, stalls] = await Promise.all([driver.records(), driver.stalls()]);
  heartbeat.stop();
  return {
    calls,
    without,
    // Nobody else tells the observer anything: what it was told are these, in their order.
    marks: records
      .filter(({ kind }) => kind === 'act')
      .flatMap(({ place = 0 }, index) => {
        const mark = begun[index];
        return mark === undefined ? [] : [{ ...mark, place }];
      }),
    failedStarts,
    corruptFiles: driver.corruptFiles(),
    exchanges: records.filter((record) => record.kind === 'exchange'),
    resources: records.filter((record) => record.kind === 'resource'),
    stalls: [...heartbeat.stalls(), ...stalls],
  };
}

/**
 * The configuration of a start: after the first one, three providers keep their name and are otherwise than they were.
 */
function providersOf(driver: CacheDriver, start: Start): CacheProvider[] {
  const { name: _name, ...usual } = driver.setup('cached');
  const { name: _other, ...elsewhere } = driver.setup('cached-elsewhere');
  const provider = (name: CacheProviderName | typeof FRESH, change: Partial<CacheProvider> = {}): CacheProvider => ({
    ...usual,
    clientId: clientOf(name, start),
    authFlow: name === 'audience' ? 'token_exchange' : 'jwt_bearer',
    ...(name === 'audience' ? { tokenExchangeAudience: 'models' } : {}),
    name,
    simulated: 'cached',
    ...change,
  });
  const first = start === 'kept';
  return [
    provider('same'),
    provider('issuer', first ? {} : { issuer: elsewhere.issuer, simulated: 'cached-elsewhere' }),
    provider('client'),
    provider('audience', first ? {} : { tokenExchangeAudience: 'other-models' }),
    provider(FRESH),
  ];
}
