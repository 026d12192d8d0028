import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Role, Twin } from '../catalogue/catalogue.ts';
import type { Candidate } from '../rpc/candidate.ts';
import { Turns } from './scheduler.ts';

const twinOf = (name: string, role: Role): Candidate => ({
  kind: 'twin',
  name,
  twin: { name, role } as Twin,
  planned: ['A', 'B'],
});

/** Registers twins of two requirements each, and lets the first requirement of each ask for its turn; `inside` has the names of those let in. */
function queue(turns: Turns, twins: Candidate[]): { inside: string[] } {
  const inside: string[] = [];
  for (const twin of twins) {
    turns.register(twin);
    turns.register(twin);
    void turns.enter(twin).then(() => inside.push(twin.name));
  }
  return { inside };
}

const twinsOf = (role: Role, count: number): Candidate[] =>
  Array.from({ length: count }, (_, index) => twinOf(`${role} ${index}`, role));

const LOOK = 1_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('a busy machine has one candidate for each core, with all of its requirements', async () => {
  const turns = new Turns({ cores: 2, load: { busy: () => 1 } });
  const twins = twinsOf('cluster', 3);
  const [first] = twins as [Candidate];
  const { inside } = queue(turns, twins);
  await vi.advanceTimersByTimeAsync(10 * LOOK);
  expect(inside).toEqual(['cluster 0', 'cluster 1']);
  await turns.enter(first);
  expect(turns.leave(first)).toBe(false);
  await vi.advanceTimersByTimeAsync(LOOK);
  expect(inside, 'the first candidate has one requirement to go').toHaveLength(2);
  expect(turns.leave(first), 'the last one').toBe(true);
  await vi.advanceTimersByTimeAsync(0);
  expect(inside).toEqual(['cluster 0', 'cluster 1', 'cluster 2']);
});

test('a machine with room takes one more at each look, up to a number for each core', async () => {
  let busy = 0;
  const turns = new Turns({ cores: 1, load: { busy: () => busy } });
  const { inside } = queue(turns, twinsOf('cluster', 20));
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
  const turns = new Turns({ cores: 1, load: { busy: () => 0 } });
  const { inside } = queue(turns, [
    ...twinsOf('identity-provider', 3),
    ...twinsOf('job-runner', 1),
    ...twinsOf('cluster', 1),
  ]);
  await vi.advanceTimersByTimeAsync(10 * LOOK);
  expect(inside).toEqual(['identity-provider 0', 'cluster 0', 'job-runner 0']);
});

test('of one role those with the most requirements go first', async () => {
  const turns = new Turns({ cores: 1, load: { busy: () => 0 } });
  const [first, few, many] = twinsOf('cluster', 3) as [Candidate, Candidate, Candidate];
  const { inside } = queue(turns, [first, few, { ...many, planned: ['A', 'B', 'C'] }]);
  await vi.advanceTimersByTimeAsync(3 * LOOK);
  expect(inside).toEqual([first.name, many.name, few.name]);
});

test('the references never wait', async () => {
  const turns = new Turns({ load: { busy: () => 1 } });
  const references = { kind: 'references', name: 'references', planned: ['A', 'B'] } satisfies Candidate;
  turns.register(references);
  await turns.enter(references);
  turns.leave(references);
});
