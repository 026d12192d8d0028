const ATTEMPTS = 5;

/**
 * By how much another clock is ahead of this one.
 *
 * @param ask the other clock, milliseconds since the epoch; the answer that took least time counts
 * @returns milliseconds; 0 where the difference is less than what the way there and back takes, so that there may be
 *   none
 */
export async function clockAheadMs(ask: () => Promise<number>): Promise<number> {
  let shortest = Number.POSITIVE_INFINITY;
  let ahead = 0;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const before = Date.now();
    const there = await ask();
    const after = Date.now();
    if (after - before >= shortest) {
      continue;
    }
    shortest = after - before;
    ahead = there - (before + after) / 2;
  }
  return Math.abs(ahead) <= shortest ? 0 : Math.round(ahead);
}
