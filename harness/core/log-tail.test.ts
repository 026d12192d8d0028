import { PassThrough } from 'node:stream';
import { finished } from 'node:stream/promises';
import { expect, test } from 'vitest';
import { LogTail } from './log-tail.ts';

test('the last lines are kept, without signatures of tokens', async () => {
  const tail = new LogTail(3);
  const stream = new PassThrough();
  tail.consume(stream);
  stream.end(`one\ntwo\nthree\ntoken eyJhbGciOiJub25lIn0.e30.${'c2ln'.repeat(8)}\n`);
  await finished(stream);
  await expect.poll(() => tail.last()).toMatch(/^two\nthree\ntoken eyJ.*SIGNATURE-CUT$/);
  expect(tail.last(2)).toMatch(/^three\ntoken/);
  expect(`${tail}`).toBe(tail.last());
});

test('a program that wrote nothing is reported as one', () => {
  expect(`${new LogTail(3)}`).toBe('(it wrote nothing)');
});
