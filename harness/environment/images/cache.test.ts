import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Cache, explainDiskFull } from './cache.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cache-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** Runs code in a Node of its own that has `cache`, and gives it when it says `ready`. */
async function elsewhere(code: string) {
  const module = new URL('./cache.ts', import.meta.url).href;
  const script = `const { Cache } = await import(${JSON.stringify(module)}); const { writeFile } = await import('node:fs/promises');
    const cache = new Cache(${JSON.stringify(folder)}); ${code}`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

describe('Cache', () => {
  it('makes an entry once', async () => {
    const cache = new Cache(folder);
    let made = 0;
    const make = async (target: string) => {
      made += 1;
      await writeFile(join(target, 'a'), String(made));
    };
    expect(await cache.entry('go', 'key', make)).toBe(join(folder, 'go', 'key'));
    await cache.entry('go', 'key', make);
    expect(made).toBe(1);
    expect(await readdir(join(folder, 'tmp'))).toEqual([]);
  });

  it('keeps nothing of a step that failed, so that the next one makes it anew', async () => {
    const cache = new Cache(folder);
    const failing = cache.entry('go', 'key', async (target) => {
      await writeFile(join(target, 'a'), 'half');
      throw new Error('aborted');
    });
    await expect(failing).rejects.toThrow('aborted');
    expect(cache.has('go', 'key')).toBe(false);
    expect(await readdir(join(folder, 'tmp'))).toEqual([]);
  });

  it('sweeps what a killed process left, not what a living one is making, and resumes', async () => {
    const half = `await cache.entry('go', 'key', async (target) => {
      await writeFile(target + '/a', 'half'); process.stdout.write('ready'); await new Promise((r) => setInterval(r, 1e6)); });`;
    const child = await elsewhere(half);
    const cache = new Cache(folder);
    expect(await cache.sweep()).toEqual([]);
    expect(cache.has('go', 'key')).toBe(false);

    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await cache.sweep()).toHaveLength(1);
    const entry = await cache.entry('go', 'key', (target) => writeFile(join(target, 'a'), 'whole'));
    expect(await readFile(join(entry, 'a'), 'utf8')).toBe('whole');
  });

  it('lets two who make the same entry both have it', async () => {
    const make = (target: string) => writeFile(join(target, 'a'), 'same');
    const [one, two] = await Promise.all([
      new Cache(folder).entry('go', 'key', make),
      new Cache(folder).entry('go', 'key', make),
    ]);
    expect(one).toBe(two);
  });
});

describe('explainDiskFull', () => {
  it('says what could not be finished and where room is wanted', async () => {
    const full = Object.assign(new Error('write failed'), { code: 'ENOSPC' });
    const explained = await explainDiskFull(full, 'the image node', { cache: folder });
    expect(String(explained)).toMatch(/disk is full: the image node/);
    expect(String(explained)).toMatch(`cache: ${folder} (`);
  });

  it('knows it by the words of another program', async () => {
    const said = new Error('link: write /tmp/x: no space left on device');
    expect(String(await explainDiskFull(said, 'x', {}))).toMatch(/disk is full/);
  });

  it('leaves other errors as they are', async () => {
    const error = new Error('syntax error');
    expect(await explainDiskFull(error, 'x', { cache: folder })).toBe(error);
  });
});
