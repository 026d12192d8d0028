import { expect, test } from 'vitest';
import { trimmed } from './objects.ts';

test('values of a Secret are searched for markers and not kept', () => {
  const marker = 'conformance-task-first-0a1b2c';
  const data = { prompt: Buffer.from(`MARK=${marker}`).toString('base64') };
  const secret = { kind: 'Secret', metadata: { name: 's', managedFields: [{ manager: 'm' }] }, data };
  const seen = trimmed(secret);
  expect(seen).toEqual({ object: { kind: 'Secret', metadata: { name: 's' } }, markers: [marker] });
  expect(trimmed({ kind: 'Pod', metadata: { name: marker } }).markers).toEqual([marker]);
});
