import { setTimeout as delay } from 'node:timers/promises';
import { Heartbeat, STALL_MS, type Stall, stallUntil } from '../../../../fixtures/workloads/lib/heartbeat.ts';
import type { Act } from '../../../../fixtures/workloads/observer/played.ts';
import { INTERACTIVE } from '../../../../fixtures/workloads/observer/played.ts';
import type {
  ActRecord,
  ElsewhereRecord,
  ExchangeRecord,
  ObserverRecord,
  ProviderRecord,
  ResourceRecord,
} from '../../../../fixtures/workloads/observer/records.ts';
import type { RemainingFile } from '../../../../fixtures/workloads/token-probe/files.ts';
import type { Listener } from '../../../../fixtures/workloads/token-probe/listeners.ts';
import type { FileObservations, TokenObservation } from '../../../../fixtures/workloads/token-probe/probe.ts';
import { NotTestable } from '../../../core/errors.ts';
import { redact } from '../../../core/redact.ts';
import type { PlayedSetup } from '../../../fakes/simulated-providers.ts';
import type { ClientCapability } from '../../../targets/schema/token-client.ts';
import { findTokenLeaks, type TokenLeak } from '../checks/token-leaks.ts';
import { callsOfPlayedProviders } from './simulated-calls.ts';

/** A provider as the token client under test is configured for it. */
export interface SessionProvider {
  /** Its name at the identity provider, and in the client's configuration. */
  name: string;
  audience: string;
  clientId: string;
  scopes: string[];
  /** The token file that the client must read for it. */
  tokenPath: string;
  /** False where `tokenPath` is the default, which the configuration does not name. */
  pathConfigured: boolean;
  accessTokenLifetimeSeconds: number;
  /** By which it has its access tokens; absent: `jwt-bearer`. */
  grant?: 'jwt-bearer' | 'token-exchange';
  /** The client documents that it takes an access token for expired so many seconds before its end. */
  skewSeconds?: number;
}

/** Name under which the client knows the provider whose token file comes late. */
export const LATE = 'late';

/**
 * When a call was made: with the late provider's token file `missing`, then `blank`, then there but `refused`, then good (`recovered`); from a cold
 * cache with calls of all providers at the same time (`concurrent`); many in a row (`burst`); one after another, about
 * one a second, while tokens rotate (`paced`); each provider once, the late one first, with its token file blank again and
 * its access token expired (`blanked`), and the late one once more with its token (`restored`); each played provider as often as
 * its part needs (`played`), the one with an outage at the very end (`outage`).
 */
export type Phase =
  | 'missing'
  | 'blank'
  | 'refused'
  | 'recovered'
  | 'concurrent'
  | 'burst'
  | 'paced'
  | 'blanked'
  | 'restored'
  | 'played'
  | 'outage';

/** One call that the client was told to make, and how it says it ended. */
export interface Call {
  phase: Phase;
  provider: string;
  /** Number of the burst. */
  burst?: number;
  /** What the played provider had been told before. */
  act?: Act;
  at: string;
  durationMs: number;
  ok: boolean;
  status?: number;
  error?: string;
  /** Of a call without a token file: the path of that file stands in the error, or in what the process of the call wrote. */
  namesFile?: boolean;
  /** The client had not answered when the harness's patience ended. */
  unanswered?: true;
}

/** Of the pod that the client runs in. */
export interface ClientPodFacts {
  /** Its IP address. */
  address: string;
  /** RFC 3339, in whole seconds. */
  createdAt: string;
  /** Kubernetes put the ServiceAccount's token for the API server into it. */
  hasApiToken: boolean;
}

/** What identifies the client's process: it changes with a restart. */
export interface ProcessIdentity {
  podUid: string;
  restarts: number;
  /** Absent for a process of this host. */
  pod?: ClientPodFacts;
}

