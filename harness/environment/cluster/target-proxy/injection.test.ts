import { expect, test } from 'vitest';
import type { ApiFault } from '../../../rpc/target-access.ts';
import { injected } from './injection.ts';

test('a pod and a template get further containers; what has no pod is as it was', () => {
  const fault: ApiFault = {
    kind: 'inject-containers',
    containers: [{ name: 'mesh' }],
    initContainers: [{ name: 'side' }],
  };
  const own = { containers: [{ name: 'agent' }], initContainers: [{ name: 'prepares' }] };
  const both = {
    containers: [{ name: 'mesh' }, { name: 'agent' }],
    initContainers: [{ name: 'side' }, { name: 'prepares' }],
  };
  expect(injected({ kind: 'Pod', spec: own }, fault)).toEqual({ kind: 'Pod', spec: both });
  expect(injected({ spec: { backoffLimit: 0, template: { spec: own } } }, fault)).toEqual({
    spec: { backoffLimit: 0, template: { spec: both } },
  });
  expect(injected({ kind: 'Secret' }, fault)).toEqual({ kind: 'Secret' });
  expect(injected({ spec: { ports: [] } }, fault)).toEqual({ spec: { ports: [] } });
});
