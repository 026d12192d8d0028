import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { UsageError } from '../core/errors.ts';
import { startTicks } from './live-runs.ts';
import { findWarm, forgetWarm, type WarmEnvironment, waitForWarm, warmCalled, warmFile, writeWarm } from './warm.ts';

const folder = mkdtempSync(join(tmpdir(), 'kube-agent-conformance-'));
beforeAll(() => void vi.stubEnv('XDG_CACHE_HOME', folder));
afterAll(() => rmSync(folder, { recursive: true }));

const environment = (name: string, change: Partial<WarmEnvironment> = {}): WarmEnvironment => ({
  name,
  runId: 'run',
  pid: process.pid,
  startTicks: startTicks(process.pid) ?? '',
  url: 'http://127.0.0.1:1',
  secret: 'secret',
  clock: 'accelerated',
  targets: [],
  holds: [],
  since: '2026-01-01T00:00:00Z',
  ...change,
});

test('an environment is found while its process lives, by its user alone', () => {
  writeWarm(environment('mine'));
  expect(findWarm('mine')).toMatchObject({ name: 'mine' });
  expect(statSync(warmFile('mine')).mode & 0o777).toBe(0o600);
  forgetWarm('mine');
  expect(findWarm('mine')).toBeUndefined();
});

test('one whose process is gone, or is another by now, is forgotten', () => {
  writeWarm(environment('dead', { startTicks: '1' }));
  expect(findWarm('dead')).toBeUndefined();
  writeWarm(environment('there'));
  expect(() => warmCalled('dead')).toThrow(
    'no environment "dead" is up (up: there); start it with: conformance up dead',
  );
  forgetWarm('there');
});

test.each(['', '-x', 'A', 'a/b', '../x', 'a'.repeat(40)])('"%s" is no name', (name) => {
  expect(() => warmFile(name)).toThrow(UsageError);
});

test('who waits is told when it comes up, when it goes, and that it did not', async () => {
  const up = waitForWarm('later', 'up', { deadlineSeconds: 10 });
  writeWarm(environment('later'));
  await expect(up).resolves.toMatchObject({ name: 'later' });
  const down = waitForWarm('later', 'down', { deadlineSeconds: 10 });
  forgetWarm('later');
  await expect(down).resolves.toBeUndefined();
  await expect(waitForWarm('never', 'up', { deadlineSeconds: 0.05 })).rejects.toThrow('was not up within 0.05 s');
});
