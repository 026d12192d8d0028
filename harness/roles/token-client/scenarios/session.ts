import { setTimeout as delay } from 'node:timers/promises';
import { Heartbeat, STALL_MS, type Stall, stallUntil } from '../../../../fixtures/workloads/lib/heartbeat.ts';
import type { ExchangeRecord } from '../../../../fixtures/workloads/observer/records.ts';
import { INTERACTIVE } from '../../../../fixtures/workloads/observer/simulated.ts';
import type { RemainingFile } from '../../../../fixtures/workloads/token-probe/files.ts';
import type { Listener } from '../../../../fixtures/workloads/token-probe/listeners.ts';
import type { FileObservations } from '../../../../fixtures/workloads/token-probe/probe.ts';
import { NotTestable } from '../../../core/errors.ts';
import { redact } from '../../../core/redact.ts';
import { limitSeconds } from '../../../core/time-limits.ts';
import { SHORT_LIFE_SECONDS, type SimulatedSetup } from '../../../fakes/simulated-providers.ts';
import type { SessionDriver } from '../driver.ts';
import {
  BURST_CALLS,
  type Call,
  type ClientSession,
  LATE,
  leavesRoom,
  type Phase,
  type ProcessIdentity,
  rotationsSince,
  withoutToken,
} from '../record.ts';
import { findTokenLeaks } from '../token-leaks.ts';
import { callsOfSimulatedProviders, type SimulatedCalls } from './simulated-calls.ts';

export interface SessionPlan {
  /** Seconds that the subject tokens live. */
  subjectLifeSeconds: number;
  /**
   * Go on until tokens rotated: each file `each` times, all files together `total` times, and the tokens that were
   * replaced so have expired.
   */
  rotations?: { each: number; total: number };
  /** Time from one paced call of a provider to the next. */
  paceMs: number;
  /** A call that takes longer is not waited for: it is recorded as unanswered. */
  patienceMs: number;
}

const CONCURRENT_CALLS = 5;

/** The same of a client that is started for each call. */
const CONCURRENT_STARTS = 1;

const BURST_STARTS = 4;

const START_PATIENCE_MS = limitSeconds('processStart') * 1_000;

/** Calls after a refused one until one must succeed. */
const TRIES_AFTER_REFUSAL = 5;

/** Lets the client make one call, and writes it down. */
export type MakeCall = (phase: Phase, provider: string, more?: Pick<Call, 'burst' | 'act'>) => Promise<Call>;

/** Calls that are judged by how long they take. */
const TIMED: ReadonlySet<Phase> = new Set(['missing', 'blank', 'white-space', 'renewal', 'hanging', 'outage']);

/** Calls that may take as long as the client's time limit. */
const WAITS_FOR_LIMIT: ReadonlySet<Phase> = new Set(['renewal', 'hanging', 'outage']);

const PULSE_MS = 500;

/** Measures the way to the client for as long as it is answering, and notes when that alone took too long. */
async function alongPulses<T>(driver: SessionDriver, answering: Promise<T>, slow: Stall[]): Promise<T> {
  if (driver.pulse === undefined) {
    return answering;
  }
  let answered = false;
  const done = answering.finally(() => {
    answered = true;
  });
  while (!answered) {
    const began = performance.now();
    await driver.pulse();
    const took = performance.now() - began;
    if (took > STALL_MS) {
      slow.push(stallUntil('the way to the client', Date.now(), took));
    }
    await Promise.race([done.catch(() => undefined), delay(PULSE_MS)]);
  }
  return done;
}

