/** What was seen of a token client that is started anew with the cache that it left, and what can be asked of it. */

import type { Stall } from '../../../fixtures/workloads/lib/heartbeat.ts';
import type { ExchangeRecord, ResourceRecord } from '../../../fixtures/workloads/observer/records.ts';
import type { SimulatedSetup } from '../../fakes/simulated-providers.ts';

/**
 * One start of the client: with a cache that is new and `kept` for the next starts; in a pod that `replaced` the first
 * one, where some providers are configured otherwise under the same name; with a cache of its pod's own
 * (`emptied`); with the kept one, which cannot be written (`unwritable`); with the kept one, of which every file was
 * made `corrupt`: last, since nobody repairs it.
 */
export const STARTS = ['kept', 'replaced', 'emptied', 'unwritable', 'corrupt'] as const;

export type Start = (typeof STARTS)[number];

/** What a provider of the client's configuration is to a start. */
export interface CacheProvider extends Omit<SimulatedSetup, 'name'> {
  /** Under which the client knows it. */
  name: string;
  /** The simulated provider that it is. */
  simulated: 'cached' | 'cached-elsewhere';
}

/**
 * The names under which the client knows its providers; all but the first one are configured otherwise after the first
 * start.
 */
export const CACHE_PROVIDERS = ['same', 'issuer', 'client', 'audience'] as const;

export type CacheProviderName = (typeof CACHE_PROVIDERS)[number];

/** A provider that is not in the cache until a start calls it. */
export const FRESH = 'fresh';

export interface CacheCall {
  start: Start;
  provider: string;
  at: string;
  durationMs: number;
  ok: boolean;
  error?: string;
}

export interface CacheSession {
  /** Providers that the client could not be configured for: it has no such setting. */
  without: readonly CacheProviderName[];
  calls: CacheCall[];
  /** Where in the observer's records each start began, and each call. */
  marks: { start: Start; call?: CacheCall; place: number }[];
  /** Starts that did not come to where the client can be called, with why. */
  failedStarts: { start: Start; reason: string; from: string; to: string }[];
  /** How many files of the kept cache were made corrupt. */
  corruptFiles: number;
  exchanges: ExchangeRecord[];
  resources: ResourceRecord[];
  stalls: Stall[];
}

/** The client of a provider: each has one of its own, so that none can take the token of another. */
export function clientOf(provider: string, start: Start): string {
  if (provider === FRESH) {
    return `client-${provider}-${start}`;
  }
  return provider === 'client' && start !== 'kept' ? 'client-client-2' : `client-${provider}`;
}

export function callsOfStart({ calls }: CacheSession, start: Start, provider: string): CacheCall[] {
  return calls.filter((call) => call.start === start && call.provider === provider);
}

/**
 * Of a provider in a start, told by its client: a client that is one process for all its calls may have made them
 * before the first.
 */
export function exchangesOfStart(session: CacheSession, start: Start, provider: string): ExchangeRecord[] {
  const begun = session.marks.findIndex((mark) => mark.start === start && mark.call === undefined);
  const next = session.marks.slice(begun + 1).find(({ call }) => call === undefined);
  if (begun < 0) {
    return [];
  }
  const [from = 0, to = Number.POSITIVE_INFINITY] = [session.marks[begun]?.place, next?.place];
  const granted = session.exchanges.filter(({ accessToken }) => accessToken !== undefined);
  // A client that can be given no client id cannot be told by it.
  if (session.without.includes('client')) {
    return duringCalls(session, granted, callsOfStart(session, start, provider));
  }
  return granted.filter(
    ({ parameters, place = -1 }) =>
      place >= from && place < to && parameters.client_id?.[0] === clientOf(provider, start),
  );
}

/** Calls are made one after another, so that what was recorded between two marks is of the call between them. */
export function duringCalls<R extends { place?: number }>({ marks }: CacheSession, records: R[], of: CacheCall[]): R[] {
  return of.flatMap((call) => {
    const index = marks.findIndex((mark) => mark.call === call);
    const [from = 0, to = Number.POSITIVE_INFINITY] = [marks[index]?.place, marks[index + 1]?.place];
    return index < 0 ? [] : records.filter(({ place = -1 }) => place >= from && place < to);
  });
}
