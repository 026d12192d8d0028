/**
 * A client that is started anew with the cache that it left: TR-32, TR-33 and TR-34. A session of its own, since it costs a pod for each
 * start.
 */

import { Heartbeat, type Stall } from '../../../../fixtures/workloads/lib/heartbeat.ts';
import type {
  ExchangeRecord,
  ObserverRecord,
  ResourceRecord,
} from '../../../../fixtures/workloads/observer/records.ts';
import { HarnessError } from '../../../core/errors.ts';
import { type Finding, unlessStalled } from '../../../core/findings.ts';
import { redact } from '../../../core/redact.ts';
import { PLAYED_HOSTS, type PlayedSetup, playedSetups } from '../../../fakes/simulated-providers.ts';

/**
 * One start of the client: with a cache that is new and `kept` for the next starts; in a pod that `replaced` the first one, where some
 * providers are configured otherwise under the same name; with a cache of its pod's own (`emptied`); with the kept one, which cannot be
 * written (`unwritable`); with the kept one, of which every file was made `corrupt`: last, since nobody mends it.
 */
const STARTS = ['kept', 'replaced', 'emptied', 'unwritable', 'corrupt'] as const;
export type Start = (typeof STARTS)[number];

/** What a provider of the client's configuration is to a start. */
export interface CacheProvider extends Omit<PlayedSetup, 'name'> {
  /** Under which the client knows it. */
  name: string;
  /** The played provider that it is. */
  played: 'cached' | 'cached-elsewhere';
}

/** The names under which the client knows its providers; all but the first one are configured otherwise after the first start. */
export const CACHE_PROVIDERS = ['same', 'issuer', 'client', 'audience'] as const;
type CacheProviderName = (typeof CACHE_PROVIDERS)[number];

/** A provider that is not in the cache until a start calls it. */
const FRESH = 'fresh';

export interface CacheCall {
  start: Start;
  provider: string;
  at: string;
  durationMs: number;
  ok: boolean;
  error?: string;
}

