import { expect, test } from 'vitest';
import { DeadlineExceeded, HarnessError, NotApplicable, NotTestable, Violation } from './errors.ts';
import { asHarnessError, outcomeOf } from './outcome.ts';

function assertionError(): unknown {
  try {
    expect(1).toBe(2);
  } catch (error) {
    return error;
  }
  return undefined;
}

test.each([
  ['an assertion of expect', assertionError(), 'failed'],
  ['a violation', new Violation('x'), 'failed'],
  ['a wait that ended at its deadline', new DeadlineExceeded('a pod', 3, 'nothing'), 'failed'],
  ['a missing prerequisite', new NotTestable('x'), 'not testable'],
  ['a declaration', new NotApplicable('x'), 'not applicable'],
  ['a harness error', new HarnessError('x'), 'harness error'],
  ['a crash of the harness', new TypeError('x is not a function'), 'harness error'],
  ['a refused connection', Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }), 'harness error'],
  ['something that is no error', 'x', 'harness error'],
])('%s', (_, error, outcome) => {
  expect(outcomeOf(error)).toBe(outcome);
});

test('a fixture never speaks about the target by an assertion or a deadline', () => {
  expect(outcomeOf(asHarnessError('a fixture', assertionError()))).toBe('harness error');
  expect(outcomeOf(asHarnessError('a fixture', new DeadlineExceeded('a pod', 3, 'nothing')))).toBe('harness error');
  expect(outcomeOf(asHarnessError('a fixture', new NotTestable('x')))).toBe('not testable');
});
