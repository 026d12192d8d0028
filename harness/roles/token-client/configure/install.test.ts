import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Target } from '../../../targets/load.ts';
import { installFolder } from './install.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'conformance-install-'));
  writeFileSync(join(folder, 'wrapper.mjs'), 'first');
});
afterEach(() => rmSync(folder, { recursive: true }));

const folderOf = (install: string[][]): string =>
  installFolder({ folder, run: { form: 'process', install } } as unknown as Target<'token-client'>);

test('what is installed is kept as long as the commands are the same', () => {
  const install = [['npm', 'install', 'the-sdk@1.2.3']];
  expect(folderOf(install)).toBe(folderOf(install));
  expect(folderOf(install)).not.toBe(folderOf([['npm', 'install', 'the-sdk@1.2.4']]));
});

test.for([
  { install: [['cp', '${target.folder}/wrapper.mjs', '.']] },
  { install: [['sh', '-c', 'cp ${target.folder}/go.mod ${target.folder}/wrapper.mjs . && go build']] },
])('a file of the target that a command names is installed anew once it has changed: $install', ({ install }) => {
  const before = folderOf(install);
  writeFileSync(join(folder, 'wrapper.mjs'), 'second');
  expect(folderOf(install)).not.toBe(before);
});

test('a folder is no file', () => {
  expect(folderOf([['cp', '-r', '${target.folder}/.', '.']])).toBe(folderOf([['cp', '-r', '${target.folder}/.', '.']]));
});
