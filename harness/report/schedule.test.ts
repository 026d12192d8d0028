import { expect, test } from 'vitest';
import { resultOf } from './report-builders.ts';
import { criticalPath, lanesOf } from './schedule.ts';

const at = (second: number): string => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
const result = (id: string, from: number, to: number) =>
  resultOf(id, 'passed', { startedAt: at(from), durationMs: (to - from) * 1000 });

test('no two in a lane overlap, and there are no more lanes than were at work at once', () => {
  const results = [result('a', 0, 10), result('b', 5, 8), result('c', 8, 20), result('d', 10, 12)];
  expect(lanesOf(results).map((lane) => lane.map(({ id }) => id))).toEqual([
    ['a', 'd'],
    ['b', 'c'],
  ]);
});

test('the critical path goes back from what ended last', () => {
  const results = [result('a', 2, 10), result('b', 3, 9), result('c', 10, 20), result('d', 10, 12)];
  const { steps, ...times } = criticalPath({ startedAt: at(0), finishedAt: at(25), results });
  expect(steps.map(({ id }) => id)).toEqual(['a', 'c']);
  expect(times, 'c alone took 10 s').toEqual({ setUpMs: 2000, cleanUpMs: 5000, shortestMs: 17_000 });
});

test('nothing was evaluated: all of it was set-up', () => {
  expect(criticalPath({ startedAt: at(0), finishedAt: at(9), results: [] })).toEqual({
    setUpMs: 9000,
    cleanUpMs: 0,
    steps: [],
    shortestMs: 9000,
  });
});
