import type { Stall } from '../../fixtures/workloads/lib/heartbeat.ts';
import { DeadlineExceeded, describeError, HarnessError, TookTooLong } from './errors.ts';

/** The stalls that ended after an instant, in milliseconds since the epoch. */
export function stallsSince(stalls: Stall[], since: number): Stall[] {
  return stalls.filter(({ to }) => Date.parse(to) > since);
}

const lengthOf = ({ from, to }: Stall): number => (Date.parse(to) - Date.parse(from)) / 1000;

/** How long all of them lasted. */
export function stalledSeconds(stalls: Stall[]): number {
  return Number(stalls.reduce((sum, stall) => sum + lengthOf(stall), 0).toFixed(1));
}

/**
 * A wait that ended at its deadline, or a time beyond its bound, says nothing of the target where the machine that runs both the harness
 * and the cluster stood still meanwhile: whatever came too late had no processor to come in time.
 *
 * @param stalls of the harness, since the requirement began
 * @returns what was thrown, or a harness error in its place
 */
export function unlessStarved(thrown: unknown, stalls: Stall[]): unknown {
  if (!(thrown instanceof DeadlineExceeded || thrown instanceof TookTooLong) || stalls.length === 0) return thrown;
  const longest = Math.max(...stalls.map(lengthOf));
  return new HarnessError(
    `the machine stood still ${stalls.length} times, ${longest.toFixed(1)} s at the longest, so that this says nothing: ${describeError(thrown)}`,
  );
}
