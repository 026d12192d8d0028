import { ApiException } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { describeError, HarnessError } from '../core/errors.ts';
import { assertAdmitted, refusedToHarness, refuserOf } from './refused-objects.ts';

test.each([
  [
    403,
    'namespaces is forbidden: User "jane" cannot create resource "namespaces" in API group "" at the cluster scope',
    'rights',
  ],
  [
    403,
    'roles "x" is forbidden: user "u" (groups=[]) is attempting to grant RBAC permissions not currently held:',
    'rights',
  ],
  [403, 'admission webhook "validate.kyverno.svc" denied the request: the label team is required', 'policy'],
  [
    422,
    `namespaces "a" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: the label team`,
    'policy',
  ],
  [403, 'pods "a" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false', 'policy'],
  [403, 'pods "a" is forbidden: exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5', 'policy'],
  [400, 'admission webhook "x" denied the request: no', 'policy'],
  [404, 'pods "a" not found', undefined],
  [422, 'Pod "a" is invalid: spec.containers: Required value', undefined],
])('%i %s', (code, words, refuser) => {
  expect(refuserOf(code, words)).toBe(refuser);
});

test('what a policy of a live cluster refuses to an implementation in a pod is not applicable, in its words', () => {
  const said = `starting\nsecrets "preflight" is forbidden: ValidatingAdmissionPolicy 'labelled' denied request: a label\n`;
  expect(() => assertAdmitted({ owned: false }, 'what it makes', said)).toThrow(
    /^this cluster lacks for the harness: admission of what it makes \(secrets .* a label\); fix: /,
  );
  assertAdmitted({ owned: false }, 'what it makes', 'secrets is forbidden: User "x" cannot create resource "secrets"');
  // There, nobody but the harness sets up policies.
  assertAdmitted({ owned: true }, 'what it makes', said);
});

test('a refusal is an error of the harness in the words of the policy, without the headers of the answer', () => {
  const answer = new ApiException(
    403,
    'Forbidden',
    { message: 'the label team is required' },
    { 'audit-id': 'secret' },
  );
  const error = refusedToHarness('a namespace for x', answer);
  expect(error).toBeInstanceOf(HarnessError);
  expect(describeError(error)).toBe(
    'a namespace for x was refused to the harness; give the harness’s objects what the policy asks for by --settings: the API server answered 403: the label team is required',
  );
  const other = new TypeError('x');
  expect(refusedToHarness('a', other)).toBe(other);
});
