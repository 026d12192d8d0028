import { expect, test } from 'vitest';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import type { ResourceTarget } from '../target.ts';
import { whatIsNotServed } from './install.ts';

const target = {
  file: 'target.yaml',
  resource: { apiVersion: 'agents.x-k8s.io/v1beta1', kind: 'Sandbox', plural: 'sandboxes' },
} as ResourceTarget;

/** What a cluster lacks whose discovery has these documents, and 404 for any other path. */
function lackOf(documents: Record<string, object>): Promise<string | undefined> {
  const request = async (path: string) =>
    path in documents ? Response.json(documents[path]) : new Response('404 page not found', { status: 404 });
  return whatIsNotServed({ request } as unknown as ClusterHandle, target);
}

const GROUP = '/apis/agents.x-k8s.io';
const served = (...resources: { name: string; kind: string }[]) => ({ [`${GROUP}/v1beta1`]: { resources } });

test('a custom resource that is served lacks nothing', async () => {
  expect(await lackOf(served({ name: 'sandboxes', kind: 'Sandbox' }))).toBeUndefined();
});

test.each([
  [{}, /serves no sandboxes of .*: install its CRD, or name the file with it in `install\.files` of target\.yaml/],
  [
    { [GROUP]: { versions: [{ version: 'v1alpha1' }] } },
    /serves no sandboxes .*, but agents\.x-k8s\.io in v1alpha1: is `resource\.apiVersion` of target\.yaml right\?/,
  ],
  [
    served({ name: 'sandboxs', kind: 'Sandbox' }, { name: 'sandboxs/status', kind: 'Sandbox' }),
    /serves no sandboxes .*, but sandboxs: is `resource\.plural` of target\.yaml right\?/,
  ],
  [
    served({ name: 'sandboxes', kind: 'SandBox' }),
    /of the kind SandBox, and `resource\.kind` of target\.yaml says Sandbox/,
  ],
])('one that is not says what is served, and names the field: %#', async (documents, message) => {
  expect(await lackOf(documents)).toMatch(message);
});
