import { expect, test } from 'vitest';
import type { Subject } from './protocol.ts';
import { Turns } from './turns.ts';

const subject = (name: string, role?: Subject['role']): Subject => ({
  name,
  ...(role === undefined ? {} : { role }),
  planned: ['A', 'B'],
});

async function isIn(entering: Promise<void>): Promise<boolean> {
  return Promise.race([entering.then(() => true), new Promise<boolean>((resolve) => setImmediate(resolve, false))]);
}

test('some subjects of a role at a time, each with all of its requirements', async () => {
  const turns = new Turns(4);
  const twins = Array.from({ length: 5 }, (_, index) => subject(`twin-${index}`, 'identity-provider'));
  for (const twin of twins) {
    turns.register(twin);
    turns.register(twin);
  }
  const entering = twins.map((twin) => turns.enter(twin));
  const [first, last] = [twins[0], twins[4]];
  if (first === undefined || last === undefined) throw new Error('no twins');
  expect(await Promise.all(entering.map(isIn))).toEqual([true, true, true, true, false]);
  expect(await isIn(turns.enter(first)), 'another requirement of a subject that is in').toBe(true);
  turns.leave(first);
  expect(await isIn(turns.enter(last)), 'the first subject has one requirement to go').toBe(false);
  turns.leave(first);
  expect(await isIn(turns.enter(last))).toBe(true);
});

test('the references never wait', async () => {
  const turns = new Turns();
  const references = subject('references');
  turns.register(references);
  expect(await isIn(turns.enter(references))).toBe(true);
  turns.leave(references);
});
