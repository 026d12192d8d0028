import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ApiException } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { describeError, HarnessError, NotApplicable, NotTestable } from '../core/errors.ts';
import type { RequirementContext } from '../rpc/context.ts';
import { loadTarget, type Target } from '../targets/load.ts';
import {
  defaultOf,
  defaultStorageClass,
  needsPromise,
  needsReadWriteOncePod,
  sharedClaim,
  storageClassIfAny,
} from './storage.ts';

const TEMPLATE = fileURLToPath(new URL('../../fixtures/targets/templates/cluster.yaml', import.meta.url));

function context(storage: Partial<Target<'cluster'>['storage']>): RequirementContext {
  const template = loadTarget(TEMPLATE) as Target<'cluster'>;
  const targets = [{ ...template, storage: { ...template.storage, ...storage } }];
  const notApplicable = (why: string): never => {
    throw new NotApplicable(why);
  };
  return {
    candidate: { kind: 'targets', name: 'x', planned: [], targets },
    id: 'PV-01',
    preconditions: { cluster: ['storage', 'read-write-many'] },
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
  expect(
    await defaultStorageClass(withClasses({ readWriteOnce: 'standard' }, [['standard', '2026-01-01', false]])),
  ).toBe('standard');
  expect(() => sharedClaim(context({ readWriteMany: false }))).toThrow(NotApplicable);
});

/** A cluster with these StorageClasses: name, when it was made, and whether it is a default one. */
function withClasses(
  storage: Partial<Target<'cluster'>['storage']>,
  classes: [string, string, boolean][] | 'forbidden',
  more: { storageClass?: string; assigned?: string } = {},
): RequirementContext {
  const items = (classes === 'forbidden' ? [] : classes).map(([name, creationTimestamp, isDefault]) => ({
    metadata: {
      name,
      creationTimestamp: new Date(creationTimestamp),
      annotations: { 'storageclass.kubernetes.io/is-default-class': String(isDefault) },
    },
    provisioner: 'x',
  }));
  const listStorageClass = async (): Promise<unknown> => {
    if (classes === 'forbidden') {
      throw new ApiException(403, 'no', {}, {});
    }
    return { items };
  };
  const createNamespacedPersistentVolumeClaim = async ({ dryRun }: { dryRun?: string }): Promise<unknown> => {
    expect(dryRun).toBe('All');
    return { spec: { storageClassName: more.assigned } };
  };
  const cluster = {
    kubeConfig: { makeApiClient: () => ({ listStorageClass }) },
    core: { createNamespacedPersistentVolumeClaim },
    ...(more.storageClass === undefined ? {} : { storageClass: more.storageClass }),
  };
  return {
    ...context(storage),
    cluster: async () => cluster,
    namespace: async () => ({ name: 'n' }),
    id: 'PV-01',
    preconditions: { cluster: ['storage', 'read-write-many'] },
  } as unknown as RequirementContext;
}

test('of several default classes the newest counts, and of equally old ones the first by name', async () => {
  const old: [string, string, boolean] = ['old', '2026-01-01', true];
  const young: [string, string, boolean] = ['young', '2026-03-01', true];
  const other: [string, string, boolean] = ['other', '2026-06-01', false];
  expect(await defaultStorageClass(withClasses({}, [old, young, other]))).toBe('young');
  expect(await defaultStorageClass(withClasses({}, [old, ['new', '2026-01-01', true]]))).toBe('new');
});

test('an old name of the annotation counts, too', () => {
  const annotations = { 'storageclass.beta.kubernetes.io/is-default-class': 'true' };
  expect(defaultOf([{ metadata: { name: 'a', annotations }, provisioner: 'x' }])).toBe('a');
});

test('without a default one the only one is taken; which of several, or of none, is for the owner to decide', async () => {
  const gp3: [string, string, boolean] = ['gp3', '2026-01-01', false];
  const io2: [string, string, boolean] = ['io2', '2026-01-01', false];
  expect(await defaultStorageClass(withClasses({}, [gp3]))).toBe('gp3');
  await expect(defaultStorageClass(withClasses({}, [gp3, io2]))).rejects.toThrow(HarnessError);
  await expect(defaultStorageClass(withClasses({}, [gp3, io2]))).rejects.toThrow(/gp3, io2; name one by/);
  await expect(defaultStorageClass(withClasses({}, []))).rejects.toThrow(NotTestable);
});

