import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { clockAheadMs } from './clock-difference.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: 0 });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A clock that is ahead, and slow ways to it. */
function clock(ahead: number, ...ways: number[]) {
  let attempt = 0;
  return async (): Promise<number> => {
    const way = ways[Math.min(attempt, ways.length - 1)] ?? 0;
    attempt += 1;
    vi.setSystemTime(Date.now() + way);
    const there = Date.now() + ahead;
    vi.setSystemTime(Date.now() + way / 2);
    return there;
  };
}

test('another clock is ahead or behind by what the quickest answer shows', async () => {
  expect(await clockAheadMs(clock(5_000, 900, 12, 900))).toBe(5_003);
  expect(await clockAheadMs(clock(-5_000, 0))).toBe(-5_000);
});

test('a difference that the way there can explain is none', async () => {
  expect(await clockAheadMs(clock(0, 300))).toBe(0);
  expect(await clockAheadMs(clock(20, 40))).toBe(0);
});