/** One client watched over some time, from every side. */
export interface ClientSession {
  providers: SessionProvider[];
  /** The token file of the provider {@link LATE}, which gets a copy of the first provider's token. */
  latePath: string;
  files: FileObservations[];
  exchanges: ExchangeRecord[];
  resources: ResourceRecord[];
  /** All other requests to identity providers. */
  lookups: ProviderRecord[];
  /** What played providers were told. */
  acts: ActRecord[];
  /** What came to another origin along a redirect. */
  elsewhere: ElsewhereRecord[];
  calls: Call[];
  /** How many of them are a burst of one provider. */
  burstCalls?: number;
  capabilities: ClientCapability[];
  /** The providers that the observer played; none where the client could not be configured for them. */
  played: PlayedSetup[];
  /** Milliseconds within which a call of the client ends, as declared, whatever the provider does. */
  timeLimitMs: number;
  /** Seconds that it takes an access token to live of which it is told nothing, where that is declared. */
  defaultLifeSeconds?: number;
  /** Files that it left in the folders that it may write to; absent where nobody can look. */
  remaining?: RemainingFile[];
  /** Ports that were listened on where it runs; absent where nobody can look. */
  listeners?: Listener[];
  /** Lines of the client's output, the tokens found in it, and the lines that ask somebody to log in at a played provider. */
  output: { lines: number; leaks: TokenLeak[]; prompts: number[] };
  /** Secrets that the client's pod is given, with where. */
  secrets: string[];
  before: ProcessIdentity;
  after: ProcessIdentity;
  /** The process after the outage of the played provider. */
  afterOutage: ProcessIdentity;
  /** When the harness, the client's pod, the observer or the way to the client stood still: what was late then says nothing. */
  stalls: Stall[];
}

/** How a call ended. */
export interface CallAnswer extends Pick<Call, 'ok' | 'status' | 'error'> {
  /** All that the process of a call that failed wrote, where it is one of its own; not kept. */
  output?: string;
}

/** How a session reaches the client and those who watch it. */
export interface SessionDriver {
  providers: SessionProvider[];
  latePath: string;
  capabilities: ClientCapability[];
  played: PlayedSetup[];
  timeLimitMs: number;
  defaultLifeSeconds?: number;
  /** Every call starts the client anew, which takes its time: few are made, with more patience. */
  startsForEachCall?: true;
  /** Lets the client make one call; resolves to `undefined` when it has not answered within `patienceMs`. */
  call(provider: string, patienceMs: number): Promise<CallAnswer | undefined>;
  observations(): Promise<FileObservations[]>;
  records(): Promise<ObserverRecord[]>;
  /** Lets the next token request to a provider be refused, with an error that repeats the request. */
  refuseNext(provider: string): Promise<void>;
  /** Tells a played provider how to behave from now on. */
  act(provider: string, act: Act): Promise<void>;
  /** Puts a copy of a file where the client runs in place. */
  copy(from: string, to: string): Promise<void>;
  /** Puts a symlink to a file where the client runs in place. */
  link(from: string, to: string): Promise<void>;
  /** The same of a copy as the kubelet does it: by the swap of a symlink behind the path. */
  project(from: string, to: string): Promise<void>;
  /** Files in the folders that the client may write to. */
  remaining?(): Promise<RemainingFile[]>;
  /** Ports that were listened on where the client runs. */
  listeners?(): Promise<Listener[]>;
  identity(): Promise<ProcessIdentity>;
  /** All that the client wrote since it started; not kept. */
  output(): Promise<string>;
  /** Secrets that the client's pod is given, with where. */
  secrets(): Promise<string[]>;
  /** Milliseconds by which the clock of those who watch the client is ahead of the harness's; absent where it is the same one. */
  clockAheadMs?(): Promise<number>;
  /** Where those who watch the client stood still. */
  stalls(): Promise<Stall[]>;
  /** Goes the way to the client and back without asking it anything; absent where there is no such way (a child process). */
  pulse?(): Promise<void>;
  /** Waits until the next call is due. */
  until(instant: Date): Promise<void>;
  progress(message: string): void;
}

