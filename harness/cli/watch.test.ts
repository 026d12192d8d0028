import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { loadTarget } from '../targets/load.ts';
import { changeOf, filesOf } from './watch.ts';

const folder = mkdtempSync(join(tmpdir(), 'kube-agent-conformance-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('the target file and the files that it names are watched', () => {
  const reference = fileURLToPath(new URL('../../fixtures/targets/job-runners/reference/target.yaml', import.meta.url));
  const files = filesOf([loadTarget(reference)]);
  expect(files).toContain(reference);
  expect(files.filter((file) => file.endsWith('.yaml')).length).toBeGreaterThan(1);
});

test('a file that is written or replaced is a change; another one in its folder is none', async () => {
  const [target, other] = [join(folder, 'target.yaml'), join(folder, 'other.yaml')];
  writeFileSync(target, 'a');
  const written = changeOf([target]);
  writeFileSync(other, 'x');
  writeFileSync(target, 'b');
  await expect(written).resolves.toBe(target);
  const replaced = changeOf([target]);
  writeFileSync(`${target}.new`, 'c');
  renameSync(`${target}.new`, target);
  await expect(replaced).resolves.toBe(target);
});

test('who stops waiting is told why', async () => {
  const stop = new AbortController();
  const waiting = changeOf([join(folder, 'target.yaml')], stop.signal);
  stop.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
});
