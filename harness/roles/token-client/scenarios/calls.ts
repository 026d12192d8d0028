import { setTimeout as delay } from 'node:timers/promises';
import { STALL_MS, type Stall, stallUntil } from '../../../../fixtures/workloads/lib/heartbeat.ts';
import { redact } from '../../../core/redact.ts';
import { limitSeconds } from '../../../core/time-limits.ts';
import type { SessionDriver } from '../driver.ts';
import { type Call, type Phase, withoutToken } from '../record.ts';
import type { SessionPlan } from './session-plan.ts';

const START_PATIENCE_MS = limitSeconds('processStart') * 1_000;

/** Lets the client make one call, and writes it down. */
export type MakeCall = (phase: Phase, provider: string, more?: Pick<Call, 'burst' | 'act'>) => Promise<Call>;

/** Calls of which it counts how long they take. */
const TIMED: ReadonlySet<Phase> = new Set(['missing', 'blank', 'white-space', 'renewal', 'hanging', 'outage']);

/**
 * Calls that may take as long as the client's time limit: of providers that do not behave, where it may try again until
 * then.
 */
const WAITS_FOR_LIMIT: ReadonlySet<Phase> = new Set([
  'refused',
  'recovered',
  'blanked',
  'restored',
  'simulated',
  'renewal',
  'hanging',
  'outage',
]);

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

/** What is noted of the calls of a session. */
export interface CallLog {
  calls: Call[];
  /** When the way to the client alone took too long. */
  slowWays: Stall[];
}

/** Makes calls of a client, and writes them down. */
export function callsOf(
  driver: SessionDriver,
  plan: Pick<SessionPlan, 'patienceMs'>,
  { calls, slowWays }: CallLog,
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