export interface SessionPlan {
  /** Go on until tokens rotated: each file `each` times, all files together `total` times, and the tokens that were replaced so have expired. */
  rotations?: { each: number; total: number; deadlineSeconds: number };
  /** Time from one paced call of a provider to the next. */
  paceMs: number;
  /** A call that takes longer is not waited for: it is recorded as unanswered. */
  patienceMs: number;
}

const CONCURRENT_CALLS = 5;
export const BURST_CALLS = 10;
/** The same of a client that is started for each call. */
const CONCURRENT_STARTS = 1;
const BURST_STARTS = 4;
const START_PATIENCE_MS = 90_000;

/** Lets the client make one call, and writes it down. */
export type MakeCall = (phase: Phase, provider: string, more?: Pick<Call, 'burst' | 'act'>) => Promise<Call>;

/** Calls that are judged by how long they take. */
const TIMED: ReadonlySet<Phase> = new Set(['missing', 'blank', 'outage']);

const PULSE_MS = 500;

/** Measures the way to the client for as long as it is answering, and notes when that alone took too long. */
async function alongPulses<T>(driver: SessionDriver, answering: Promise<T>, slow: Stall[]): Promise<T> {
  if (driver.pulse === undefined) return answering;
  let answered = false;
  const done = answering.finally(() => {
    answered = true;
  });
  while (!answered) {
    const began = performance.now();
    await driver.pulse();
    const took = performance.now() - began;
    if (took > STALL_MS) slow.push(stallUntil('the way to the client', Date.now(), took));
    await Promise.race([done.catch(() => undefined), delay(PULSE_MS)]);
  }
  return done;
}

/**
 * Drives a token client through every phase of the plan and returns what all sides saw.
 *
 * @throws NotTestable when the tokens did not rotate as planned before the deadline
 */
