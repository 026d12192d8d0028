import { cpus } from 'node:os';
import { expect, test } from 'vitest';
import { processorsSince } from './load.ts';

/** /proc/stat counts in hundredths of a second. */
const SPIN_MS = 400;

test('one processor that does nothing but count is busy', () => {
  const busy = processorsSince();
  const until = performance.now() + SPIN_MS;
  while (performance.now() < until);
  const share = busy();
  expect(share).toBeGreaterThan(0.5 / cpus().length);
  expect(share).toBeLessThanOrEqual(1);
});
