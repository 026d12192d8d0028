import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { LogTail } from './log-tail.ts';

test('the last lines are kept, without signatures of tokens', () => {
  const tail = new LogTail(3);
  const stream = new PassThrough({ objectMode: true });
  tail.consume(stream);
  const token = `eyJhbGciOiJub25lIn0.e30.${'c2ln'.repeat(8)}`;
  for (const line of ['one\n', Buffer.from('two\n'), 'three\n', `token ${token}\n`]) {
    stream.emit('data', line);
  }
  expect(tail.last()).toMatch(/^two\nthree\ntoken eyJ.*SIGNATURE-CUT$/);
  expect(tail.last(2)).toMatch(/^three\ntoken/);
});
