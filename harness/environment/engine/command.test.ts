import { expect, it, vi } from 'vitest';
import { command } from './command.ts';

it('gives the standard output and hands out both streams line by line', async () => {
  const lines: string[] = [];
  const script = 'echo one; echo two >&2; echo three';
  const output = await command('sh', ['-c', script], { onLine: (line, stream) => lines.push(`${stream} ${line}`) });
  expect(output).toBe('one\nthree');
  expect(lines.sort()).toEqual(['stderr two', 'stdout one', 'stdout three']);
});

it('says what failed, how, and what it printed last', async () => {
  await expect(command('sh', ['-c', 'echo why >&2; exit 3'])).rejects.toThrow(
    /`sh -c .*` ended with exit code 3.*\n {2}\| why/,
  );
  await expect(command('no-such-program', [])).rejects.toThrow(/`no-such-program` could not be started/);
});

it('ends a command with its children when it is aborted', async () => {
  const stop = new AbortController();
  let child = 0;
  const running = command('sh', ['-c', 'sleep 1000 & echo $!; trap "" TERM; wait'], {
    signal: stop.signal,
    onLine: (line) => {
      child = Number(line);
      stop.abort(new Error('enough'));
    },
  });
  await expect(running).rejects.toThrow('enough');
  // It has ended, and may be a zombie until init has read its status.
  await vi.waitFor(() => expect(() => process.kill(child, 0)).toThrow(/ESRCH/), { timeout: 5_000 });
});
