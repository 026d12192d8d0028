import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { filesAlong } from './files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'conformance-files-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const file = (name: string, content: string): string => {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
};

test('files lie to each other in the pod as they do here', () => {
  const target = file('targets/runner/target.yaml', 'role: job-runner');
  const manifests = file('manifests/all.yaml', 'kind: Role');
  const { paths, volume, configMap } = filesAlong([target, manifests], 'run-files');
  expect([...paths.values()]).toEqual(['/files/targets/runner/target.yaml', '/files/manifests/all.yaml']);
  const owner = { apiVersion: 'batch/v1', kind: 'Job', name: 'run', uid: 'u' };
  const { metadata, binaryData = {} } = configMap(owner);
  expect(metadata).toEqual({ name: volume.configMap?.name, ownerReferences: [owner] });
  const placed = volume.configMap?.items?.map(({ key, path }) => [
    path,
    Buffer.from(binaryData[key] ?? '', 'base64').toString(),
  ]);
  expect(placed).toEqual([
    ['targets/runner/target.yaml', 'role: job-runner'],
    ['manifests/all.yaml', 'kind: Role'],
  ]);
});

test('one file is there by its name', () => {
  const target = file('target.yaml', '');
  expect(filesAlong([target], 'f').paths.get(target)).toBe('/files/target.yaml');
});

test('what does not fit into a ConfigMap is refused, with what to do', () => {
  expect(() => filesAlong([file('big', 'x'.repeat(900_001))], 'f')).toThrow(/900001 bytes.*an image/);
});
