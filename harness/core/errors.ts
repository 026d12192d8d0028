/**
 * What can go wrong, kept apart: a verdict about the target is one thing, a fault of the harness another.
 * See {@link ./outcome.ts} for the outcome that each of them becomes.
 */

/** The target breaks its contract. Becomes the outcome `failed`, as an assertion of `expect` does. */
export class Violation extends Error {
  override readonly name = 'Violation';
  readonly mayBeTheMachine: boolean;
  readonly findings: readonly string[];

  /**
   * @param mayBeTheMachine all that is wrong is that something was late or missing, as it is where a machine has no
   * processor to give
   * @param findings everything that is wrong, where the message names the first of it only
   */
  constructor(message: string, mayBeTheMachine = false, findings: readonly string[] = []) {
    super(message);
    this.mayBeTheMachine = mayBeTheMachine;
    this.findings = findings;
  }
}

/**
 * Something took longer than it may. In the body of a requirement it means that the target did not do what it must in
 * time: `failed`.
 */
export class TookTooLong extends Error {
  override readonly name: string = 'TookTooLong';
}

/** A wait ended at its deadline. */
export class DeadlineExceeded extends TookTooLong {
  override readonly name = 'DeadlineExceeded';

  /**
   * @param what what was waited for, for example `pod agent-1 to be Ready`
   * @param waitedSeconds how long
   * @param lastSeen what was seen last, in words
   */
  constructor(what: string, waitedSeconds: number, lastSeen: string) {
    super(`waited ${waitedSeconds.toFixed(1)} s for ${what}; last seen: ${lastSeen}`);
  }
}

/**
 * Holds a time against its bound.
 *
 * @param what what takes the time, in words
 * @throws TookTooLong when it is over the bound, or not a number
 */
export function expectWithin(what: string, seconds: number, atMostSeconds: number): void {
  if (!(seconds <= atMostSeconds)) {
    throw new TookTooLong(`${what}: ${seconds} s, and at most ${atMostSeconds} s`);
  }
}

/** The same of a bound that must not be reached. */
export function expectBefore(what: string, seconds: number, limitSeconds: number): void {
  if (!(seconds < limitSeconds)) {
    throw new TookTooLong(`${what}: ${seconds} s, and less than ${limitSeconds} s`);
  }
}

/**
 * A prerequisite on the side of the target is missing, so that nothing can be said about the requirement: `not
 * testable`.
 */
export class NotTestable extends Error {
  override readonly name = 'NotTestable';
}

/** The requirement does not bind this target here; the reason quotes the declaration or the limit: `not applicable`. */
export class NotApplicable extends Error {
  override readonly name = 'NotApplicable';
}

/** The environment or the harness itself failed; nothing is said about the target: `harness error`. */
export class HarnessError extends Error {
  override readonly name = 'HarnessError';
}

/** Wrong use of the command line: a flag, suite or id that does not exist. The CLI exits with 64 (`EX_USAGE`). */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** What is read of an answer's body, whole or as text: a Status (Kubernetes, "API Concepts"). */
function statusOf(body: unknown): { message?: unknown; reason?: unknown } {
  if (typeof body !== 'string') {
    return (body ?? {}) as { message?: unknown; reason?: unknown };
  }
  try {
    return JSON.parse(body) as { message?: unknown; reason?: unknown };
  } catch {
    return { message: body.replaceAll(/\s+/g, ' ').trim().slice(0, LONGEST_BODY) };
  }
}

const LONGEST_BODY = 300;

/**
 * What an API server answered instead of yes, in its own words. Its client throws whole answers, headers included,
 * which nobody reads and which are nobody's business.
 */
export function describeAnswer(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error && 'body' in error && 'headers' in error)) {
    return undefined;
  }
  const { message, reason } = statusOf(error.body);
  const detail = typeof message === 'string' && message !== '' ? `: ${message}` : '';
  return `the API server answered ${error.code}${typeof reason === 'string' && reason !== '' ? ` ${reason}` : ''}${detail}`;
}

/** The text of anything that was thrown, its causes included, in one line. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  const description = describeAnswer(error) ?? (error.message === '' ? error.name : error.message);
  if (error instanceof AggregateError && error.errors.length > 0) {
    return `${description}: ${error.errors.map(describeError).join('; ')}`;
  }
  return error.cause === undefined ? description : `${description}: ${describeError(error.cause)}`;
}