/** Makes calls of a client, and writes them down. */
function callsOf(
  driver: SessionDriver,
  plan: SessionPlan,
  { calls, slowWays }: { calls: Call[]; slowWays: Stall[] },
): MakeCall {
  const starts = driver.startsForEachCall === true;
  return async (phase, provider, { burst, act } = {}) => {
    const patienceMs =
      (starts ? START_PATIENCE_MS : plan.patienceMs) + (WAITS_FOR_LIMIT.has(phase) ? driver.timeLimitMs : 0);
    const started = Date.now();
    const answering = driver.call(provider, patienceMs);
    const ended = await (TIMED.has(phase) ? alongPulses(driver, answering, slowWays) : answering);
    const { output: wrote, ...answer } = ended ?? {
      ok: false,
      unanswered: true as const,
      error: `no answer within ${patienceMs / 1000} s`,
    };
    const { error } = answer;
    const made: Call = {
      phase,
      provider,
      ...(burst === undefined ? {} : { burst }),
      ...(act === undefined ? {} : { act }),
      at: new Date(started).toISOString(),
      durationMs: Date.now() - started,
      ...answer,
      ...(error === undefined ? {} : { error: redact(error) }),
      ...(withoutToken(phase) !== undefined
        ? { namesFile: `${error ?? ''}\n${wrote ?? ''}`.includes(driver.latePath) }
        : {}),
    };
    calls.push(made);
    return made;
  };
}

/** The process of a client around what it may not survive. */
type FailuresSurvived = Pick<ClientSession, 'beforeOutage' | 'afterOutage' | 'afterRenewals'>;

/** Lets the providers fail that a client may not survive, one kind of failure after the other. */
async function driveFailures(
  driver: SessionDriver,
  { outage, renewals }: Pick<SimulatedCalls, 'outage' | 'renewals'>,
  beforeOutage: ProcessIdentity,
): Promise<FailuresSurvived> {
  driver.progress('calls the client while a simulated provider is down');
  await outage();
  let afterOutage = beforeOutage;
  const isAsked = await renewals(async () => {
    afterOutage = await driver.identityAfter(beforeOutage);
  });
  return {
    beforeOutage,
    afterOutage,
    afterRenewals: isAsked ? await driver.identityAfter(afterOutage) : afterOutage,
  };
}

/**
 * Drives a token client through every phase of the plan and returns what all sides saw.
 *
 * @param beside another instance of the client, watched by the same observer, which meanwhile is asked what a client
 *   may not survive; absent: the client is asked that last
 * @throws NotTestable when the tokens did not rotate, or the client did not renew what it got by them, before the
 *   deadline
 */
