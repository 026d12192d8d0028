import { afterEach, expect, test, vi } from 'vitest';
import { UsageError } from './errors.ts';
import { limitSeconds, setTimeoutFactor, TIME_LIMITS } from './time-limits.ts';

const VARIABLE = 'KUBE_AGENT_CONFORMANCE_TIMEOUT_FACTOR';
afterEach(() => vi.unstubAllEnvs());

test('a limit is that of the table, times the factor', () => {
  vi.stubEnv(VARIABLE, undefined);
  expect(limitSeconds('podStart')).toBe(TIME_LIMITS.podStart.seconds);
  vi.stubEnv(VARIABLE, '1');
  setTimeoutFactor(2.5);
  expect(limitSeconds('podStart')).toBe(300);
});

test.each([0, 0.5, -1, 21, Number.NaN, Number.POSITIVE_INFINITY])('a factor of %s is wrong use', (factor) => {
  vi.stubEnv(VARIABLE, undefined);
  expect(() => setTimeoutFactor(factor)).toThrow(UsageError);
  expect(limitSeconds('podStart')).toBe(TIME_LIMITS.podStart.seconds);
});
