import { expect, test } from 'vitest';
import { incompatiblePair } from '../core/incompatible-pair.ts';
import { collectIncompatibilities, incompatibilitySchema } from './incompatibilities.ts';

const pair = {
  between: ['some-client', 'keycloak'] as [string, string],
  why: 'the one does this: the other\ndoes not take it.',
  remedy: 'use `--idp embedded`.',
};

test('a pair is told once, with every requirement that it ends', () => {
  const reason = incompatiblePair(pair).message;
  const collected = collectIncompatibilities([
    { id: 'TX-01', outcome: 'not applicable', reason },
    { id: 'TX-03', outcome: 'not applicable', reason },
    { id: 'TX-05', outcome: 'passed' },
    { id: 'TX-06', outcome: 'not applicable', reason: 'the target does not declare token_exchange' },
    { id: 'TX-07', outcome: 'failed', reason },
  ]);
  expect(collected).toEqual([{ ...pair, requirements: ['TX-01', 'TX-03'] }]);
  expect(incompatibilitySchema.safeParse(collected[0]).success).toBe(true);
});
