import { Response } from 'undici';
import { expect, test } from 'vitest';
import { HarnessError } from '../core/errors.ts';
import { refusalByPodSecurity } from './pod-security.ts';

const trying = (status: number, message?: string): Promise<string | undefined> =>
  refusalByPodSecurity({ request: async () => Response.json({ message }, { status }) }, 'a-namespace', {
    name: 'a-pod',
    spec: {},
  });

test('a pod that is admitted, and one that Pod Security refuses', async () => {
  expect(await trying(201)).toBeUndefined();
  const words = 'pods "a-pod" is forbidden: violates PodSecurity "restricted:latest": seccompProfile';
  expect(await trying(403, words)).toBe(`403: ${words}`);
});

test.each([
  [403, 'pods "a-pod" is forbidden: [minimum memory usage per Container is 64Mi, but request is 16Mi]'],
  [403, 'pods "a-pod" is forbidden: failed quota: compute: must specify limits.cpu for: agent'],
  [403, 'pods "a-pod" is forbidden: unable to validate against any security context constraint'],
  [403, 'admission webhook "validation.gatekeeper.sh" denied the request: the label team is required'],
  [422, "pods \"a-pod\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: no label"],
  [500, 'Internal error occurred: failed calling webhook "x": context deadline exceeded'],
  [403, 'pods is forbidden: User "jane" cannot create resource "pods" in API group "" in the namespace "a-namespace"'],
])('%i by somebody else says nothing of the level: %s', async (status, message) => {
  await expect(trying(status, message)).rejects.toThrow(HarnessError);
  await expect(trying(status, message)).rejects.toThrow(message);
});
