import { expect, test } from 'vitest';
import { describeClock, describeRepeat, readable } from './words.ts';

test('names that a run made up are words', () => {
  const namespace = 'kac-a93757d344369f-8-opencode-manager-manager-missi';
  expect(
    readable(
      `pods is forbidden: User "system:serviceaccount:${namespace}:session-manager" cannot list resource "pods" in the namespace "${namespace}"`,
      'session-manager',
    ),
  ).toBe('pods is forbidden: ServiceAccount "session-manager" cannot list resource "pods" in the manager’s namespace');
  expect(readable(`{"namespace":"${namespace}","path":"/tmp/conformance-session-manager-29V5wT/kubeconfig"}`)).toBe(
    '{"namespace":"<namespace>","path":"<folder>/kubeconfig"}',
  );
  expect(readable('not allowed in namespace kac-a93757009abc87-3-runner: list events', 'job-runner')).toBe(
    'not allowed in the runner’s namespace: list events',
  );
});

test('why a result is the second one', () => {
  const busy = "not testable while the machine's processors were 100 % busy: it said: no";
  expect(describeRepeat(busy, 'not testable')).toBe(
    'The first attempt (not testable) was discarded because the test machine was overloaded (CPU 100 %). ' +
      'The second gave the same result; it counts.',
  );
  expect(describeRepeat('failed while the machine stalled for 1.3 s: late', 'passed')).toBe(
    'The first attempt (failed) was discarded because the test machine stalled for 1.3 s. ' +
      'The second gave another result, passed; it counts.',
  );
  expect(describeRepeat('it was not executed', 'passed')).toContain('discarded: it was not executed');
});

test('the accelerated clock is explained', () => {
  expect(describeClock({ kind: 'accelerated', lifetimeSeconds: 60 })).toMatch(/^accelerated: tokens live 60 s instead/);
});
