import { expect, test } from 'vitest';
import { rightsOf } from '../../../kubernetes/rbac.ts';
import { rightsLost, waitForEffect } from './effect.ts';

const PODS = { apiGroups: [''], resources: ['pods', 'pods/log'], verbs: ['get'] };
const REVIEWS = { apiGroups: ['authorization.k8s.io'], resources: ['selfsubjectaccessreviews'], verbs: ['create'] };

test('a right is lost where neither the new rules nor those of every user give it', () => {
  const before = rightsOf([PODS, REVIEWS]);
  expect(rightsLost(before, [{ ...PODS, resources: ['pods'] }])).toEqual(
    rightsOf([{ ...PODS, resources: ['pods/log'] }]),
  );
  expect(rightsLost(before, [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }])).toEqual([]);
});

test('the authorizer is asked until it knows, for each right in its scope', async () => {
  const asked: string[] = [];
  const isAllowed = async ({ resource }: { resource: string }, scope?: string): Promise<boolean> => {
    asked.push(`${resource} in ${scope}`);
    return asked.length > 1;
  };
  await waitForEffect(isAllowed, 'user', { rights: rightsOf([PODS]), allowed: true, scope: 'agents' });
  expect(asked).toEqual(['pods in agents', 'pods in agents', 'pods/log in agents']);
});
