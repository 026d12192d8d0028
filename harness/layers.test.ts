import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const HARNESS = fileURLToPath(new URL('./', import.meta.url));

/** The rooms of the harness: each may import from itself and from the rooms before it, and from no other. */
const ROOMS = [
  'core',
  'role-data',
  'catalogue',
  'targets',
  'kubernetes',
  'oauth',
  'rpc',
  'fakes',
  'probes',
  'environment',
  'roles',
  'run',
  'report',
  'cli',
  'exports',
  'docs',
];

const IMPORT = /(?:from|import)\s*\(?\s*'(\.[^']+)'/g;

test('a room imports only from the rooms above it, and nothing of the harness imports from a suite', () => {
  const files = globSync('*/**/*.{ts,mts,mjs}', { cwd: HARNESS });
  const upward = files.flatMap((file) =>
    [...readFileSync(join(HARNESS, file), 'utf8').matchAll(IMPORT)].flatMap(([, specifier = '']) => {
      const imported = relative(HARNESS, join(HARNESS, dirname(file), specifier));
      const [from = '', to = ''] = [file, imported].map((path) => path.split('/')[0]);
      const isAbove = to === '..' ? !imported.startsWith('../suites/') : ROOMS.indexOf(to) <= ROOMS.indexOf(from);
      return ROOMS.includes(from) && isAbove ? [] : [`${file} imports ${imported}`];
    }),
  );
  expect(files.length).toBeGreaterThan(200);
  expect(upward).toEqual([]);
});
