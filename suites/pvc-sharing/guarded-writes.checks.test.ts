import { expect, test } from 'vitest';
import { NotTestable } from '../../harness/core/errors.ts';
import { acceptedBackstep, acceptedChanges, seenElsewhere } from './guarded-writes.ts';

const WHERE = 'through a readOnly mount';

test('changes that a file system refuses are none', () => {
  expect(acceptedChanges(WHERE, { create: 'EROFS', rename: 'EACCES', delete: 'EPERM' })).toEqual([]);
});

test('each change that came through is named, whatever became of the others', () => {
  expect(acceptedChanges(WHERE, { create: 'done', append: 'EROFS', delete: 'EIO' })).toEqual([`${WHERE}: create`]);
});

test('a change that failed for something else proves no read-only mount', () => {
  expect(() => acceptedChanges(WHERE, { create: 'EROFS', append: 'ENOSPC' })).toThrow(
    new NotTestable(`${WHERE} changes failed, but were not refused as changes (append: ENOSPC)`),
  );
});

test('a file is not in another subPath only where the look found none', () => {
  expect(seenElsewhere({ refused: 'ENOENT' })).toEqual([]);
  expect(seenElsewhere({ text: 'in one' })).toEqual(['a file of one subPath is seen in another']);
  expect(() => seenElsewhere({ refused: 'ESTALE' })).toThrow(NotTestable);
});

test('a subPath with `..` is refused only where the refusal is about it', () => {
  const path = 'spec.containers[0].volumeMounts[0].subPath: Invalid value: "one/../two": must not contain \'..\'';
  expect(acceptedBackstep({ status: 422, message: `Pod "sub-path" is invalid: ${path}` })).toEqual([]);
  expect(acceptedBackstep({ status: 201 })).toHaveLength(1);
  expect(() => acceptedBackstep({ status: 403, message: 'exceeded quota: pods=1' })).toThrow(NotTestable);
});
