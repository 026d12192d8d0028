import type { Stall } from '../../fixtures/workloads/lib/heartbeat.ts';
import { describeError, HarnessError, NotTestable, TookTooLong, Violation } from './errors.ts';

/** How the message of a harness error about a machine that did not run begins. */
export const STALLED = 'the machine stalled';

/** The stalls that ended after an instant, in milliseconds since the epoch. */
export function stallsSince(stalls: Stall[], since: number): Stall[] {
  return stalls.filter(({ to }) => Date.parse(to) > since);
}

const lengthOf = ({ from, to }: Stall): number => (Date.parse(to) - Date.parse(from)) / 1000;

/** What is late while the processors had this share of their time to do, or more, may be late for that. */
const BUSY = 0.7;

/**
 * Why a red verdict on the harness's own cluster may be the machine's fault, in words: something came too late, or did
 * not come, while the machine stalled or its processors were busy. What was seen to be wrong (a token accepted, a field
 * in a Job, a pod alive after its end was reported) is never in doubt.
 *
 * @param thrown what the verdict came of
 * @param stalls of the harness, since the requirement began
 * @param busy the share of the processors' time that was not idle, since then
 */
export function doubtAbout(thrown: unknown, stalls: Stall[], busy: number): string | undefined {
  if (thrown instanceof Violation && !thrown.mayBeTheMachine) {
    return undefined;
  }
  if (stalls.length > 0) {
    const seconds = stalls.reduce((sum, stall) => sum + lengthOf(stall), 0);
    return `while the machine stalled for ${seconds.toFixed(1)} s`;
  }
  const isLateOrMissing =
    thrown instanceof TookTooLong ||
    // What a target needs to be tested at all is waited for, too.
    thrown instanceof NotTestable ||
    thrown instanceof Violation;
  return isLateOrMissing && busy >= BUSY
    ? `while the machine's processors were ${Math.round(busy * 100)} % busy`
    : undefined;
}

/** So many tasks for each processor, on average, are more than what the harness puts on a machine for a few rows. */
const OVERLOADED = 8;

/**
 * What is late or missing says nothing of the target where the machine was overloaded by others: while no more than a
 * few rows were evaluated again, or the cluster is on other machines.
 *
 * @param queue tasks for each processor, on average, since the requirement began; undefined where that is not known
 * @returns what was thrown, or a harness error in its place
 */
export function unlessOverloaded(thrown: unknown, doubt: string | undefined, queue: number | undefined): unknown {
  if (doubt === undefined || queue === undefined || queue < OVERLOADED) {
    return thrown;
  }
  return new HarnessError(
    `the machine was overloaded, with ${Math.round(queue)} tasks for each processor, so that this says nothing; run it where less is done alongside: ${describeError(thrown)}`,
  );
}

/**
 * A wait that ended at its deadline, or a time beyond its bound, says nothing of the target where the machine that runs
 * both the harness and the cluster stalled meanwhile: whatever came too late had no processor to come in time.
 *
 * @param stalls of the harness, since the requirement began
 * @returns what was thrown, or a harness error in its place
 */
export function unlessStarved(thrown: unknown, stalls: Stall[]): unknown {
  if (!(thrown instanceof TookTooLong) || stalls.length === 0) {
    return thrown;
  }
  const longest = Math.max(...stalls.map(lengthOf));
  return new HarnessError(
    `${STALLED} ${stalls.length} times, ${longest.toFixed(1)} s at the longest, so that this says nothing: ${describeError(thrown)}`,
  );
}
