import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { UsageError } from '../core/errors.ts';
import { announceCluster, type LiveFlags } from './live.ts';

beforeEach(() => {
  const file = join(mkdtempSync(join(tmpdir(), 'live-')), 'config');
  const config = {
    'current-context': 'one',
    clusters: [{ name: 'c', cluster: { server: 'https://api.example' } }],
    users: [{ name: 'u', user: { token: 'secret', as: 'jane' } }],
    contexts: ['one', 'two'].map((name) => ({ name, context: { cluster: 'c', user: 'u' } })),
  };
  writeFileSync(file, JSON.stringify(config));
  vi.stubEnv('KUBECONFIG', file);
});
afterEach(() => vi.unstubAllEnvs());

async function announced(flags: LiveFlags, options: { isTTY: boolean; answer?: string }): Promise<string> {
  const input = Object.assign(new PassThrough(), { isTTY: options.isTTY });
  const output = Object.assign(new PassThrough(), { isTTY: options.isTTY });
  input.end(options.answer ?? '');
  await announceCluster(flags, 'kac-x-*', { input, output });
  return String(output.read());
}

test('the first line names cluster, context, user and namespaces, and no secret', async () => {
  const said = await announced({}, { isTTY: false });
  expect(said).toMatch(
    /^cluster "c" \(https:\/\/api.example\), context "one", user "u", acting as "jane", from .*; namespaces kac-x-\*\n$/,
  );
  expect(said).not.toContain('secret');
});

test('the first line names the second cluster, too; one that does not exist is told before anything is asked', async () => {
  const said = await announced({ context: 'one', peerContext: 'two' }, { isTTY: true });
  expect(said).toMatch(
    /^cluster .*context "one".*; second cluster: cluster "c" .*, context "two", user "u".*; there, the same namespaces\n$/,
  );
  await expect(announced({ context: 'one', peerContext: 'three' }, { isTTY: true })).rejects.toThrow(/three/);
});

test('on a terminal a person is asked, unless the context was named or --yes was given', async () => {
  expect(await announced({}, { isTTY: true, answer: 'y\n' })).toContain('Make objects in this cluster? [y/N]');
  await expect(announced({}, { isTTY: true, answer: 'n\n' })).rejects.toThrow(UsageError);
  await expect(announced({}, { isTTY: true, answer: '\n' })).rejects.toThrow(/not run/);
  expect(await announced({ yes: true }, { isTTY: true })).not.toContain('[y/N]');
  expect(await announced({ context: 'two' }, { isTTY: true })).not.toContain('[y/N]');
});

test('without a kubeconfig nothing is asked', async () => {
  vi.stubEnv('KUBECONFIG', '/nowhere/config');
  await expect(announced({}, { isTTY: true })).rejects.toThrow(
    /no kubeconfig: KUBECONFIG names \/nowhere\/config: no such file/,
  );
});
