import { expect, test } from 'vitest';
import { lifetimeForReload, reloadRoomSeconds } from './reload.ts';

const accelerated = {
  kind: 'accelerated',
  lifetimeSeconds: 60,
  clientLifetimeSeconds: 25,
  syncFrequencySeconds: 1,
} as const;
const real = { kind: 'real', lifetimeSeconds: 600, clientLifetimeSeconds: 600, syncFrequencySeconds: 60 } as const;

test.each([
  [2, accelerated, 25],
  [5, accelerated, 40],
  [21, accelerated, 120],
  [300, accelerated, 120],
  [60, real, 600],
  [300, real, 1_515],
])('a reload interval of %i s on the clock %j wants lives of %i s', (reloadSeconds, clock, wanted) => {
  expect(lifetimeForReload(reloadSeconds, clock)).toBe(wanted);
});

test('a life leaves room for an interval that ends before what was read at the rotation does', () => {
  expect(reloadRoomSeconds(25)).toBe(2);
  expect(reloadRoomSeconds(lifetimeForReload(21, accelerated))).toBe(21);
  expect(reloadRoomSeconds(lifetimeForReload(300, real))).toBe(300);
});
