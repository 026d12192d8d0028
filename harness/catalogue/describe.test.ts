import { expect, test } from 'vitest';
import { describePreconditions } from './describe.ts';

test('every kind of precondition is told', () => {
  const lines = describePreconditions({
    preconditions: {
      capabilities: ['cancel', 'stream'],
      simulatedProviders: ['slow', 'down'],
      rotations: true,
      podSecurity: 'baseline',
      cluster: ['two-nodes'],
    },
    expensive: true,
    expectedSeconds: 40,
  });
  expect(lines).toEqual([
    'the target declares the capability cancel',
    'the target declares the capability stream',
    'simulated identity providers: slow, down',
    'the client is watched across token rotations',
    'a namespace that enforces no more than Pod Security baseline',
    'two schedulable nodes',
    'expensive: evaluated only for the twins that must fail it',
    'takes about 40 s',
  ]);
});

test('nothing special', () => {
  expect(describePreconditions({})).toEqual([]);
});
