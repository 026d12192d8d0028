import { HarnessError, NotApplicable, NotTestable, TookTooLong, Violation } from './errors.ts';

/** What came of one requirement for one subject. The six are never collapsed into fewer. */
export const OUTCOMES = ['passed', 'failed', 'not applicable', 'not testable', 'disabled', 'harness error'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** How the reason begins of what a cluster lacks something for that the harness would evaluate it by. */
export const LACKED = 'this cluster lacks for the harness';

/** Whether it counts against an implementation. */
export function isRed(outcome: Outcome): boolean {
  return outcome === 'failed' || outcome === 'not testable';
}

/** Chai's assertion error, by name: Vitest bundles its own copy, so that `instanceof` cannot be used. */
function isAssertion(error: unknown): boolean {
  return error instanceof Error && error.name === 'AssertionError';
}

/**
 * The outcome that something thrown in the body of a requirement stands for.
 *
 * Only an assertion, a {@link Violation} and what took too long speak about the target; whatever else is thrown
 * (a refused connection, a TypeError) is the harness's own fault and never a verdict.
 */
export function outcomeOf(error: unknown): Outcome {
  if (isAssertion(error) || error instanceof Violation || error instanceof TookTooLong) {
    return 'failed';
  }
  if (error instanceof NotApplicable) {
    return 'not applicable';
  }
  if (error instanceof NotTestable) {
    return 'not testable';
  }
  return 'harness error';
}

/** How a fixture's error is reported: what is not already classified is a fault of the environment. */
export function asHarnessError(what: string, error: unknown): Error {
  if (error instanceof NotApplicable || error instanceof NotTestable || error instanceof HarnessError) {
    return error;
  }
  return new HarnessError(what, { cause: error });
}
