import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Twin } from '../catalogue/catalogue.ts';
import type { Role } from '../role-data/index.ts';
import type { Candidate } from '../rpc/candidate.ts';
import { Scheduler } from './scheduler.ts';

const twinOf = (name: string, role: Role): Candidate => ({
  kind: 'twin',
  name,
  twin: { name, role } as Twin,
  planned: ['A', 'B'],
});

/**
 * Registers twins of two requirements each, and lets the first requirement of each ask for its turn; `inside` has the
 * names of those let in.
 */
function queue(scheduler: Scheduler, twins: Candidate[]): { inside: string[] } {
  const inside: string[] = [];
  for (const twin of twins) {
    scheduler.register(twin, 'A', 0);
    scheduler.register(twin, 'B', 0);
    void scheduler.admit(twin, 'A').then(() => inside.push(twin.name));
  }
  return { inside };
}

const twinsOf = (role: Role, count: number): Candidate[] =>
  Array.from({ length: count }, (_, index) => twinOf(`${role} ${index}`, role));

const LOOK = 1_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('a busy machine has one candidate for each core, with all of its requirements', async () => {
  const scheduler = new Scheduler({ cores: 2, load: { busy: () => 1 } });
  const twins = twinsOf('cluster', 3);
  const [first] = twins as [Candidate];
  const { inside } = queue(scheduler, twins);
  await vi.advanceTimersByTimeAsync(10 * LOOK);
  expect(inside).toEqual(['cluster 0', 'cluster 1']);
  await scheduler.admit(first, 'B');
  expect(scheduler.done(first)).toBe(false);
  await vi.advanceTimersByTimeAsync(LOOK);
  expect(inside, 'the first candidate has one requirement to go').toHaveLength(2);
  expect(scheduler.done(first), 'the last one').toBe(true);
  await vi.advanceTimersByTimeAsync(0);
  expect(inside).toEqual(['cluster 0', 'cluster 1', 'cluster 2']);
});

test('a machine with room takes one more at each look, up to a number for each core', async () => {
  let busy = 0;
  const scheduler = new Scheduler({ cores: 1, load: { busy: () => busy } });
  const { inside } = queue(scheduler, twinsOf('cluster', 20));
  await vi.advanceTimersByTimeAsync(0);
  expect(inside).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(3 * LOOK);
  expect(inside).toHaveLength(4);
  busy = 0.9;
  await vi.advanceTimersByTimeAsync(3 * LOOK);
  expect(inside).toHaveLength(4);
  busy = 0.2;
  await vi.advanceTimersByTimeAsync(30 * LOOK);
  expect(inside).toHaveLength(12);
});

test('those that wait longest go first; identity providers are one for each core', async () => {
  const scheduler = new Scheduler({ cores: 1, load: { busy: () => 0 } });
  const { inside } = queue(scheduler, [
    ...twinsOf('identity-provider', 3),
    ...twinsOf('job-runner', 1),
    ...twinsOf('cluster', 1),
  ]);
  await vi.advanceTimersByTimeAsync(10 * LOOK);
  expect(inside).toEqual(['identity-provider 0', 'cluster 0', 'job-runner 0']);
});

test('what is expected to take longest goes first, whatever its role', async () => {
  const scheduler = new Scheduler({ cores: 1, load: { busy: () => 0 } });
  const inside: string[] = [];
  for (const [twin, seconds] of [
    [twinOf('short', 'cluster'), 5],
    [twinOf('long', 'job-runner'), 90],
    [twinOf('longer', 'job-runner'), 95],
  ] as const) {
    scheduler.register(twin, 'A', seconds);
    scheduler.register(twin, 'B', 1);
    void scheduler.admit(twin, 'A').then(() => inside.push(twin.name));
  }
  await vi.advanceTimersByTimeAsync(5 * LOOK);
  expect(inside, 'the first one is admitted before the others have asked').toEqual(['short', 'longer', 'long']);
});

test('sessions of token clients, which mostly wait, are some for each core however busy the machine is', async () => {
  const scheduler = new Scheduler({ cores: 2, load: { busy: () => 1 } });
  const { inside } = queue(scheduler, [...twinsOf('token-client', 9), ...twinsOf('cluster', 3)]);
  await vi.advanceTimersByTimeAsync(10 * LOOK);
  expect(inside).toEqual(twinsOf('token-client', 6).map(({ name }) => name));
});

test('of one role those with the most requirements go first', async () => {
  const scheduler = new Scheduler({ cores: 1, load: { busy: () => 0 } });
  const [first, few, many] = twinsOf('cluster', 3) as [Candidate, Candidate, Candidate];
  const { inside } = queue(scheduler, [first, few, { ...many, planned: ['A', 'B', 'C'] }]);
  await vi.advanceTimersByTimeAsync(3 * LOOK);
  expect(inside).toEqual([first.name, many.name, few.name]);
});

describe('requirements of the references', () => {
  const references = { kind: 'references', name: 'references', planned: [] } satisfies Candidate;

  /** Requirements that take so many seconds each; `begun` has those that were admitted, in their order. */
  function ask(scheduler: Scheduler, seconds: number[]): { begun: number[] } {
    const begun: number[] = [];
    for (const [index, each] of seconds.entries()) {
      scheduler.register(references, `A-${index}`, each);
      void scheduler.admit(references, `A-${index}`).then(() => begun.push(each));
    }
    return { begun };
  }

  const LOOK_ROWS = 250;

  test('what takes longest begins first, some of them at once however busy the machine is', async () => {
    const { begun } = ask(new Scheduler({ cores: 1, load: { busy: () => 1 } }), [1, 90, 5, 60, 2, 30]);
    await vi.advanceTimersByTimeAsync(LOOK_ROWS);
    expect(begun).toEqual([90, 60, 30, 5]);
  });

  test('requirements of one observation begin together, and count as one', async () => {
    const scheduler = new Scheduler({ cores: 1, load: { busy: () => 1 } });
    const begun: string[] = [];
    const rows = [
      ['one', 90],
      ['two', 80],
      ['one', 70],
      ['three', 60],
      ['four', 50],
      ['five', 40],
      ['one', 1],
    ] as const;
    for (const [index, [observation, seconds]] of rows.entries()) {
      scheduler.register(references, `A-${index}`, seconds);
      void scheduler.admit(references, `A-${index}`, observation).then(() => begun.push(`${observation} ${seconds}`));
    }
    await vi.advanceTimersByTimeAsync(LOOK_ROWS);
    expect(begun).toEqual(['one 90', 'one 70', 'one 1', 'two 80', 'three 60', 'four 50']);
    await scheduler.admit(references, 'A-0', 'one');
  });

  test('on a busy machine the others begin one by one, on one with room a few at a time', async () => {
    let busy = 1;
    const scheduler = new Scheduler({ cores: 1, load: { busy: () => busy } });
    const { begun } = ask(
      scheduler,
      Array.from({ length: 20 }, () => 1),
    );
    await vi.advanceTimersByTimeAsync(LOOK_ROWS);
    expect(begun).toHaveLength(4);
    await vi.advanceTimersByTimeAsync(12 * LOOK_ROWS);
    expect(begun, 'one in a second and a half').toHaveLength(6);
    busy = 0.2;
    await vi.advanceTimersByTimeAsync(2 * LOOK_ROWS);
    expect(begun).toHaveLength(12);
    await vi.advanceTimersByTimeAsync(10 * LOOK_ROWS);
    expect(begun, 'nobody is forgotten').toHaveLength(20);
  });
});
