/** What requirement.test.ts lets a worker of its own evaluate: one body for each way in which one can end. */
import { expect } from 'vitest';
import { NotTestable, Violation } from '../../core/errors.ts';
import { requirement } from './requirement.ts';

requirement('XX-01', async (t) => {
  t.evidence('seen', { token: 'none' });
  t.evidence('planned', [...t.planned.simulatedProviders]);
});

requirement('XX-02', async () => {
  throw new Violation('it was seen to be wrong');
});

requirement('XX-03', async () => {
  expect.soft(1).toBe(2);
});

requirement('XX-04', async () => {
  throw new NotTestable('its prerequisite is missing');
});

requirement('XX-05', async () => {
  throw new TypeError('a fault of the check');
});

requirement('XX-06', async () => undefined);

requirement('XX-07', async (t) => {
  await t.identityProvider();
});

requirement('XX-08', async () => undefined);