export async function driveClientSession(
  driver: SessionDriver,
  plan: SessionPlan,
  beside?: SessionDriver,
): Promise<ClientSession> {
  const calls: Call[] = [];
  const heartbeat = new Heartbeat('the harness').start();
  const slowWays: Stall[] = [];
  const starts = driver.startsForEachCall === true;
  const burstCalls = starts ? BURST_STARTS : BURST_CALLS;
  const call = callsOf(driver, plan, { calls, slowWays });
  const names = driver.providers.map(({ name }) => name);
  const before = await driver.identity();
  const goodToken = driver.providers[0]?.tokenPath ?? '';
  driver.progress('calls the client while a token file of its is missing, empty and blank');
  await call('missing', LATE);
  await driver.copy('/dev/null', driver.latePath);
  await call('blank', LATE);
  await driver.pad('/dev/null', driver.latePath);
  await call('white-space', LATE);
  // A copy gets old, and a process may take some seconds from its start to its reading; one that runs already reads it
  // at once.
  const putToken = (): Promise<void> => (starts ? driver.link : driver.copy)(goodToken, driver.latePath);
  await putToken();
  await driver.refuseNext(driver.providers[0]?.name ?? '');
  await call('refused', LATE);
  // A client may pause after a refusal.
  for (let count = 0; count < TRIES_AFTER_REFUSAL; count += 1) {
    const { ok, unanswered = false } = await call('recovered', LATE);
    if (ok || unanswered) {
      break;
    }
    await driver.until(new Date(Date.now() + 2_000));
  }
  // Only now: whatever asks for a token before this one is there is taken for a fault (TR-28, AI-33).
  const failuresBeside =
    beside === undefined
      ? undefined
      : driveBeside(beside, callsOf(beside, plan, { calls, slowWays }), plan.subjectLifeSeconds);
  // It is awaited at the end; until then nobody else looks at it.
  failuresBeside?.catch(() => undefined);
  driver.progress('calls the client at the same time and in a row');
  const cold = Array.from({ length: starts ? CONCURRENT_STARTS : CONCURRENT_CALLS }, () => names).flat();
  await Promise.all(cold.map((name) => call('concurrent', name)));
  const { parts, renewals, beforeOutage, outage } = callsOfSimulatedProviders(driver, call, plan.subjectLifeSeconds);
  // What runs once for each call is asked beside all else: it may take minutes, of which most are waits.
  const aside = starts ? beforeOutage().then(outage) : undefined;
  if (aside === undefined) {
    parts.push(beforeOutage);
  }
  // It is awaited at the end; until then nobody else looks at it.
  aside?.catch(() => undefined);
  for (const [burst, name] of names.entries()) {
    for (let count = 0; count < burstCalls; count += 1) {
      await call('burst', name, { burst });
    }
  }
  for (const name of names) {
    await call('paced', name);
  }
  // A client whose reload interval has no room here would meet refusals that it does not meet on a real clock.
  if (plan.rotations !== undefined && hasRoom(driver, plan)) {
    await pace(driver, plan, plan.rotations, call, parts);
    await driver.copy('/dev/null', driver.latePath);
    // It may remember the token for so long.
    await untilReloaded(driver, plan.subjectLifeSeconds);
    const { ok } = await call('blanked', LATE);
    if (ok) {
      // Its last access token may be good for long yet, and it may go on with that (TR-38).
      await blankOne(driver, call, goodToken);
    }
    for (const name of names) {
      await call('blanked', name);
    }
    await putToken();
    await call('restored', LATE);
  }
  if (parts.length > 0) {
    driver.progress('calls the client for simulated providers');
  }
  for (const part of parts.splice(0)) {
    await part();
  }
  const after = await driver.identityAfter(before);
  // What a process that ended wrote is read once it is known to have ended.
  const survived = await (failuresBeside ??
    driveFailures(driver, { outage: () => aside ?? outage(), renewals }, after));
  const [seen, seenBeside] = await Promise.all([
    whatIsLeft(driver),
    beside === undefined ? undefined : whatIsLeft(beside),
  ]);
  const { files, output, secrets, stalls, remaining, listeners } = together(seen, seenBeside);
  const [records, aheadMs = 0] = await Promise.all([driver.records(), driver.clockAheadMs?.()]);
  // By one clock: the one by which tokens expire.
  const shift = (instant: string): string => new Date(Date.parse(instant) + aheadMs).toISOString();
  heartbeat.stop();
  const exchanges = records.filter((record) => record.kind === 'exchange');
  const simulated = [...driver.simulated, ...(beside?.simulated ?? [])];
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
    configurable: driver.configurable,
    ...(driver.tokenRequest === undefined ? {} : { tokenRequest: driver.tokenRequest }),
    simulated,
    timeLimitMs: driver.timeLimitMs,
    subjectLifeSeconds: plan.subjectLifeSeconds,
    ...(driver.reloadSeconds === undefined ? {} : { reloadSeconds: driver.reloadSeconds }),
    ...(driver.defaultLifeSeconds === undefined ? {} : { defaultLifeSeconds: driver.defaultLifeSeconds }),
    ...(remaining === undefined ? {} : { remaining }),
    ...(listeners === undefined ? {} : { listeners }),
    output: {
      lines: output.text.split('\n').filter((line) => line !== '').length,
      leaks: findTokenLeaks(output.text, digestsOf(files, exchanges)),
      prompts: promptsIn(output.text, simulated),
      lost: output.lost ?? 0,
    },
    secrets,
    before,
    after,
    ...survived,
    stalls: [
      ...[...heartbeat.stalls(), ...slowWays].map((own) => ({ ...own, from: shift(own.from), to: shift(own.to) })),
      ...stalls,
    ],
  };
}

