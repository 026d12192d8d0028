import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { NotApplicable } from '../core/errors.ts';
import type { RequirementContext } from '../rpc/context.ts';
import { loadTarget, type Target } from '../targets/load.ts';
import { defaultStorageClass, needsPromise, needsReadWriteOncePod, sharedClaim } from './storage.ts';

const TEMPLATE = fileURLToPath(new URL('../../fixtures/targets/templates/cluster.yaml', import.meta.url));

function context(storage: Partial<Target<'cluster'>['storage']>): RequirementContext {
  const template = loadTarget(TEMPLATE) as Target<'cluster'>;
  const targets = [{ ...template, storage: { ...template.storage, ...storage } }];
  const notApplicable = (why: string): never => {
    throw new NotApplicable(why);
  };
  return {
    candidate: { kind: 'targets', name: 'x', planned: [], targets },
    notApplicable,
  } as unknown as RequirementContext;
}

test('what is not promised is not applicable, and nothing else', () => {
  const t = context({ notPromised: { 'file-locks': 'mounted with nolock' } });
  expect(() => needsPromise(t, 'file-locks')).toThrow('mounted with nolock');
  expect(() => needsPromise(t, 'atomic-rename')).not.toThrow();
  expect(() => needsReadWriteOncePod(t)).not.toThrow();
  expect(() => needsReadWriteOncePod(context({ readWriteOncePod: false }))).toThrow(NotApplicable);
});

test('classes that are named are taken, and one that is denied is not looked for', async () => {
  expect(await defaultStorageClass(context({ readWriteOnce: 'standard' }))).toBe('standard');
  expect(() => sharedClaim(context({ readWriteMany: false }))).toThrow(NotApplicable);
});
