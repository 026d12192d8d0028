import type { Stall } from '../../fixtures/workloads/lib/heartbeat.ts';
import { DeadlineExceeded, describeError, HarnessError, TookTooLong } from './errors.ts';

/**
 * A wait that ended at its deadline, or a time beyond its bound, says nothing of the target where the machine that runs both the harness and the cluster stood still
 * meanwhile: whatever came too late had no processor to come in time.
 *
 * @param stalls of the harness, at any time
 * @param since when the requirement began, in milliseconds since the epoch
 * @returns what was thrown, or a harness error in its place
 */
export function unlessStarved(thrown: unknown, stalls: Stall[], since: number): unknown {
  if (!(thrown instanceof DeadlineExceeded || thrown instanceof TookTooLong)) return thrown;
  const during = stalls.filter(({ to }) => Date.parse(to) > since);
  if (during.length === 0) return thrown;
  const longest = Math.max(...during.map(({ from, to }) => Date.parse(to) - Date.parse(from)));
  return new HarnessError(
    `the machine stood still ${during.length} times, ${(longest / 1000).toFixed(1)} s at the longest, so that this says nothing: ${describeError(thrown)}`,
  );
}
