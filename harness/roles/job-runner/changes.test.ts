import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SeenChanges } from './changes.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a condition that is met at a change, at once, or not in time', async () => {
  const changes = new SeenChanges(new AbortController().signal);
  let seen = 0;
  const waiting = changes.until(() => seen === 2, 10);
  seen = 1;
  changes.notify();
  seen = 2;
  changes.notify();
  expect(await waiting).toBe(true);
  expect(await changes.until(() => seen === 2, 10)).toBe(true);
  const late = changes.until(() => seen === 3, 10);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await late).toBe(false);
});

test('what is found is given, and what throws ends the wait', async () => {
  const changes = new SeenChanges(new AbortController().signal);
  expect(await changes.find(() => 'found', 1)).toBe('found');
  await expect(
    changes.find(() => {
      throw new Error('broken');
    }, 1),
  ).rejects.toThrow('broken');
});

test('looking on takes its whole time, whatever is seen', async () => {
  const changes = new SeenChanges(new AbortController().signal);
  let isOver = false;
  const watching = changes.watchFor(3).then(() => {
    isOver = true;
  });
  changes.notify();
  await vi.advanceTimersByTimeAsync(2_900);
  expect(isOver).toBe(false);
  await vi.advanceTimersByTimeAsync(100);
  await watching;
});

test('an abort ends every wait with its reason, those that begin after it too', async () => {
  const controller = new AbortController();
  const changes = new SeenChanges(controller.signal);
  const waiting = changes.watchFor(60);
  controller.abort(new Error('the run was aborted'));
  await expect(waiting).rejects.toThrow('the run was aborted');
  await expect(changes.watchFor(60)).rejects.toThrow('the run was aborted');
});
