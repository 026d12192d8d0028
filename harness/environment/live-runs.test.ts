import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { enterRun, isFromHere, keepRun, knownRuns, leaveRun, liveRuns, newRunId } from './live-runs.ts';

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'registry-'));
  vi.stubEnv('XDG_CACHE_HOME', cache);
  mkdirSync(join(cache, 'kube-agent-conformance', 'runs'), { recursive: true });
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(cache, { recursive: true });
});

test('a run is alive as long as its process is, and until it leaves', () => {
  enterRun('one');
  expect(liveRuns()).toEqual(new Set(['one']));
  leaveRun('one');
  expect(liveRuns()).toEqual(new Set());
  expect(knownRuns()).toEqual([]);
});

test('the run of a process that was killed is known and not alive', async () => {
  enterRun('two');
  const child = spawn('sleep', ['60']);
  const entry = { runId: 'two', pid: child.pid, startTicks: '1' };
  const file = join(cache, 'kube-agent-conformance', 'runs', 'two.json');
  // The process id is taken, but by a process that began at another time.
  writeFileSync(file, JSON.stringify(entry));
  expect(liveRuns()).toEqual(new Set());
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  expect(liveRuns()).toEqual(new Set());
  expect(knownRuns()).toEqual(['two']);
});

test('a run that was kept is swept by a clean-up alone, and its kubeconfig goes with it', () => {
  const file = keepRun('kept', 'apiVersion: v1');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(liveRuns()).toEqual(new Set(['kept']));
  expect(liveRuns({ kept: false })).toEqual(new Set());
  leaveRun('kept');
  expect(existsSync(file)).toBe(false);
  expect(knownRuns()).toEqual([]);
});

test('a half-written entry is not alive and does no harm', () => {
  enterRun('three');
  writeFileSync(join(cache, 'kube-agent-conformance', 'runs', 'three.json'), '{"runId"');
  expect(liveRuns()).toEqual(new Set());
});

test('ids are new each time, fit for labels, and known as from here', () => {
  const [one, other] = [newRunId(), newRunId()];
  expect(one).not.toBe(other);
  expect(one).toMatch(/^[a-z0-9]{14}$/);
  expect(isFromHere(one)).toBe(true);
  expect(isFromHere(`ffffff${one.slice(6)}`)).toBe(one.startsWith('ffffff'));
});
