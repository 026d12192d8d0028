import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { mismatch, stripsTypes } from './dependencies.mjs';

it.each([
  ['20.20.2', false],
  ['22.17.1', false],
  ['22.18.0', true],
  ['23.5.0', false],
  ['23.6.0', true],
  ['24.0.0', true],
])('Node %s strips types: %s', (version, strips) => {
  expect(stripsTypes(version)).toBe(strips);
});

describe('mismatch', () => {
  const lock = {
    packages: {
      '': {},
      'node_modules/a': { version: '1.0.0' },
      'node_modules/b': { version: '2.0.0', optional: true },
      'node_modules/c': { version: '3.0.0', dev: true },
    },
  };

  it('is content with what is there in its version, without packages of other platforms and of development', () => {
    expect(mismatch(lock, { packages: { 'node_modules/a': { version: '1.0.0' } } })).toBeUndefined();
  });

  it('tells a missing package, another version, and no installation at all', () => {
    expect(mismatch(lock, { packages: {} })).toBe('node_modules/a is missing');
    expect(mismatch(lock, { packages: { 'node_modules/a': { version: '1.0.1' } } })).toMatch(
      /a is 1\.0\.1, not 1\.0\.0/,
    );
    const stale = { 'node_modules/a': { version: '1.0.0' }, 'node_modules/c': { version: '2.9.0' } };
    expect(mismatch(lock, { packages: stale })).toMatch(/c is 2\.9\.0/);
    expect(mismatch(lock, undefined)).toMatch(/not installed/);
  });

  it('finds the installation of this clone in order', async () => {
    const read = async (path: string) => JSON.parse(await readFile(new URL(path, import.meta.url), 'utf8'));
    expect(
      mismatch(await read('../../package-lock.json'), await read('../../node_modules/.package-lock.json')),
    ).toBeUndefined();
  });
});

it('starts the command line in the same process on a new Node', { timeout: 60_000 }, async () => {
  const program = fileURLToPath(new URL('./conformance.mjs', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [program, '--help']);
  expect(stdout).toMatch(/^ {2}doctor /m);
});