/** Drives another instance of the client through what it may not survive. */
async function driveBeside(
  driver: SessionDriver,
  call: MakeCall,
  subjectLifeSeconds: number,
): Promise<FailuresSurvived> {
  const before = await driver.identity();
  const { beforeOutage, ...failures } = callsOfSimulatedProviders(driver, call, subjectLifeSeconds);
  await beforeOutage();
  return driveFailures(driver, failures, before);
}

/** What those see of an instance of the client who watch it. */
interface Left {
  files: FileObservations[];
  output: { text: string; lost?: number };
  secrets: string[];
  stalls: Stall[];
  remaining: RemainingFile[] | undefined;
  listeners: Listener[] | undefined;
}

async function whatIsLeft(driver: SessionDriver): Promise<Left> {
  const [files, output, secrets, stalls, remaining, listeners] = await Promise.all([
    driver.observations(),
    driver.output(),
    driver.secrets(),
    driver.stalls(),
    driver.remaining?.(),
    driver.listeners?.(),
  ]);
  return { files, output, secrets, stalls, remaining, listeners };
}

/** The same of two instances. The files of the first one come first: it is the one whose rotations are followed. */
function together(one: Left, other: Left | undefined): Left {
  if (other === undefined) {
    return one;
  }
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

/** A good call of a provider whose access token ends soon, and one with its token file blank when it has ended. */
async function blankOne(driver: SessionDriver, call: MakeCall, goodToken: string): Promise<void> {
  const setup = driver.simulated.find(({ name }) => name === 'emptied');
  if (setup === undefined) {
    return;
  }
  await driver.copy(goodToken, setup.tokenPath);
  await call('simulated', setup.name);
  await driver.copy('/dev/null', setup.tokenPath);
  await driver.until(new Date(Date.now() + SHORT_LIFE_SECONDS * 1_000 + RENEWAL_MARGIN_MS));
  await call('blanked', setup.name);
}

/**
 * One call of each provider a turn, one after another, until the tokens have rotated often enough. In each turn one of
 * the further parts has its place, until none is left.
 */
async function pace(
  driver: SessionDriver,
  { paceMs, subjectLifeSeconds }: SessionPlan,
  rotations: NonNullable<SessionPlan['rotations']>,
  call: MakeCall,
  parts: (() => Promise<void>)[],
): Promise<void> {
  const began = Date.now();
  const deadline = began + deadlineSeconds(driver, subjectLifeSeconds, rotations) * 1000;
  let told = '';
  for (let turn = Date.now(); ; turn = Math.max(turn + paceMs, Date.now())) {
    const { missing, seen } = await progressOf(driver, began, rotations);
    if (missing === undefined) {
      return;
    }
    if (turn > deadline) {
      throw new NotTestable(`after ${Math.round((turn - began) / 1000)} s ${missing}: ${seen}`);
    }
    if (seen !== told) {
      driver.progress(`calls the client across rotations; ${seen}`);
    }
    told = seen;
    await driver.until(new Date(turn));
    for (const { name } of driver.providers) {
      await call('paced', name);
    }
    await parts.shift()?.();
  }
}

/** What a session takes beside what it waits for. */
const BESIDE_SECONDS = 60;

/**
 * From the instant at which a client documents that it renews an access token to the arrival of the request for the
 * next one.
 */
const RENEWAL_MARGIN_MS = 3_000;

/**
 * Longest time until every file rotated as often as is wanted and the access tokens have ended that the last replaced
 * tokens gave: the first rotation may be as far away as a whole life.
 */
function deadlineSeconds(driver: SessionDriver, subjectLifeSeconds: number, { each }: { each: number }): number {
  return (each + 1) * subjectLifeSeconds + accessLifeOf(driver) + BESIDE_SECONDS;
}

/** The longest life of an access token of the providers. */
function accessLifeOf({ providers }: SessionDriver): number {
  return Math.max(0, ...providers.map(({ accessTokenLifetimeSeconds }) => accessTokenLifetimeSeconds));
}

/** Whether tokens live long enough for the reload interval that a client declares, if it declares one. */
function hasRoom({ reloadSeconds }: SessionDriver, { subjectLifeSeconds }: SessionPlan): boolean {
  return reloadSeconds === undefined || leavesRoom(reloadSeconds, subjectLifeSeconds);
}

/**
 * Lets the time pass for which a client may remember what it read, where it declares one. Where tokens live too short
 * for that nothing is judged by it, and nobody waits.
 */
export async function untilReloaded(
  { reloadSeconds, until }: Pick<SessionDriver, 'reloadSeconds' | 'until'>,
  subjectLifeSeconds: number,
): Promise<void> {
  if (reloadSeconds !== undefined && leavesRoom(reloadSeconds, subjectLifeSeconds)) {
    await until(new Date(Date.now() + 1_000 * reloadSeconds + RENEWAL_MARGIN_MS));
  }
}

/** What is still to be waited for, undefined where there is nothing, and how far each provider's token has come. */
async function progressOf(
  driver: SessionDriver,
  began: number,
  { each, total }: { each: number; total: number },
): Promise<{ missing: string | undefined; seen: string }> {
  const files = await driver.observations();
  const counts = driver.providers.map((provider) => {
    const observed = files.find(({ path }) => path === provider.tokenPath)?.observations ?? [];
    const { at, later } = rotationsSince(observed, began);
    // What the last rotation that counts took away: a client that saw the rotations before may have missed that one.
    const replaced = [at, ...later][each - 1];
    const expiresAt = Number(replaced?.claims.exp ?? Number.POSITIVE_INFINITY) * 1000;
    const { name, accessTokenLifetimeSeconds: life, skewSeconds = 0 } = provider;
    return {
      name,
      rotations: later.length,
      expiresAt,
      // Every client needs a new access token once the one that it got last with that subject token is renewed, as it
      // documents, ...
      renewedAt: expiresAt + (life - skewSeconds) * 1000 + RENEWAL_MARGIN_MS,
      // ... or has ended, at the latest.
      endedAt: expiresAt + life * 1000 + RENEWAL_MARGIN_MS,
    };
  });
  const seen = counts
    .map(({ name, rotations, expiresAt }) => {
      const expiry = Number.isFinite(expiresAt) ? `, its replaced token expires at ${timeOf(expiresAt)}` : '';
      return `${name} rotated ${rotations} times${expiry}`;
    })
    .join('; ');
  const sum = counts.reduce((so, { rotations }) => so + rotations, 0);
  if (sum < total || counts.some(({ rotations }) => rotations < each)) {
    return { missing: `the token files had not rotated ${each} times each and ${total} times together`, seen };
  }
  const now = Date.now();
  const waiting = counts.filter(({ renewedAt }) => now <= renewedAt);
  const names = (some: { name: string }[]): string => some.map(({ name }) => name).join(' and ');
  if (waiting.length > 0) {
    return { missing: `the access tokens of the replaced tokens had not ended (${names(waiting)})`, seen };
  }
  const open = counts.filter(({ endedAt }) => now <= endedAt);
  if (open.length === 0) {
    return { missing: undefined, seen };
  }
  const records = await driver.records();
  const still = open.filter(
    ({ name, expiresAt }) =>
      !records.some(({ kind, at, ...record }) => {
        return kind === 'exchange' && 'provider' in record && record.provider === name && Date.parse(at) > expiresAt;
      }),
  );
  return still.length === 0
    ? { missing: undefined, seen }
    : { missing: `the client had not renewed its access tokens as it documents (skewSeconds; ${names(still)})`, seen };
}

function timeOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString().slice(11, 19);
}
