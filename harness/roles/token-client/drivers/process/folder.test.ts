import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { SandboxFolder, sweepFolders, WRITABLE } from './folder.ts';

test('folders of processes that are gone are removed, others are left', () => {
  const parent = mkdtempSync(join(tmpdir(), 'sandbox-test-'));
  onTestFinished(() => rmSync(parent, { recursive: true }));
  // Above the highest process id of Linux (kernel.pid_max).
  const names = [
    'kube-agent-conformance-client-4194399-abc',
    `kube-agent-conformance-client-${process.pid}-abc`,
    'other',
  ];
  for (const name of names) {
    mkdirSync(join(parent, name));
  }
  sweepFolders(parent);
  expect(readdirSync(parent).sort()).toEqual(names.slice(1).sort());
});

test('the files of a set can be read by their owner alone, and all of it goes when it is removed', () => {
  const folder = new SandboxFolder();
  onTestFinished(() => folder.remove());
  folder.writeFiles('all', { 'deep/client.json': '{}' });
  const file = folder.at('config', 'all', 'deep', 'client.json');
  expect(readFileSync(file, 'utf8')).toBe('{}');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(WRITABLE.map((name) => statSync(folder.at(name)).mode & 0o777)).toEqual(WRITABLE.map(() => 0o700));
  const exitListeners = process.listenerCount('exit');
  folder.remove();
  expect(existsSync(folder.at())).toBe(false);
  expect(process.listenerCount('exit')).toBe(exitListeners - 1);
});
