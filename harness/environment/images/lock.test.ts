import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { takeLock } from './lock.ts';

it('lets the second in when the first is done, and names the holder that it waits for', async () => {
  const name = randomUUID();
  const order: string[] = [];
  const first = await takeLock(name, () => order.push('never'));
  const second = takeLock(name, (holder) => {
    order.push(`waits for ${holder}`);
    order.push('first done');
    void first[Symbol.asyncDispose]();
  }).then(async (lock) => {
    order.push('second in');
    await lock[Symbol.asyncDispose]();
  });
  await second;
  expect(order).toEqual([`waits for ${process.pid}`, 'first done', 'second in']);
});

it('is free when its holder was killed', async () => {
  const name = randomUUID();
  const module = new URL('./lock.ts', import.meta.url).href;
  const script = `const { takeLock } = await import(${JSON.stringify(module)});
    await takeLock(${JSON.stringify(name)}, () => {}); process.stdout.write('held'); setInterval(() => {}, 1e6);`;
  const holder = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  let waitedFor = '';
  const lock = await takeLock(name, (pid) => {
    waitedFor = pid;
    holder.kill('SIGKILL');
  });
  expect(waitedFor).toBe(String(holder.pid));
  await lock[Symbol.asyncDispose]();
});

it('stops waiting when it is aborted', async () => {
  const name = randomUUID();
  const held = await takeLock(name, () => {});
  const stop = new AbortController();
  await expect(takeLock(name, () => stop.abort(new Error('enough')), stop.signal)).rejects.toThrow('enough');
  await held[Symbol.asyncDispose]();
});
