import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type SetUpProgress, StepReporter } from './progress.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it('reports begin, advance and end, and every ten seconds that a silent step goes on', async () => {
  const reported: SetUpProgress[] = [];
  const report = new StepReporter('image node', (progress) => reported.push(progress));
  const result = report.step('compile', async (advance) => {
    advance('1 package');
    await new Promise((resolve) => setTimeout(resolve, 25_000));
    return 7;
  });
  await vi.advanceTimersByTimeAsync(25_000);
  expect(await result).toBe(7);
  expect(reported.map(({ phase, detail }) => [phase, detail])).toEqual([
    ['begin', undefined],
    ['advance', '1 package'],
    ['advance', '1 package'],
    ['advance', '1 package'],
    ['end', '1 package'],
  ]);
  expect(vi.getTimerCount()).toBe(0);
});

it('has no end, and leaves no timer, when the step fails', async () => {
  const reported: string[] = [];
  const report = new StepReporter('engine', ({ phase }) => reported.push(phase));
  await expect(report.step('start', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(reported).toEqual(['begin']);
  expect(vi.getTimerCount()).toBe(0);
});
