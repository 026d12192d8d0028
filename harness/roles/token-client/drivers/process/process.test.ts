import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { close, listen } from '../../../../../fixtures/workloads/lib/http.ts';
import type { ProbePod } from '../../../../probes/token-probe.ts';
import { CacheFolder } from './cache.ts';
import { startObservingProxy } from './network.ts';
import { resultOf, runToCompletion } from './run.ts';
import { mirrorTokens } from './tokens.ts';

const stops: (() => unknown)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) {
    await stop();
  }
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'process-client-test-'));
  stops.push(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

describe('a process that is one call', () => {
  const options = (patienceMs: number): Parameters<typeof runToCompletion>[1] => ({
    env: { PATH: process.env.PATH ?? '', WORD: 'good' },
    cwd: folder(),
    patienceMs,
    signal: new AbortController().signal,
  });
  const node = (script: string): string[] => [process.execPath, '-e', script];

  test('is evaluated by its exit code and by what its output says', async () => {
    const seen: string[] = [];
    const script = 'console.log(process.env.WORD); console.error("and more"); process.exitCode = 3;';
    const ended = await runToCompletion(node(script), options(20_000), (text) => seen.push(text));
    expect(ended).toMatchObject({ exitCode: 3, signal: null });
    expect(seen.join('')).toContain('good');
    if (ended === undefined) {
      throw new Error('it did not end');
    }
    expect(resultOf(ended, undefined)).toMatchObject({
      ok: false,
      error: expect.stringMatching(/exit code 3: .*and more/s),
      output: expect.stringContaining('good'),
    });
    expect(resultOf({ ...ended, exitCode: 0 }, undefined)).toEqual({ ok: true });
    expect(resultOf({ ...ended, exitCode: 0 }, 'good')).toEqual({ ok: true });
    expect(resultOf({ ...ended, exitCode: 0 }, 'perfect')).toMatchObject({
      ok: false,
      error: expect.stringMatching(/does not fit \/perfect\//),
    });
  });

  test('an error that tells of it holds no whole token', () => {
    const token = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ';
    const { error } = resultOf({ exitCode: 1, signal: null, output: `refused: ${token}` }, undefined);
    expect(error).toContain('refused: eyJ');
    expect(error).not.toContain('c2lnbmF0dXJl');
  });

  test('has no more time than the patience, nor has what it started', async () => {
    const file = join(folder(), 'alive');
    const child = `setInterval(() => require('fs').appendFileSync(${JSON.stringify(file)}, '.'), 20)`;
    const script = `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(child)}], { stdio: 'inherit' }); setInterval(() => {}, 1000)`;
    expect(await runToCompletion(node(script), options(1_500), () => {})).toBeUndefined();
    expect(existsSync(file), 'the grandchild was at work').toBe(true);
    const then = readFileSync(file).length;
    await delay(200);
    expect(readFileSync(file).length).toBe(then);
  });

  test('that cannot be started is a fault of the harness', async () => {
    await expect(runToCompletion(['/nowhere/client'], options(1_000), () => {})).rejects.toThrow(
      /\/nowhere\/client cannot be started/,
    );
  });
});

describe('the proxy', () => {
  async function ask(proxy: string, target: string): Promise<{ status: number; answer: string }> {
    const { hostname, port } = new URL(proxy);
    const connecting = request({ host: hostname, port, method: 'CONNECT', path: target }).end();
    const [response, socket] = await once(connecting, 'connect');
    if (response.statusCode !== 200) {
      socket.destroy();
      return { status: response.statusCode, answer: '' };
    }
    socket.write('GET / HTTP/1.1\r\nhost: known.test\r\nconnection: close\r\n\r\n');
    let answer = '';
    for await (const chunk of socket) {
      answer += String(chunk);
    }
    return { status: 200, answer };
  }

  test('leads to those who watch, and nowhere else', async () => {
    const server = createServer((_, response) => response.end('watched'));
    const port = await listen(server, 0, '127.0.0.1');
    stops.push(() => close(server));
    const proxy = await startObservingProxy({ 'known.test:8443': port });
    stops.push(() => proxy.stop());
    expect(await ask(proxy.url, 'known.test:8443')).toEqual({
      status: 200,
      answer: expect.stringContaining('watched'),
    });
    expect(await ask(proxy.url, `127.0.0.1:${(server.address() as AddressInfo).port}`)).toMatchObject({ status: 403 });
    expect(proxy.refused()).toEqual([`127.0.0.1:${port}`]);
  });
});

test('tokens of a pod come to the folder as a kubelet would write them', async () => {
  const tokens = join(folder(), 'tokens');
  const held: Record<string, string> = { '/pod/a': 'token-a1', '/pod/b': 'token-b1' };
  const probe = {
    observations: async () =>
      Object.entries(held).map(([path, token]) => ({
        path,
        observations: [{ at: new Date().toISOString(), sha256: token, header: {}, claims: {}, inode: 1 }],
      })),
    token: async (sha256: string) => sha256,
  } as unknown as ProbePod;
  const mirror = await mirrorTokens(probe, { '/pod/a': 'a', '/pod/b': 'b' }, tokens, (error) => {
    throw error;
  });
  stops.push(() => mirror.stop());
  expect(readFileSync(join(tokens, 'a'), 'utf8')).toBe('token-a1');
  expect(readlinkSync(join(tokens, 'a'))).toBe('..data/a');
  const before = readlinkSync(join(tokens, '..data'));
  held['/pod/b'] = 'token-b2';
  while (readFileSync(join(tokens, 'b'), 'utf8') !== 'token-b2') {
    await delay(20);
  }
  expect(readFileSync(join(tokens, 'a'), 'utf8')).toBe('token-a1');
  expect(readlinkSync(join(tokens, '..data'))).not.toBe(before);
  await delay(20);
  expect(readdirSync(tokens)).not.toContain(before);
});

test('the folder of a cache is what a start wants it to be', () => {
  const path = join(folder(), 'cache', 'client');
  const cache = new CacheFolder(path);
  const write = (): void => writeFileSync(join(path, 'token.json'), '{"good":true}');
  const read = (): string => readFileSync(join(path, 'token.json'), 'utf8');
  cache.prepare('kept');
  mkdirSync(path);
  write();
  cache.restore();
  cache.prepare('replaced');
  expect(read()).toBe('{"good":true}');
  cache.prepare('emptied');
  expect(existsSync(path)).toBe(false);
  mkdirSync(path);
  cache.restore();
  expect(read()).toBe('{"good":true}');
  cache.prepare('unwritable');
  expect(() => mkdirSync(join(path, 'below'), { recursive: true })).toThrow(/ENOTDIR|EEXIST/);
  cache.restore();
  expect(read()).toBe('{"good":true}');
  expect(cache.prepare('corrupt')).toBe(1);
  expect(() => JSON.parse(read())).toThrow(SyntaxError);
});