export async function driveClientSession(driver: SessionDriver, plan: SessionPlan): Promise<ClientSession> {
  const calls: Call[] = [];
  const heartbeat = new Heartbeat('the harness').start();
  const slowWays: Stall[] = [];
  const starts = driver.startsForEachCall === true;
  const burstCalls = starts ? BURST_STARTS : BURST_CALLS;
  const call: MakeCall = async (phase, provider, { burst, act } = {}) => {
    const patienceMs = (starts ? START_PATIENCE_MS : plan.patienceMs) + (phase === 'outage' ? driver.timeLimitMs : 0);
    const started = Date.now();
    const answering = driver.call(provider, patienceMs);
    const ended = await (TIMED.has(phase) ? alongPulses(driver, answering, slowWays) : answering);
    const { output: wrote, ...answer } = ended ?? {
      ok: false,
      unanswered: true as const,
      error: `no answer within ${patienceMs / 1000} s`,
    };
    const { error } = answer;
    const withoutFile = phase === 'missing' || phase === 'blank';
    const made: Call = {
      phase,
      provider,
      ...(burst === undefined ? {} : { burst }),
      ...(act === undefined ? {} : { act }),
      at: new Date(started).toISOString(),
      durationMs: Date.now() - started,
      ...answer,
      ...(error === undefined ? {} : { error: redact(error) }),
      ...(withoutFile ? { namesFile: `${error ?? ''}\n${wrote ?? ''}`.includes(driver.latePath) } : {}),
    };
    calls.push(made);
    return made;
  };
  const names = driver.providers.map(({ name }) => name);
  const before = await driver.identity();
  const goodToken = driver.providers[0]?.tokenPath ?? '';
  await call('missing', LATE);
  await driver.copy('/dev/null', driver.latePath);
  await call('blank', LATE);
  // A copy gets old, and a process may take some seconds from its start to its reading; one that runs already reads it at once.
  const putToken = (): Promise<void> => (starts ? driver.link : driver.copy)(goodToken, driver.latePath);
  await putToken();
  await driver.refuseNext(driver.providers[0]?.name ?? '');
  await call('refused', LATE);
  await call('recovered', LATE);
  const cold = Array.from({ length: starts ? CONCURRENT_STARTS : CONCURRENT_CALLS }, () => names).flat();
  await Promise.all(cold.map((name) => call('concurrent', name)));
  const { parts, beforeOutage, outage } = callsOfPlayedProviders(driver, call);
  // What runs once for each call is asked beside all else: it may take minutes, of which most are waits.
  const aside = starts ? beforeOutage().then(outage) : undefined;
  if (aside === undefined) parts.push(beforeOutage);
  // It is awaited at the end; until then nobody else looks at it.
  aside?.catch(() => undefined);
  for (const [burst, name] of names.entries()) {
    for (let count = 0; count < burstCalls; count += 1) await call('burst', name, { burst });
  }
  for (const name of names) await call('paced', name);
  if (plan.rotations !== undefined) {
    await pace(driver, plan, plan.rotations, call, parts);
    await driver.copy('/dev/null', driver.latePath);
    for (const name of [LATE, ...names]) await call('blanked', name);
    await putToken();
    await call('restored', LATE);
  }
  for (const part of parts.splice(0)) await part();
  const after = await driver.identity();
  await (aside ?? outage());

  const [files, records, afterOutage, output, secrets, stalls, remaining, listeners, aheadMs = 0] = await Promise.all([
    driver.observations(),
    driver.records(),
    driver.identity(),
    driver.output(),
    driver.secrets(),
    driver.stalls(),
    driver.remaining?.(),
    driver.listeners?.(),
    driver.clockAheadMs?.(),
  ]);
  // By one clock: the one by which tokens expire.
  const shift = (instant: string): string => new Date(Date.parse(instant) + aheadMs).toISOString();
  heartbeat.stop();
  const exchanges = records.filter((record) => record.kind === 'exchange');
  return {
    providers: driver.providers,
    latePath: driver.latePath,
    files,
    exchanges,
    resources: records.filter((record) => record.kind === 'resource'),
    lookups: records.filter((record) => record.kind === 'provider'),
    acts: records.filter((record) => record.kind === 'act'),
    elsewhere: records.filter((record) => record.kind === 'elsewhere'),
    calls: calls.map((made) => ({ ...made, at: shift(made.at) })),
    burstCalls,
    capabilities: driver.capabilities,
    played: driver.played,
    timeLimitMs: driver.timeLimitMs,
    ...(driver.defaultLifeSeconds === undefined ? {} : { defaultLifeSeconds: driver.defaultLifeSeconds }),
    ...(remaining === undefined ? {} : { remaining }),
    ...(listeners === undefined ? {} : { listeners }),
    output: {
      lines: output.split('\n').filter((line) => line !== '').length,
      leaks: findTokenLeaks(output, digestsOf(files, exchanges)),
      prompts: promptsIn(output, driver.played),
    },
    secrets,
    before,
    after,
    afterOutage,
    stalls: [
      ...[...heartbeat.stalls(), ...slowWays].map((own) => ({ ...own, from: shift(own.from), to: shift(own.to) })),
      ...stalls,
    ],
  };
}