export interface CacheSession {
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

/** How a driver knows the played providers of an observer on `port`, for a client whose token is at `tokenPath`. */
export function playedSetupBy(port: number, tokenPath: string): CacheDriver['setup'] {
  const setups = playedSetups({ hosts: PLAYED_HOSTS, port, tokenPath, swappedPath: tokenPath });
  return (played) => {
    const setup = setups.find(({ name }) => name === played);
    if (setup === undefined) throw new HarnessError(`nobody plays the provider ${played}`);
    return setup;
  };
}

/** How the session starts the client and reaches those who watch it. */
export interface CacheDriver {
  /** Every call starts the client anew, which takes its time: one call after each start is enough. */
  startsForEachCall?: true;
  /** How the client is configured for the two played providers by default. */
  setup(played: CacheProvider['played']): PlayedSetup;
  /**
   * Starts the client in the place of the one before, which has ended. For `corrupt` every file of the kept cache is overwritten first.
   *
   * @returns why it cannot be called, where it ended by itself
   */
  start(start: Start, providers: CacheProvider[]): Promise<string | undefined>;
  /** Ends it, and makes sure that it has ended; its kept cache stays. */
  end(): Promise<void>;
  /** Lets the client make one call; resolves to `undefined` when it has not answered within `patienceMs`. */
  call(provider: string, patienceMs: number): Promise<{ ok: boolean; error?: string } | undefined>;
  /** Lets the observer write down that another start or call begins: as what it was told, see {@link CacheSession.marks}. */
  mark(): Promise<void>;
  /** How many files were overwritten for `corrupt`. */
  corruptFiles(): number;
  records(): Promise<ObserverRecord[]>;
  stalls(): Promise<Stall[]>;
  progress(message: string): void;
}

/** Calls of one provider after each start. */
const CALLS = 2;

/** The providers that are called after each start: those that are judged by it, since a call may be the start of a process. */
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
  for (const start of STARTS) {
    driver.progress(`starts the client: its cache is ${start}`);
    const from = Date.now();
    begun.push({ start });
    await driver.mark();
    const reason = await driver.start(start, providersOf(driver, start));
    if (reason === undefined) {
      for (const provider of CALLED[start]) {
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

/** The client of a provider: each has one of its own, so that none can take the token of another. */
function clientOf(provider: string, start: Start): string {
  if (provider === FRESH) return `client-${provider}-${start}`;
  return provider === 'client' && start !== 'kept' ? 'client-client-2' : `client-${provider}`;
}

/** The configuration of a start: after the first one, three providers keep their name and are otherwise than they were. */
function providersOf(driver: CacheDriver, start: Start): CacheProvider[] {
  const { name: _name, ...usual } = driver.setup('cached');
  const { name: _other, ...elsewhere } = driver.setup('cached-elsewhere');
  const provider = (name: CacheProviderName | typeof FRESH, change: Partial<CacheProvider> = {}): CacheProvider => ({
    ...usual,
    clientId: clientOf(name, start),
    authFlow: name === 'audience' ? 'token_exchange' : 'jwt_bearer',
    ...(name === 'audience' ? { tokenExchangeAudience: 'models' } : {}),
    name,
    played: 'cached',
    ...change,
  });
  const first = start === 'kept';
  return [
    provider('same'),
    provider('issuer', first ? {} : { issuer: elsewhere.issuer, played: 'cached-elsewhere' }),
    provider('client'),
    provider('audience', first ? {} : { tokenExchangeAudience: 'other-models' }),
    provider(FRESH),
  ];
}

/** TR-32: a token in a cache that is kept needs no exchange after the pod was replaced; in a cache that is not, exactly one. */
export function reusesTheKeptCache(session: CacheSession): Finding[] {
  return [
    ...failures(session, ['kept', 'replaced', 'emptied'], ['same']),
    ...exactly(session, 'kept', 1),
    ...exactly(session, 'replaced', 0),
    ...exactly(session, 'emptied', 1),
  ];
}

function exactly(session: CacheSession, start: Start, wanted: number): Finding[] {
  const made = exchangesOf(session, start, 'same').length;
  const calls = callsOf(session, start, 'same').length;
  if (made === wanted || calls === 0) return [];
  return [`with a cache that is ${start} ${calls} calls made ${made} exchanges, not ${wanted}`];
}

/** TR-33: what was cached for another issuer, client or audience is not used. */
export function keepsConfigurationsApart(session: CacheSession): Finding[] {
  const changed = ['issuer', 'client', 'audience'] as const;
  return [
    ...failures(session, ['kept', 'replaced'], changed),
    ...changed.flatMap((provider): Finding[] => {
      const granted = new Set<unknown>(
        exchangesOf(session, 'replaced', provider).map(({ accessToken }) => accessToken),
      );
      const foreign = during(session, session.resources, callsOf(session, 'replaced', provider)).filter(
        ({ token }) => token !== undefined && !granted.has(token.sha256),
      );
      return [
        ...foreign.map(
          ({ at }) =>
            `at ${at} a token was used that had been cached for another ${provider} of the provider "${provider}"`,
        ),
        ...(granted.size === 0 && callsOf(session, 'replaced', provider).length > 0
          ? [`no exchange was made for the provider "${provider}", whose ${provider} is another one now`]
          : []),
      ];
    }),
  ];
}

/** TR-34: the client starts, and its calls succeed, with a cache that is corrupt or cannot be written. */
export function survivesABadCache(session: CacheSession): Finding[] {
  return [
    ...failures(session, ['kept', 'corrupt', 'unwritable'], ['same', FRESH]),
    // Control: the cache is where it is said to be.
    ...(session.corruptFiles === 0 ? ['there was no file in its cache that could be made corrupt'] : []),
  ];
}

function failures({ calls, failedStarts }: CacheSession, starts: Start[], providers: readonly string[]): Finding[] {
  return starts.flatMap((start) => {
    const failed = failedStarts.filter((each) => each.start === start);
    const made = calls.filter((call) => call.start === start && providers.includes(call.provider));
    return [
      ...failed.map(({ reason, from, to }) =>
        unlessStalled(
          `with a cache that is ${start} the client did not start: ${reason}`,
          Date.parse(from),
          Date.parse(to),
        ),
      ),
      ...(failed.length === 0 && made.length === 0 ? [`with a cache that is ${start} no call was made`] : []),
      ...made
        .filter(({ ok }) => !ok)
        .map(({ provider, at, durationMs, error = 'no error' }) =>
          unlessStalled(
            `with a cache that is ${start} a call of ${provider} failed at ${at}: ${error}`,
            Date.parse(at),
            Date.parse(at) + durationMs,
          ),
        ),
    ];
  });
}

function callsOf({ calls }: CacheSession, start: Start, provider: string): CacheCall[] {
  return calls.filter((call) => call.start === start && call.provider === provider);
}

/** Of a provider in a start, told by its client: a client that is one process for all its calls may have made them before the first. */
function exchangesOf(session: CacheSession, start: Start, provider: string): ExchangeRecord[] {
  const begun = session.marks.findIndex((mark) => mark.start === start && mark.call === undefined);
  const next = session.marks.slice(begun + 1).find(({ call }) => call === undefined);
  if (begun < 0) return [];
  const [from = 0, to = Number.POSITIVE_INFINITY] = [session.marks[begun]?.place, next?.place];
  return session.exchanges.filter(
    ({ accessToken, parameters, place = -1 }) =>
      accessToken !== undefined &&
      place >= from &&
      place < to &&
      parameters.client_id?.[0] === clientOf(provider, start),
  );
}

/** Calls are made one after another, so that what was recorded between two marks is of the call between them. */
function during<R extends { place?: number }>({ marks }: CacheSession, records: R[], of: CacheCall[]): R[] {
  return of.flatMap((call) => {
    const index = marks.findIndex((mark) => mark.call === call);
    const [from = 0, to = Number.POSITIVE_INFINITY] = [marks[index]?.place, marks[index + 1]?.place];
    return index < 0 ? [] : records.filter(({ place = -1 }) => place >= from && place < to);
  });
}
