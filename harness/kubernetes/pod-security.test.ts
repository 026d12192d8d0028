import { Response } from 'undici';
import { expect, test } from 'vitest';
import { HarnessError } from '../core/errors.ts';
import { refusalByPodSecurity } from './pod-security.ts';

/** @param control what a pod that meets every level is answered */
const trying = (
  status: number,
  message?: string,
  control: { status: number; message?: string } = { status: 201 },
): Promise<string | undefined> => {
  const answers = [{ status, message }, control];
  const request = async (): Promise<Response> => {
    const next = answers.shift();
    return Response.json({ message: next?.message }, { status: next?.status ?? 500 });
  };
  return refusalByPodSecurity({ request }, 'a-namespace', { name: 'a-pod', spec: {} });
};

test('a pod that is admitted, and one that Pod Security refuses', async () => {
  expect(await trying(201)).toBeUndefined();
  const words = 'pods "a-pod" is forbidden: violates PodSecurity "restricted:latest": seccompProfile';
  expect(await trying(403, words)).toBe(`403: ${words}`);
});

test('a refusal says nothing of the pod where the cluster puts something into every pod', async () => {
  const words = 'violates PodSecurity "restricted:latest": unrestricted capabilities (container "istio-init")';
  await expect(trying(403, words, { status: 403, message: words })).rejects.toThrow(/that meets every level/);
  // A quota that stands in the way of the control says nothing either way.
  expect(await trying(403, words, { status: 403, message: 'exceeded quota' })).toBe(`403: ${words}`);
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