/** Numbers of the lines that name a page on which a person would log in. */
function promptsIn(output: string, played: PlayedSetup[]): number[] {
  const pages = played.flatMap(({ issuer }) => INTERACTIVE.map((page) => `${issuer}/${page}`));
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

/**
 * One call of each provider a turn, one after another, until the tokens have rotated often enough. In each turn one of the further
 * parts has its place, until none is left.
 */
async function pace(
  driver: SessionDriver,
  { paceMs }: SessionPlan,
  rotations: NonNullable<SessionPlan['rotations']>,
  call: MakeCall,
  parts: (() => Promise<void>)[],
): Promise<void> {
  const began = Date.now();
  const deadline = began + rotations.deadlineSeconds * 1000;
  let told = '';
  for (let turn = Date.now(); ; turn = Math.max(turn + paceMs, Date.now())) {
    const { done, seen } = rotated(driver, await driver.observations(), began, rotations);
    if (done) return;
    if (turn > deadline) {
      throw new NotTestable(`the tokens did not rotate as planned within ${rotations.deadlineSeconds} s: ${seen}`);
    }
    if (seen !== told) driver.progress(`calls the client across rotations; ${seen}`);
    told = seen;
    await driver.until(new Date(turn));
    for (const { name } of driver.providers) await call('paced', name);
    await parts.shift()?.();
  }
}

function rotated(
  { providers }: SessionDriver,
  files: FileObservations[],
  began: number,
  { each, total }: { each: number; total: number },
): { done: boolean; seen: string } {
  const counts = providers.map((provider) => {
    const observed = files.find(({ path }) => path === provider.tokenPath)?.observations ?? [];
    const { at, later } = rotationsSince(observed, began);
    // What the last rotation that counts took away: a client that saw the rotations before may have missed that one.
    const replaced = [at, ...later][each - 1];
    const expiry = Number(replaced?.claims.exp ?? Number.POSITIVE_INFINITY);
    return {
      name: provider.name,
      rotations: later.length,
      // Every client needs a new access token once the one that it got last with that subject token has ended.
      judgedFrom: (expiry + provider.accessTokenLifetimeSeconds + 1) * 1000,
    };
  });
  const sum = counts.reduce((so, { rotations }) => so + rotations, 0);
  return {
    done: sum >= total && counts.every(({ rotations, judgedFrom }) => rotations >= each && Date.now() > judgedFrom),
    seen: counts.map(({ name, rotations }) => `${name} rotated ${rotations} times`).join(', '),
  };
}

/** The token that a file held at an instant, and those that came after it. */
export function rotationsSince(
  observations: TokenObservation[],
  instant: number,
): { at: TokenObservation | undefined; later: TokenObservation[] } {
  const before = observations.filter(({ at }) => Date.parse(at) <= instant);
  return { at: before.at(-1), later: observations.slice(before.length) };
}

/** The session in short, without claims: what a report keeps of it. */
export function summarise(session: ClientSession): object {
  const { calls, exchanges, resources, files, output, secrets, before, after, stalls } = session;
  const failed = calls.filter(({ ok }) => !ok);
  return {
    process: { before, after },
    calls: {
      total: calls.length,
      from: calls.at(0)?.at,
      to: calls.at(-1)?.at,
      failed: failed.slice(0, 20),
      failedTotal: failed.length,
    },
    output: { lines: output.lines, tokens: output.leaks.slice(0, 20), tokensTotal: output.leaks.length },
    secrets,
    capabilities: session.capabilities,
    stalls,
    rotations: files.map(({ path, observations, reads, missing, empty, partial }) => ({
      path,
      reads,
      missing,
      empty,
      partial,
      tokens: observations.map(({ at, sha256, claims }) => ({
        seenAt: at,
        sha256: sha256.slice(0, 12),
        iat: instant(claims.iat),
        exp: instant(claims.exp),
      })),
    })),
    exchanges: exchanges.slice(0, 60).map(({ at, provider, status, expiresIn, error, parameters }) => ({
      at,
      provider,
      status,
      ...(error === undefined ? {} : { error }),
      ...(expiresIn === undefined ? {} : { expiresIn }),
      presented: Object.entries(parameters).flatMap(([name, values]) =>
        values.flatMap((value) => (typeof value === 'string' ? [] : [`${name} ${value.sha256.slice(0, 12)}`])),
      ),
    })),
    resourceCalls: {
      total: resources.length,
      refused: resources.filter(({ status }) => status !== 200).slice(0, 20),
    },
  };
}

function instant(seconds: unknown): string | undefined {
  return typeof seconds === 'number' ? new Date(seconds * 1000).toISOString() : undefined;
}
