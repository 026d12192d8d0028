import { expect, test } from 'vitest';
import { permissionDiff, standingOf } from './permissions.ts';
import type { MadeRequest } from './rbac.ts';

const rule = (group: string, resource: string, ...verbs: string[]) => ({
  apiGroups: [group],
  resources: [resource],
  verbs,
});
const request = (verb: string, group: string, resource: string, code = 200): MadeRequest => ({
  verb,
  group,
  resource,
  namespace: 'a',
  code,
});

test('each right is needed, surplus or missing, with its requests', () => {
  const diff = permissionDiff(
    {
      name: 'runner',
      rules: { namespaced: [rule('batch', 'jobs', 'create', 'delete')], cluster: [rule('', 'nodes', 'list')] },
    },
    [
      request('create', 'batch', 'jobs', 201),
      request('create', 'batch', 'jobs', 409),
      request('get', '', 'configmaps', 403),
      request('get', '', 'configmaps', 403),
      request('create', 'authorization.k8s.io', 'selfsubjectaccessreviews', 201),
    ],
  );
  expect(
    diff.rights.map((right) => [
      `${right.verb} ${right.resource}`,
      standingOf(right),
      right.requests,
      right.refused,
      right.namespaced,
    ]),
  ).toEqual([
    ['create jobs', 'needed', 2, 0, true],
    ['delete jobs', 'surplus', 0, 0, true],
    ['list nodes', 'surplus', 0, 0, false],
    ['get configmaps', 'missing', 2, 2, true],
  ]);
  expect(diff.smallest).toContain('verbs:\n      - create\n');
  expect(diff.smallest).not.toContain('delete');
});

test('exec over WebSocket needs create as well as get', () => {
  const exec: MadeRequest = { ...request('get', '', 'pods'), subresource: 'exec', upgrade: 'websocket' };
  const { rights } = permissionDiff(
    { name: 'runner', rules: { namespaced: [rule('', 'pods/exec', 'get', 'create')], cluster: [] } },
    [exec],
  );
  expect(rights.map(standingOf)).toEqual(['needed', 'needed']);
});
