import { expect, test } from 'vitest';
import { Changes } from './changes.ts';

const never = new AbortController().signal;

test('who waits gets what it waited for, at once or at a change', async () => {
  const changes = new Changes();
  let value: number | undefined = 1;
  expect(await changes.until(() => value, 1, never)).toBe(1);
  value = undefined;
  const waiting = changes.until(() => value, 5, never);
  value = 2;
  changes.notify();
  expect(await waiting).toBe(2);
});

test('a deadline, an error and an abort end the wait', async () => {
  const changes = new Changes();
  expect(await changes.until(() => undefined, 0.01, never)).toBeUndefined();
  const broken = changes.until(
    () => {
      throw new Error('cannot be looked at');
    },
    1,
    never,
  );
  await expect(broken).rejects.toThrow('cannot be looked at');
  const abort = new AbortController();
  const aborted = changes.until(() => undefined, 1, abort.signal);
  abort.abort(new Error('aborted'));
  await expect(aborted).rejects.toThrow('aborted');
});
