import { expect, test } from 'vitest';
import { renewalTimes } from './simulated-failures.ts';

test.each([
  [0, { lifeSeconds: 28, dueSeconds: 15 }],
  [5, { lifeSeconds: 28, dueSeconds: 24 }],
  [30, { lifeSeconds: 36, dueSeconds: 19 }],
  [120, { lifeSeconds: 126, dueSeconds: 7 }],
  [1_200, { lifeSeconds: 1_206, dueSeconds: 7 }],
])('with a skew of %i s a token is renewed while it is good for some time', (skewSeconds, wanted) => {
  expect(renewalTimes(skewSeconds)).toEqual(wanted);
  expect(wanted.lifeSeconds - wanted.dueSeconds).toBeGreaterThan(3);
});
