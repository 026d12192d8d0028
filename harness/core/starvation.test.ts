import { expect, test } from 'vitest';
import { stallUntil } from '../../fixtures/workloads/lib/heartbeat.ts';
import { DeadlineExceeded, expectBefore, expectWithin, HarnessError, NotTestable, Violation } from './errors.ts';
import { doubtAbout, stallsSince, unlessOverloaded, unlessStarved } from './starvation.ts';

const BEGUN = Date.parse('2026-01-01T00:00:00Z');
const late = new DeadlineExceeded('a pod to end', 120, 'Running');
const stall = (afterSeconds: number) => stallUntil('the harness', BEGUN + afterSeconds * 1000, 1_500);

test('a wait that ended at its deadline on a machine that stalled is a harness error that says both', () => {
  const error = unlessStarved(late, [stall(10), stall(50)]);
  expect(error).toBeInstanceOf(HarnessError);
  expect((error as Error).message).toMatch(/stalled 2 times, 1\.5 s at the longest.*waited 120\.0 s for a pod to end/);
});

test('stalls before it began explain nothing', () => {
  expect(stallsSince([stall(-60), stall(10)], BEGUN)).toEqual([stall(10)]);
  expect(unlessStarved(late, [])).toBe(late);
});

test('what was seen to be wrong stays wrong, however busy the machine was', () => {
  const wrong = new Violation('it answers 200');
  expect(unlessStarved(wrong, [stall(10)])).toBe(wrong);
});

test('what is late once more on a machine that others overload is a harness error that says so; the rest stays', () => {
  const doubt = 'while the machine stalled for 3.0 s';
  const error = unlessOverloaded(late, doubt, 25.4);
  expect(error).toBeInstanceOf(HarnessError);
  expect((error as Error).message).toMatch(/25 tasks for each processor.*waited 120\.0 s for a pod to end/);
  expect(unlessOverloaded(late, doubt, 3)).toBe(late);
  expect(unlessOverloaded(late, doubt, undefined)).toBe(late);
  expect(unlessOverloaded(late, undefined, 25.4), 'what was seen is never in doubt').toBe(late);
});

test('what was late or missing is in doubt while the machine stalled or was busy; what was seen never is', () => {
  const seen = new Violation('it answers 200');
  expect(doubtAbout(seen, [stall(10), stall(50)], 1)).toBeUndefined();
  expect(doubtAbout(late, [stall(10), stall(50)], 0)).toBe('while the machine stalled for 3.0 s');
  expect(doubtAbout(new Error('expected 3 to be 4'), [stall(10)], 0)).toBe('while the machine stalled for 1.5 s');
  expect(doubtAbout(late, [], 0.97)).toBe("while the machine's processors were 97 % busy");
  expect(doubtAbout(new NotTestable('no pod became ready'), [], 0.97)).toBeDefined();
  expect(doubtAbout(new Violation('it came late', true), [], 0.97)).toBeDefined();
  expect(doubtAbout(new Error('expected 3 to be 4'), [], 0.97)).toBeUndefined();
  expect(doubtAbout(late, [], 0.3)).toBeUndefined();
});

test('so is a time beyond its bound', () => {
  const thrown = (seconds: number): unknown => {
    try {
      return expectWithin('the end of a Job', seconds, 21);
    } catch (error) {
      return error;
    }
  };
  expect(thrown(21)).toBeUndefined();
  expect(unlessStarved(thrown(23), [])).toMatchObject({ message: 'the end of a Job: 23 s, and at most 21 s' });
  expect(unlessStarved(thrown(23), [stall(10)])).toBeInstanceOf(HarnessError);
  expect(thrown(Number.NaN)).toBeInstanceOf(Error);
  expect(() => expectBefore('a replacement', 21, 21)).toThrow('a replacement: 21 s, and less than 21 s');
  expect(() => expectBefore('a replacement', 20.9, 21)).not.toThrow();
});
