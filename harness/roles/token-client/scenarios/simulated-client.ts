import type { ExchangeRecord, ObserverRecord } from '../../../../fixtures/workloads/observer/records.ts';
import { SHORT_LIFE_SECONDS, type SimulatedName, type SimulatedSetup } from '../../../fakes/simulated-providers.ts';
import type { SessionDriver } from '../driver.ts';
import type { Call } from '../record.ts';
import type { MakeCall } from './calls.ts';
import { untilReloaded } from './session-plan.ts';

/** A client is not asked to count seconds more exactly than that. */
const MARGIN_MS = 500;

/** How often a client is called after an outage before it must have recovered: once a second at first, for a minute. */
const RECOVERY_CALLS = 20;

/** A client whose pauses have grown may ask again only after the longest of them. */
function recoveryPauseMs(count: number): number {
  return count < RECOVERY_CALLS / 2 ? 1_000 : 5_000;
}

/** Calls, once a second, within which a client asks its provider again after a failure. */
const PAUSE_CALLS = 10;

/** A client that is configured for simulated providers, and what all calls of these have in common. */
export class SimulatedClient {
  readonly driver: SessionDriver;
  readonly call: MakeCall;
  readonly #subjectLifeSeconds: number;
  /** When the short-lived access token that the client got last from a provider has ended, in milliseconds. */
  readonly #endsAt: Partial<Record<SimulatedName, number>> = {};
  #tokensPut: Promise<void> | undefined;

  /** @param subjectLifeSeconds seconds that the subject tokens live */
  constructor(driver: SessionDriver, call: MakeCall, subjectLifeSeconds: number) {
    this.driver = driver;
    this.call = call;
    this.#subjectLifeSeconds = subjectLifeSeconds;
  }

  get startsForEachCall(): boolean {
    return this.driver.startsForEachCall === true;
  }

  isConfiguredFor(name: SimulatedName): boolean {
    return this.#setupOf(name) !== undefined;
  }

  /**
   * Puts the token files of the simulated providers in place, once. They are never swapped from then on: what a client
   * makes of a rotation is seen elsewhere.
   */
  putTokens(): Promise<void> {
    this.#tokensPut ??= this.#copyTokens();
    return this.#tokensPut;
  }

  /** Swaps the token file of the provider `swapped`, and calls it once the client must have read the new token. */
  async swapToken(from: string): Promise<void> {
    await this.untilTokenEnds('swapped');
    await this.driver.project(from, this.#setupOf('swapped')?.tokenPath ?? '');
    await untilReloaded(this.driver, this.#subjectLifeSeconds);
    await this.callWithNewToken('swapped');
  }

  /** Calls a provider whose access tokens are short-lived, once the last one has ended. */
  async callWithNewToken(name: SimulatedName): Promise<void> {
    await this.untilTokenEnds(name);
    await this.call('simulated', name);
    this.noteShortToken(name);
  }

  /** The client has just got a short-lived access token of this provider. */
  noteShortToken(name: SimulatedName): void {
    this.#endsAt[name] = shortTokenEnd().getTime();
  }

  /** Waits until the last short-lived access token of this provider has ended. */
  untilTokenEnds(name: SimulatedName): Promise<void> {
    return this.driver.until(new Date(this.#endsAt[name] ?? Date.now()));
  }

  /**
   * Calls once, and again, once a second, until so many such records came after the first `from`: clients pause after
   * failures.
   */
  async callUntilSeen(
    isWanted: (record: ObserverRecord) => boolean,
    times: number,
    again: () => Promise<Call>,
    from = 0,
  ): Promise<void> {
    for (let count = 0; count < PAUSE_CALLS; count += 1) {
      const { unanswered = false } = await again();
      if (unanswered || (await this.driver.records()).slice(from).filter(isWanted).length >= times) {
        return;
      }
      await this.driver.until(new Date(Date.now() + 1_000));
    }
  }

  /**
   * Calls again and again after a failure of the provider until the client has recovered.
   *
   * @param isRecovered what a successful call has to have brought about; absent: nothing else
   */
  async callUntilRecovered(
    again: () => Promise<Call>,
    isRecovered: () => Promise<boolean> = async () => true,
  ): Promise<void> {
    for (let count = 0; count < RECOVERY_CALLS; count += 1) {
      const { ok, unanswered = false } = await again();
      if (unanswered || (ok && (await isRecovered()))) {
        return;
      }
      await this.driver.until(new Date(Date.now() + recoveryPauseMs(count)));
    }
  }

  #setupOf(name: SimulatedName): SimulatedSetup | undefined {
    return this.driver.simulated.find((setup) => setup.name === name);
  }

  async #copyTokens(): Promise<void> {
    const { simulated, providers, copy, pad } = this.driver;
    const [first, second] = providers.map(({ tokenPath }) => tokenPath);
    const paths = new Set(simulated.flatMap(({ name, tokenPath }) => (name === 'swapped' ? [] : [tokenPath])));
    const own = [...paths].filter((path) => ![first, second].includes(path));
    const padded = this.#setupOf('padded')?.tokenPath;
    await Promise.all(own.map((path) => (path === padded ? pad : copy)(second ?? '', path)));
  }
}

/** When a short-lived access token that was issued now has ended for certain. */
export function shortTokenEnd(): Date {
  return new Date(Date.now() + SHORT_LIFE_SECONDS * 1_000 + MARGIN_MS);
}

/** Whether it is a request of the client to this provider, for a token or for its metadata. */
export function isRequestTo(record: ObserverRecord, name: SimulatedName): boolean {
  return isTokenRequestTo(record, name) || (record.kind === 'provider' && record.provider === name);
}

export function isTokenRequestTo(record: ObserverRecord, name: SimulatedName): record is ExchangeRecord {
  return record.kind === 'exchange' && record.provider === name;
}
