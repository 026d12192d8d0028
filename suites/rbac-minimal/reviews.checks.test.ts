import { expect, test } from 'vitest';
import { HarnessError } from '../../harness/core/errors.ts';
import { assertAnswered, comparedWithReview, lacksRight } from './reviews.ts';

const LACKS = 'secrets is forbidden: User "u" cannot list resource "secrets" in API group "" in the namespace "a"';
const review = (allowed: boolean) => ({ status: 201, body: { status: { allowed } } });

test.for([
  [200, undefined, 'allowed'],
  [404, undefined, 'allowed'],
  [422, undefined, 'allowed'],
  [403, LACKS, 'refused'],
  [403, 'admission webhook "policy" denied the request', 'not counted'],
  [401, 'Unauthorized', 'not counted'],
  [429, 'too many requests', 'not counted'],
  [500, 'etcdserver: request timed out', 'not counted'],
] as const)('a call that is answered %s (%s) is %s', ([status, message, acts]) => {
  const called = { status, ...(message === undefined ? {} : { message }) };
  expect(comparedWithReview(called, review(true))).toEqual({ acts, status, accessReview: 'allowed' });
});

test('a review that was not answered is not taken for a refusal', () => {
  expect(comparedWithReview({ status: 200 }, review(false))).toMatchObject({ accessReview: 'refused' });
  expect(() => comparedWithReview({ status: 200 }, { status: 429, message: 'too many requests' })).toThrow(
    new HarnessError('a SelfSubjectAccessReview was answered 429 too many requests'),
  );
});

test('the want of a right is told from the prevention of escalation', () => {
  const escalates = 'roles "r" is forbidden: user "u" is attempting to grant RBAC permissions not currently held';
  expect(lacksRight({ status: 403, message: escalates })).toBe(false);
  expect(lacksRight({ status: 403, message: LACKS })).toBe(true);
});

test('an API server that has too much to do neither allows nor refuses, which may be the machine’s fault', () => {
  expect(() => assertAnswered({ 'list pods': 403, 'get pods': 404 })).not.toThrow();
  expect(() => assertAnswered({ 'list pods': 403, 'get pods': 504 })).toThrow(
    expect.objectContaining({ message: expect.stringContaining('get pods (504)'), mayBeTheMachine: true }),
  );
});
