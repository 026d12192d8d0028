import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PRODUCT_FOLDER, publish } from '../report/certification/published-builders.ts';
import { printed } from './printed.ts';

let repository: string;
beforeEach(() => {
  repository = mkdtempSync(join(tmpdir(), 'conformance-results-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(repository, { recursive: true });
});

test('results: checks a pull request, and writes the table', { timeout: 120_000 }, async () => {
  const folder = join(repository, 'results');
  const home = join(folder, PRODUCT_FOLDER);
  mkdirSync(folder);
  const git = (...words: string[]): void => {
    const who = ['-c', 'user.name=somebody', '-c', 'user.email=somebody@example.test', '-c', 'commit.gpgsign=false'];
    execFileSync('git', ['-C', repository, ...who, ...words], { stdio: 'ignore' });
  };
  const results = (...words: string[]): ReturnType<typeof printed> => printed('results', ...words);
  git('init', '--initial-branch', 'main');
  publish(folder);
  expect(await results('table', folder)).toMatchObject({ code: 0, out: expect.stringContaining('1 results') });
  git('add', '.');
  git('commit', '-m', 'one');
  git('switch', '-c', 'pull-request');
  publish(folder, { version: '2.5.0' });
  expect((await results('table', folder)).code).toBe(0);
  git('add', '.');
  git('commit', '-m', 'another');
  expect(await results('check', folder, '--since', 'main')).toMatchObject({ code: 0 });
  renameSync(join(home, '2.4.1'), join(home, '2.4.0'));
  git('add', '.');
  git('commit', '-m', 'tampering');
  expect(await results('check', folder, '--since', 'main')).toMatchObject({
    code: 1,
    out: expect.stringContaining('it was published, and is removed'),
  });
  expect(await results('check', folder, '--since', 'nowhere')).toMatchObject({
    code: 64,
    err: expect.stringMatching(/git cannot tell what has changed .* since nowhere/),
  });
});
