import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LIVE_IMAGE_NAMES, liveImage } from '../environment/images/live-images.ts';
import { loadCommands, mirrorCommands, readSaved } from './images.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'conformance-images-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const SAVED = [{ name: 'node' as const, reference: 'node:24-slim', file: 'node.tar' }];

test.each([
  [{ kind: 'dev' }, ['kind', 'load', 'image-archive', 'in/node.tar', '--name', 'dev']],
  [{ k3d: 'dev' }, ['k3d', 'image', 'import', 'in/node.tar', '--cluster', 'dev']],
  [{ minikube: 'dev' }, ['minikube', 'image', 'load', 'in/node.tar', '--profile', 'dev']],
  [{}, ['docker', 'load', '--input', 'in/node.tar']],
])('images are loaded into %o by the tool that made it', (into, command) => {
  expect(loadCommands(SAVED, 'in', into)).toEqual([command]);
});

test('two clusters at once are refused', () => {
  expect(() => loadCommands(SAVED, 'in', { kind: 'a', k3d: 'b' })).toThrow(/give one of --kind, --k3d, --minikube/);
});

test('what comes from a registry is copied with all its architectures, what was built here is pushed', () => {
  expect(mirrorCommands({ reference: 'node:24-slim', isBuilt: false }, 'r.example/node:24-slim')).toEqual([
    ['docker', 'buildx', 'imagetools', 'create', '--tag', 'r.example/node:24-slim', 'node:24-slim'],
  ]);
  expect(mirrorCommands({ reference: 'workload:key', isBuilt: true }, 'r.example/workload:1')).toEqual([
    ['docker', 'tag', 'workload:key', 'r.example/workload:1'],
    ['docker', 'push', 'r.example/workload:1'],
  ]);
});

test('--registry is the place of every image that no variable names', () => {
  const env = { KUBE_AGENT_CONFORMANCE_REGISTRY: 'r.example/c/', KUBE_AGENT_CONFORMANCE_NODE_IMAGE: 'mine@sha256:1' };
  const [node, ...others] = LIVE_IMAGE_NAMES.map((name) => liveImage(name, env));
  expect(node).toBe('mine@sha256:1');
  for (const reference of others) {
    expect(reference).toMatch(/^r\.example\/c\/kube-agent-conformance-[\w-]+:\d+\.\d+\.\d+$/);
  }
  expect(liveImage('node', { KUBE_AGENT_CONFORMANCE_REGISTRY: 'r.example' })).toBe('r.example/node:24-slim');
  expect(LIVE_IMAGE_NAMES.map((name) => liveImage(name, {}))).toEqual([
    'node:24-slim',
    undefined,
    undefined,
    undefined,
    'quay.io/keycloak/keycloak:26.7.4',
  ]);
});

test('a folder that was not saved by `images save` is refused', async () => {
  await expect(readSaved(folder)).rejects.toThrow(/images\.json cannot be read/);
  writeFileSync(join(folder, 'images.json'), JSON.stringify([{ ...SAVED[0], file: '../elsewhere.tar' }]));
  await expect(readSaved(folder)).rejects.toThrow(/did not write/);
  writeFileSync(join(folder, 'images.json'), JSON.stringify(SAVED));
  expect(await readSaved(folder)).toEqual(SAVED);
});
