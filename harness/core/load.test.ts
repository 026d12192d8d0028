import { cpus } from 'node:os';
import { expect, test, vi } from 'vitest';
import { machineLoad, processorsSince, QueueLength, runnableTasks, stalledMicroseconds } from './load.ts';

/** /proc/stat counts in hundredths of a second. */
const SPIN_MS = 400;

test('one processor that does nothing but count is busy', () => {
  const busy = processorsSince();
  const until = performance.now() + SPIN_MS;
  while (performance.now() < until) {}
  const share = busy();
  expect(share).toBeGreaterThan(0.5 / cpus().length);
  expect(share).toBeLessThanOrEqual(1);
});

test('pressure is read from the total of those lines that are about some task', () => {
  const contents =
    'some avg10=95.56 avg60=91.88 avg300=89.58 total=2141140061\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n';
  expect(stalledMicroseconds(contents)).toBe(2_141_140_061);
  expect(stalledMicroseconds('')).toBeUndefined();
  expect(stalledMicroseconds('full avg10=0.00 avg60=0.00 avg300=0.00 total=7')).toBeUndefined();
});

test('tasks that run or wait are read from the fourth field of the load', () => {
  expect(runnableTasks('29.70 54.13 48.36 34/912 12345\n')).toBe(34);
  expect(runnableTasks('')).toBeUndefined();
});

test('the queue of a machine is its mean since somebody asked, and unknown where the kernel does not say', () => {
  vi.useFakeTimers();
  try {
    let runnable = 100 * cpus().length;
    const queue = new QueueLength(() => `1.00 1.00 1.00 ${runnable}/912 7\n`, 500);
    const silent = new QueueLength(() => '', 500).since();
    vi.advanceTimersByTime(1_000);
    const since = queue.since();
    expect(since()).toBeUndefined();
    runnable = 2 * cpus().length;
    vi.advanceTimersByTime(500);
    runnable = 4 * cpus().length;
    vi.advanceTimersByTime(500);
    expect(since()).toBe(3);
    expect(silent()).toBeUndefined();
  } finally {
    vi.useRealTimers();
  }
});

test('a process whose event loop is full has no room', () => {
  const load = machineLoad();
  // The loop is held up, and the processor is left to others.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SPIN_MS);
  expect(load.busy()).toBeGreaterThan(0.9);
});
