import { Response } from 'undici';
import { expect, test } from 'vitest';
import { HarnessError } from '../../../core/errors.ts';
import { admit } from './installation.ts';

const workload = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'a-runner' },
  spec: { template: { spec: { containers: [] } } },
} as unknown as Parameters<typeof admit>[2];

const admitting = (status: number, message: string) =>
  admit({ request: async () => Response.json({ message }, { status }) }, 'a-namespace', workload);

test('manifests that the API server finds wrong are the runner’s', async () => {
  const words = 'Deployment.apps "a-runner" is invalid: spec.template.spec.containers: Required value';
  expect((await admitting(422, words)).refused).toEqual([words, words]);
});

test.each([
  [403, 'pods "a-runner" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=5, limited: pods=5'],
  [403, 'pods "a-runner" is forbidden: [minimum cpu usage per Container is 100m, but request is 10m]'],
  [403, 'admission webhook "validate.kyverno.svc-fail" denied the request: the label team is required'],
  [500, 'Internal error occurred: failed calling webhook "x": context deadline exceeded'],
])('%i: what the cluster does not let in says nothing of the manifests: %s', async (status, message) => {
  await expect(admitting(status, message)).rejects.toThrow(HarnessError);
});
