/** What `npm pack` makes: what is in it, and that it runs where Node strips no types. */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const run = promisify(execFile);

let files: string[];

beforeAll(async () => {
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: ROOT,
    maxBuffer: 16 * 1024 * 1024,
  });
  const answer = JSON.parse(stdout) as Record<string, { files: { path: string }[] }>;
  files = Object.values(answer).flatMap((one) => one.files.map(({ path }) => path));
}, 60_000);

test('it has no tests of the project, no reports, no pictures, nothing of this machine', () => {
  const alien = files.filter(
    (file) =>
      /(^|\/)(reports|coverage|node_modules|pictures|self-test)\//.test(file) ||
      /-builders\.ts$|\.tgz$|\.log$|package-lock\.json$/.test(file) ||
      // The suites themselves are Vitest files: one a role, and nothing else.
      (file.endsWith('.test.ts') && !/^suites\/[\w-]+\/[a-z]+(-[a-z]+)*\.test\.ts$/.test(file)),
  );
  expect(alien).toEqual([]);
  expect(files.length).toBeGreaterThan(500);
});

test('it has the command, the suites, their data, and what images are built from', () => {
  const needed = [
    'harness/cli/conformance.mjs',
    'harness/cli/dependencies.mjs',
    'harness/cli/strip-types.mjs',
    'harness/cli/main.ts',
    'harness/run/worker/suites.ts',
    'vitest.config.ts',
    'ci/runc-without-sys-resource',
    'suites/sources.yaml',
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
    ...globSync('suites/*/{requirements,twins}.yaml', { cwd: ROOT }),
    ...globSync('fixtures/images/**/*', { cwd: ROOT, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts'))
      .map((entry) => relative(ROOT, join(entry.parentPath, entry.name))),
  ];
  expect(needed.filter((file) => !files.includes(file))).toEqual([]);
});

test('whatever a file of it imports or reads beside itself is in it', () => {
  const there = new Set(files);
  const absent = files
    .filter((file) => /\.(ts|mjs)$/.test(file) && !file.startsWith('fixtures/images/'))
    .flatMap((file) => {
      const source = readFileSync(join(ROOT, file), 'utf8');
      const specifiers = [...source.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+\.(?:ts|mjs|json))'/g)];
      const read = [...source.matchAll(/new URL\('(\.[^'$]+\.\w+)', import\.meta\.url\)/g)];
      return [...specifiers, ...read]
        .map(([, specifier = '']) => relative(ROOT, join(ROOT, dirname(file), specifier)))
        .filter((imported) => existsSync(join(ROOT, imported)) && !there.has(imported))
        .map((imported) => `${file} needs ${imported}`);
    });
  // The commands that only a clone has load what the package leaves out when they are used, and say so before.
  expect(absent.filter((line) => !line.endsWith('harness/cli/self-test/index.ts'))).toEqual([]);
});

test('its bin and its exports are files of it', () => {
  const { bin, exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    bin: Record<string, string>;
    exports: Record<string, string>;
  };
  const named = [...Object.values(bin), ...Object.values(exports)].map((file) => file.replace(/^\.\//, ''));
  expect(named.length).toBeGreaterThan(2);
  expect(named.filter((file) => !files.includes(file))).toEqual([]);
});

test('installed in an empty folder, below node_modules, it runs', { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'conformance-package-'));
  try {
    const modules = join(folder, 'node_modules');
    const installed = join(modules, 'kube-agent-conformance');
    for (const file of files) {
      mkdirSync(dirname(join(installed, file)), { recursive: true });
      cpSync(join(ROOT, file), join(installed, file));
    }
    // Its dependencies as npm would put them beside it.
    symlinkSync(join(ROOT, 'node_modules'), join(installed, 'node_modules'));
    const conformance = (...words: string[]): Promise<{ stdout: string; stderr: string; code?: number }> =>
      run(process.execPath, [join(installed, 'harness/cli/conformance.mjs'), ...words], {
        cwd: folder,
        maxBuffer: 16 * 1024 * 1024,
      }).catch((error: unknown) => error as { stdout: string; stderr: string; code: number });
    expect(JSON.parse((await conformance('list', '--json')).stdout)).toHaveLength(
      (
        JSON.parse(
          (
            await run(process.execPath, [join(ROOT, 'harness/cli/main.ts'), 'list', '--json'], {
              maxBuffer: 16 * 1024 * 1024,
            })
          ).stdout,
        ) as unknown[]
      ).length,
    );
    expect(await conformance('test')).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('clone the repository'),
    });
    const main = join(installed, 'harness/cli/main.ts');
    const withoutHook = await run(process.execPath, [main, '--version']).catch((error: unknown) => error);
    expect(withoutHook).toMatchObject({ stderr: expect.stringContaining('NODE_MODULES_TYPE_STRIPPING') });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
