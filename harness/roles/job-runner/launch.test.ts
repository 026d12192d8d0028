import { expect, test } from 'vitest';
import { NotTestable } from '../../core/errors.ts';
import { needsReady, objectsFor, settingsFor } from './launch.ts';
import { at, target } from './record-builders.ts';

const values = { namespace: 'n', 'worker.id': 'w', image: 'i' };
const parent = {
  settings: { deployment: '${worker.id}' },
  objects: [{ kind: 'Pod', metadata: { name: '${worker.id}' } }, { kind: 'PersistentVolumeClaim' }],
};
const limited = (count: number | 'settings') =>
  target({ deployment: parent, documented: { limits: [{ per: 'worker', count }] } });

test('settings are those of the run, then the scenario’s, then those of the parent pod', () => {
  const base = { namespace: 'n', workerId: 'w', image: 'i', imagePullPolicy: 'IfNotPresent' };
  expect(settingsFor(limited(1), {}, values)).toEqual(base);
  expect(settingsFor(limited('settings'), {}, values)).toEqual({ ...base, maxConcurrentTasks: 100 });
  expect(settingsFor(limited('settings'), { settings: { maxConcurrentTasks: 2 } }, values)).toMatchObject({
    maxConcurrentTasks: 2,
  });
  const settings = { extra: { further: 1 } };
  expect(settingsFor(limited(1), { settings, parentPod: {} }, values)).toEqual({
    ...base,
    extra: { further: 1, deployment: 'w' },
  });
});

test('objects are the target file’s, the parent pod’s where it is wanted, and the scenario’s', () => {
  const of = { ...limited(1), objects: [{ kind: 'Secret' }] };
  const quota = { kind: 'ResourceQuota' };
  expect(objectsFor(of, { objects: [quota] }, values)).toEqual([{ kind: 'Secret' }, quota]);
  expect(objectsFor(of, { parentPod: { without: 'PersistentVolumeClaim' } }, values)).toEqual([
    { kind: 'Secret' },
    { kind: 'Pod', metadata: { name: 'w' } },
  ]);
});

test('a runner that does not accept work is not testable, with its reason and the end of its log', () => {
  const log = ['one', 'two'].map((text) => ({ at: at(1), type: 'log' as const, text }));
  expect(() => needsReady({ readiness: { ready: true, at: at(1) }, events: log })).not.toThrow();
  expect(() => needsReady({ events: log })).toThrow(NotTestable);
  expect(() => needsReady({ readiness: { ready: false, at: at(1), reason: 'no rights' }, events: log })).toThrow(
    'the job runner does not accept work. It printed:\n    no rights\n    one\n    two',
  );
});