test('a class that is named has to exist; the target file comes before the settings; there may be none to use', async () => {
  const classes: [string, string, boolean][] = [
    ['gp3', '2026-01-01', true],
    ['io2', '2026-01-01', false],
  ];
  expect(await defaultStorageClass(withClasses({}, classes, { storageClass: 'io2' }))).toBe('io2');
  expect(await defaultStorageClass(withClasses({ readWriteOnce: 'gp3' }, classes, { storageClass: 'io2' }))).toBe(
    'gp3',
  );
  await expect(defaultStorageClass(withClasses({ readWriteOnce: 'gp4' }, classes))).rejects.toThrow(
    /gp4 is named and does not exist; there are gp3, io2/,
  );
  await expect(defaultStorageClass(withClasses({ readWriteOnce: false }, classes))).rejects.toThrow(NotApplicable);
});

test('who may not list StorageClasses takes the one that is named, or that the API server gives', async () => {
  expect(await defaultStorageClass(withClasses({ readWriteOnce: 'gp3' }, 'forbidden'))).toBe('gp3');
  expect(await defaultStorageClass(withClasses({}, 'forbidden', { assigned: 'auto' }))).toBe('auto');
  await expect(defaultStorageClass(withClasses({}, 'forbidden'))).rejects.toThrow(HarnessError);
});

test('what can do without a claim is told why there is none', async () => {
  const evaluated = (...given: Parameters<typeof withClasses>): RequirementContext => ({
    ...withClasses(...given),
    preconditions: { cluster: ['storage-if-any'] },
  });
  expect(await storageClassIfAny(evaluated({}, [['gp3', '2026-01-01', true]]))).toEqual({ name: 'gp3' });
  expect(await storageClassIfAny(evaluated({ readWriteOnce: false }, []))).toEqual({
    absent: 'the target file says that there is no StorageClass for ordinary claims',
  });
  expect(await storageClassIfAny(evaluated({}, []))).toEqual({
    absent: expect.stringMatching(/no StorageClass at all; name one by/),
  });
  expect(await storageClassIfAny(evaluated({}, 'forbidden'))).toEqual({
    absent: expect.stringMatching(/may not be listed; name one by/),
  });
  await expect(storageClassIfAny(evaluated({ readWriteOnce: 'gp4' }, []))).rejects.toThrow(/gp4 is named and does not/);
  await expect(storageClassIfAny(withClasses({}, []))).rejects.toThrow(/its row does not declare/);
});

test('the target file takes `false` for ordinary claims', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'storage-')), 'cluster.yaml');
  writeFileSync(
    file,
    'apiVersion: conformance/v1\nrole: cluster\nname: eks\nstorage: { readWriteOnce: false, readWriteMany: false }\n',
  );
  expect(loadTarget(file)).toMatchObject({ storage: { readWriteOnce: false, readWriteMany: false } });
});

test('what its row does not declare is not given to a requirement', () => {
  const t = { ...context({}), id: 'PV-09', preconditions: {} };
  expect(() => sharedClaim(t)).toThrow(HarnessError);
  expect(() => sharedClaim(t)).toThrow('PV-09 needs read-write-many');
});

test('a shared claim that a quota refuses says nothing about the classes', async () => {
  const t = withClasses({}, [['nfs', '2026-01-01', false]]);
  const { core, ...cluster } = await t.cluster();
  const refuse = async (): Promise<never> => {
    throw new ApiException(403, 'Forbidden', { message: 'exceeded quota: storage' }, { 'audit-id': 'secret' });
  };
  const claims = {
    ...t,
    signal: new AbortController().signal,
    shared: (_: string, make: () => Promise<unknown>) => make(),
    cluster: async () => ({ ...cluster, core: { ...core, createNamespacedPersistentVolumeClaim: refuse } }),
  } as unknown as RequirementContext;
  const error: unknown = await sharedClaim(claims).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(HarnessError);
  expect(describeError(error)).toBe(
    'a ReadWriteMany claim could not be asked for: the API server answered 403: exceeded quota: storage',
  );
});
