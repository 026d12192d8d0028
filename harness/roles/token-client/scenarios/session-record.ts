import type { Stall } from '../../../../fixtures/workloads/lib/heartbeat.ts';
import type { ExchangeRecord, ObserverRecord } from '../../../../fixtures/workloads/observer/records.ts';
import { INTERACTIVE } from '../../../../fixtures/workloads/observer/simulated.ts';
import type { RemainingFile } from '../../../../fixtures/workloads/token-probe/files.ts';
import type { Listener } from '../../../../fixtures/workloads/token-probe/listeners.ts';
import type { FileObservations } from '../../../../fixtures/workloads/token-probe/probe.ts';
import type { SimulatedSetup } from '../../../fakes/simulated-providers.ts';
import type { SessionDriver } from '../driver.ts';
import type { Call, ClientSession } from '../record.ts';
import { findTokenLeaks } from '../token-leaks.ts';

/** What only the session itself knows: what it did, and the process of the client around it. */
export interface Driven
  extends Pick<
    ClientSession,
    | 'before'
    | 'after'
    | 'beforeOutage'
    | 'afterOutage'
    | 'beforeRenewals'
    | 'afterRenewals'
    | 'burstCalls'
    | 'subjectLifeSeconds'
  > {
  calls: Call[];
  /** Where the harness, or its way to the client, stalled. */
  stalls: Stall[];
}

/** What all sides saw of a session; the instants of the harness's own clock become those of the observer's. */
export function sessionOf(
  driver: SessionDriver,
  beside: SessionDriver[],
  seen: Seen,
  { calls, stalls, ...driven }: Driven,
): ClientSession {
  const { records, aheadMs, watched } = seen;
  const { files, output, secrets, remaining, listeners } = watched;
  // By one clock: the one by which tokens expire.
  const shift = (instant: string): string => new Date(Date.parse(instant) + aheadMs).toISOString();
  const exchanges = records.filter((record) => record.kind === 'exchange');
  const simulated = [driver, ...beside].flatMap((instance) => instance.simulated);
  return {
    ...declaredBy(driver),
    ...driven,
    simulated,
    files,
    exchanges,
    resources: records.filter((record) => record.kind === 'resource'),
    lookups: records.filter((record) => record.kind === 'provider'),
    acts: records.filter((record) => record.kind === 'act'),
    elsewhere: records.filter((record) => record.kind === 'elsewhere'),
    handshakes: records.filter((record) => record.kind === 'handshake'),
    calls: calls.map((call) => ({ ...call, at: shift(call.at) })),
    ...(remaining === undefined ? {} : { remaining }),
    ...(listeners === undefined ? {} : { listeners }),
    output: {
      lines: output.text.split('\n').filter((line) => line !== '').length,
      leaks: findTokenLeaks(output.text, digestsOf(files, exchanges)),
      prompts: promptsIn(output.text, simulated),
      lost: output.lost ?? 0,
    },
    secrets,
    stalls: [...stalls.map((stall) => ({ ...stall, from: shift(stall.from), to: shift(stall.to) })), ...watched.stalls],
  };
}

/** What the client is configured with, and what it declares. */
function declaredBy({
  providers,
  latePath,
  capabilities,
  configurable,
  timeLimitMs,
  tokenRequest,
  reloadSeconds,
  defaultLifeSeconds,
}: SessionDriver): Pick<
  ClientSession,
  | 'providers'
  | 'latePath'
  | 'capabilities'
  | 'configurable'
  | 'timeLimitMs'
  | 'tokenRequest'
  | 'reloadSeconds'
  | 'defaultLifeSeconds'
> {
  return {
    providers,
    latePath,
    capabilities,
    configurable,
    timeLimitMs,
    ...(tokenRequest === undefined ? {} : { tokenRequest }),
    ...(reloadSeconds === undefined ? {} : { reloadSeconds }),
    ...(defaultLifeSeconds === undefined ? {} : { defaultLifeSeconds }),
  };
}

/** What was seen of a session by others than the one who drove it. */
export interface Seen {
  watched: Watched;
  /** Of the observer: one for all instances. */
  records: ObserverRecord[];
  aheadMs: number;
}

/** What those saw who watched the client, and its other instances. */
export async function whatWasSeen(driver: SessionDriver, beside: SessionDriver[]): Promise<Seen> {
  // A client that starts again when it was ended may ask for tokens: that is none of the session's doing.
  const [records, aheadMs = 0] = await Promise.all([driver.records(), driver.clockAheadMs?.()]);
  const watched = await Promise.all([driver, ...beside].map(watchedOf));
  return { watched: watched.reduce(together), records, aheadMs };
}

/** What those see of an instance of the client who watch it. */
interface Watched {
  files: FileObservations[];
  output: { text: string; lost?: number };
  secrets: string[];
  stalls: Stall[];
  remaining: RemainingFile[] | undefined;
  listeners: Listener[] | undefined;
}

async function watchedOf(driver: SessionDriver): Promise<Watched> {
  const [files, secrets, stalls, listeners] = await Promise.all([
    driver.observations(),
    driver.secrets(),
    driver.stalls(),
    driver.listeners?.(),
  ]);
  await driver.finish?.();
  const [output, remaining] = await Promise.all([driver.output(), driver.remaining?.()]);
  return { files, output, secrets, stalls, remaining, listeners };
}

/** The same of two instances. The files of the first one come first: it is the one whose rotations are followed. */
function together(one: Watched, other: Watched): Watched {
  const both = <T>(some: T[] | undefined, more: T[] | undefined): T[] | undefined =>
    some === undefined && more === undefined ? undefined : [...(some ?? []), ...(more ?? [])];
  return {
    files: [...one.files, ...other.files],
    output: {
      text: `${one.output.text}\n${other.output.text}`,
      lost: (one.output.lost ?? 0) + (other.output.lost ?? 0),
    },
    secrets: [...one.secrets, ...other.secrets],
    stalls: [...one.stalls, ...other.stalls],
    remaining: both(one.remaining, other.remaining),
    listeners: both(one.listeners, other.listeners),
  };
}

/** Numbers of the lines that name a page on which a person would log in. */
function promptsIn(output: string, simulated: SimulatedSetup[]): number[] {
  const pages = simulated.flatMap(({ issuer }) => INTERACTIVE.map((page) => `${issuer}/${page}`));
  return output.split('\n').flatMap((line, index) => (pages.some((page) => line.includes(page)) ? [index + 1] : []));
}

/** Of all subject tokens that were in a file or presented, and of all access tokens that were issued. */
function digestsOf(files: FileObservations[], exchanges: ExchangeRecord[]): Set<string> {
  return new Set([
    ...files.flatMap(({ observations }) => observations.map(({ sha256 }) => sha256)),
    ...exchanges.flatMap(({ accessToken, parameters }) => [
      ...(accessToken === undefined ? [] : [accessToken]),
      ...Object.values(parameters).flatMap((values) =>
        values.flatMap((value) => (typeof value === 'string' ? [] : [value.sha256])),
      ),
    ]),
  ]);
}
