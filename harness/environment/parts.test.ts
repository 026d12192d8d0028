import { expect, test } from 'vitest';
import { HarnessError } from '../core/errors.ts';
import { Parts } from './parts.ts';

const silent = (): void => undefined;

test('a part starts once, for all who ask, and says how long it took', async () => {
  const said: string[] = [];
  const parts = new Parts((part, message) => said.push(`${part} ${message}`));
  let starts = 0;
  const ask = () => parts.once('cluster', async () => (starts += 1));
  await expect(Promise.all([ask(), ask()])).resolves.toEqual([1, 1]);
  expect(said).toEqual([expect.stringMatching(/^cluster ready after \d+\.\d s$/)]);
});

test('a part that failed stays failed: it is not tried again in silence', async () => {
  const parts = new Parts(silent);
  const failing = () => parts.once('cluster', () => Promise.reject(new Error('no image')));
  await expect(failing()).rejects.toThrow('no image');
  await expect(parts.once('cluster', async () => 'another try')).rejects.toThrow('no image');
});

test('when the run stops everything is stopped, whatever fails, and nothing starts any more', async () => {
  const parts = new Parts(silent);
  const stopped: string[] = [];
  parts.onStop(async () => stopped.push('cluster'));
  parts.onStop(() => Promise.reject(new Error('it does not stop')));
  parts.onStop(async () => stopped.push('provider'));
  await expect(parts.stop()).resolves.toEqual([new Error('it does not stop')]);
  expect(stopped).toEqual(['cluster', 'provider']);
  await expect(parts.once('late', async () => 1)).rejects.toBeInstanceOf(HarnessError);
});
