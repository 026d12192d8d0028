import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { afterEach, expect, test, vi } from 'vitest';
import { type ProcessGroup, residentBytes, startProcessGroup, typeFlags } from './process-group.ts';

let group: ProcessGroup | undefined;

afterEach(async () => {
  await group?.stop();
});

function start(script: string): ProcessGroup {
  group = startProcessGroup([process.execPath, '--input-type=module', '--eval', script], { env: {}, cwd: '/' });
  return group;
}

async function firstLine({ child }: ProcessGroup): Promise<string> {
  const input = child.stdout;
  if (input === null) {
    throw new Error('no stdout');
  }
  for await (const line of createInterface({ input })) {
    return line;
  }
  return '';
}

const STARTS_ANOTHER = `
  import { spawn } from 'node:child_process';
  process.on('SIGTERM', () => {});
  console.log(spawn('/bin/sleep', ['60']).pid);
  setInterval(() => {}, 1000);`;

/** A process that has ended, and that nobody has waited for yet, has no command line. */
const command = (pid: string): Promise<string> => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');

test('what a process started ends with it, however it is ended', async () => {
  for (const end of ['stop', 'end'] as const) {
    const started = start(STARTS_ANOTHER);
    const pid = await firstLine(started);
    expect(await command(pid)).toContain('sleep');
    await (end === 'stop' ? started.stop() : started.end(100));
    expect(await started.exited).toMatchObject({ code: null, signal: 'SIGKILL' });
    await vi.waitFor(async () => expect(await command(pid)).toBe(''), { timeout: 5_000 });
  }
});

test('a signal goes to the process alone, and its exit is reported', async () => {
  const started = start(
    `process.on('SIGTERM', () => process.exit(3)); console.log('up'); setInterval(() => {}, 1000);`,
  );
  await firstLine(started);
  expect(await started.memoryBytes()).toBeGreaterThan(2 ** 20);
  started.signal('SIGTERM');
  expect(await started.exited).toMatchObject({ code: 3, signal: null });
  started.signal('SIGTERM');
  expect(await started.memoryBytes()).toBeUndefined();
});

test('a command that does not exist is an exit with its error', async () => {
  group = startProcessGroup(['/nonexistent/command'], { env: {}, cwd: '/' });
  expect(await group.exited).toMatchObject({ code: null, error: { code: 'ENOENT' } });
  await group.end(10);
});

test('resident memory', () => {
  expect(residentBytes('Name:\tnode\nVmRSS:\t   2048 kB\n')).toBe(2 * 2 ** 20);
  expect(residentBytes('')).toBeUndefined();
});

test.each(['SIGINT', 'SIGKILL'] as const)('what a process started ends where %s ends that process', async (signal) => {
  const module = JSON.stringify(new URL('./process-group.ts', import.meta.url).href);
  const owner = spawn(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `const { startProcessGroup } = await import(${module});
       console.log(startProcessGroup(['/bin/sleep', '60'], { env: {}, cwd: '/' }).pid);
       setInterval(() => {}, 1000);`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [line] = await once(owner.stdout, 'data');
  const pid = String(line).trim();
  expect(await command(pid)).toContain('sleep');
  owner.kill(signal);
  await vi.waitFor(async () => expect(await command(pid)).toBe(''), { timeout: 10_000 });
});

test('a program of the installed package is run with the types that Node does not strip there', () => {
  expect(typeFlags('/home/me/app/node_modules/kube-agent-conformance/fixtures/workloads/')).toEqual([
    '--import',
    expect.stringMatching(/^file:.*\/harness\/cli\/strip-types\.mjs$/),
  ]);
  expect(typeFlags('/home/me/kube-agent-conformance/fixtures/workloads/')).toEqual([]);
});
