import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { RunnerEvent, StartedJobRunner } from '../driver.ts';
import { jsonLinesDriver } from './json-lines.ts';

let folder: string;
let started: StartedJobRunner | undefined;
const events: RunnerEvent[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'job-runner-process-'));
  events.length = 0;
});
afterEach(async () => {
  await started?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Starts a program that is a runner. */
async function start(program: string): Promise<StartedJobRunner> {
  await writeFile(join(folder, 'runner.mjs'), program);
  started = await jsonLinesDriver(['node', './runner.mjs']).start({
    settings: { namespace: 'n', workerId: 'w', image: 'i', imagePullPolicy: 'Never', extra: { further: 1 } },
    kubeconfig: '/kubeconfig',
    env: { GIVEN: 'yes' },
    options: {},
    folder,
    workFolder: folder,
    onEvent: (event) => events.push(event),
    signal: new AbortController().signal,
  });
  return started;
}

const say = `const say = (line) => process.stdout.write(JSON.stringify(line) + '\\n');`;

test('hands tasks over and reports what comes back', async () => {
  const runner = await start(`${say}
    import { createInterface } from 'node:readline';
    import { readFileSync } from 'node:fs';
    const config = JSON.parse(readFileSync(process.env.RUNNER_CONFIG));
    say({ type: 'ready', warnings: [config.namespace + config.further + process.env.GIVEN + process.env.KUBECONFIG] });
    console.log('not a line of the protocol');
    createInterface({ input: process.stdin }).on('line', (line) => {
      const { type, task } = JSON.parse(line);
      say(type === 'submit' ? { type: 'claimed', task: task.id } : { type: 'ended', task, outcome: 'cancelled' });
      if (type === 'cancel') process.exit(3);
    });`);
  expect(await runner.readiness).toMatchObject({ ready: true, warnings: ['n1yes/kubeconfig'] });
  await runner.submit({ id: 't', agent: 'a', prompt: 'p' });
  await runner.cancel('t');
  expect(await runner.exited).toMatchObject({ code: 3 });
  expect(events.map(({ at: _, ...event }) => event)).toEqual([
    { type: 'log', text: 'not a line of the protocol' },
    { type: 'claimed', task: 't' },
    { type: 'ended', task: 't', outcome: 'cancelled' },
  ]);
});

test('a runner that ends before it is ready is not ready, and its last words are the reason', async () => {
  const runner = await start(`console.error('no such cluster'); process.exitCode = 2;`);
  expect(await runner.readiness).toMatchObject({
    ready: false,
    reason: expect.stringMatching(/code 2\)\nno such cluster/),
  });
});

test('what it started ends with it', async () => {
  const runner = await start(`${say}
    import { spawn } from 'node:child_process';
    const child = spawn('sleep', ['60']);
    process.on('SIGTERM', () => {});
    say({ type: 'ready', warnings: [String(child.pid)] });
    setInterval(() => {}, 1000);`);
  const readiness = await runner.readiness;
  const child = readiness.ready ? Number(readiness.warnings?.[0]) : 0;
  runner.signal('SIGTERM');
  await runner.stop();
  expect(await runner.exited).toMatchObject({ signal: 'SIGKILL' });
  // It was sent the same signal, and ends when a processor comes to it. Who has ended and whom nobody has waited for
  // yet has no command.
  const command = (): Promise<string> => readFile(`/proc/${child}/cmdline`, 'utf8').catch(() => '');
  await vi.waitFor(async () => expect(await command()).toBe(''), { timeout: 5_000 });
});
