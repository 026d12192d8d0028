/** What `npm pack` makes: what is in it, and that it runs where Node strips no types. */
import { execFile } from 'node:child_process';
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildExports, PUBLIC_MODULES } from './build.ts';

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

test('its bin and its exports are files of it, or made when it is packed', () => {
  const { bin, exports, scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    bin: Record<string, string>;
    exports: Record<string, string | Record<string, string>>;
    scripts: Record<string, string>;
  };
  expect(scripts.prepack).toBe('node harness/exports/build.ts');
  const built = PUBLIC_MODULES.flatMap((name) => [`harness/exports/${name}.js`, `harness/exports/${name}.d.ts`]);
  const named = [
    ...Object.values(bin),
    ...Object.values(exports).flatMap((one) => (typeof one === 'string' ? one : Object.values(one))),
  ].map((file) => file.replace(/^\.\//, ''));
  expect(named.length).toBeGreaterThan(2);
  expect(named.filter((file) => !files.includes(file) && !built.includes(file))).toEqual([]);
  expect(built.filter((file) => !named.includes(file))).toEqual([]);
});

describe('installed in an empty folder, below node_modules', { timeout: 120_000 }, () => {
  let folder: string;
  let installed: string;
  const inFolder = (program: string, words: string[]): Promise<{ stdout: string; stderr: string; code?: number }> =>
    run(process.execPath, [program, ...words], {
      cwd: folder,
      maxBuffer: 16 * 1024 * 1024,
      env: { ...process.env, NO_COLOR: '1', VITEST: undefined, NODE_OPTIONS: undefined },
    }).catch((error: unknown) => error as { stdout: string; stderr: string; code: number });
  const conformance = (...words: string[]) => inFolder(join(installed, 'harness/cli/conformance.mjs'), words);

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'conformance-package-'));
    const modules = join(folder, 'node_modules');
    installed = join(modules, 'kube-agent-conformance');
    for (const file of files) {
      mkdirSync(dirname(join(installed, file)), { recursive: true });
      cpSync(join(ROOT, file), join(installed, file));
    }
    await buildExports(join(installed, 'harness/exports'));
    // Its dependencies, and those of the project around it, as npm would put them.
    symlinkSync(join(ROOT, 'node_modules'), join(installed, 'node_modules'));
    for (const name of ['vitest', 'typescript', '@types']) {
      symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
    }
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'somebody-elses', type: 'module' }));
    cpSync(join(ROOT, 'fixtures/targets/token-clients/reference/target.yaml'), join(folder, 'agent.yaml'));
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  test('the command line runs', async () => {
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
  });

  test('the examples of the README are correct by their types, with everything strict', async () => {
    const examples = [...readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/^```ts\n(.*?)^```$/gms)];
    expect(examples).toHaveLength(2);
    for (const [index, [, example = '']] of examples.entries()) {
      writeFileSync(join(folder, `example-${index}.test.ts`), example);
    }
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          ...{ target: 'es2024', lib: ['es2024', 'esnext.disposable'], module: 'nodenext', types: ['node'] },
          ...{ strict: true, noEmit: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
        },
        include: ['*.test.ts'],
      }),
    );
    const tsc = (): Promise<{ stdout: string }> => inFolder(join(ROOT, 'node_modules/typescript/bin/tsc'), []);
    // Declarations of other packages are theirs to keep.
    const ours = (stdout: string): string[] =>
      stdout.split('\n').filter((line) => /^(example|wrong)|kube-agent-conformance/.test(line));
    expect(ours((await tsc()).stdout)).toEqual([]);
    writeFileSync(
      join(folder, 'wrong.test.ts'),
      "import { conformance } from 'kube-agent-conformance/vitest';\nawait conformance({ targets: './agent.yaml' });\n",
    );
    expect(ours((await tsc()).stdout).join('\n')).toContain("'targets' does not exist");
    rmSync(join(folder, 'wrong.test.ts'));
  });

  test('its environment loads the rest of the harness behind a hook, and says what is missing', async () => {
    writeFileSync(
      join(folder, 'environment.mjs'),
      `import { startCluster, startResourceServer } from 'kube-agent-conformance/environment';
       await startResourceServer({}).catch((error) => console.log(error.message));
       await startCluster().catch((error) => console.log(error.message));`,
    );
    const { stdout } = await run(process.execPath, [join(folder, 'environment.mjs')], {
      env: { ...process.env, DOCKER_HOST: 'tcp://127.0.0.1:9' },
    });
    expect(stdout).toContain('this was not started by startIdentityProvider()');
    expect(stdout).toContain('DOCKER_HOST');
  });

  describe('in the tests of another project', () => {
    /** What came of each test: by its id, or by its whole name where it has none. */
    async function outcomes(...words: string[]): Promise<Record<string, string>> {
      const program = join(ROOT, 'node_modules/vitest/vitest.mjs');
      const file = join(folder, 'outcomes.json');
      await inFolder(program, ['run', 'agent.test.ts', '--reporter', 'json', '--outputFile', file, ...words]);
      const { testResults } = JSON.parse(readFileSync(file, 'utf8')) as {
        testResults: {
          message: string;
          assertionResults: { title: string; status: string; failureMessages: string[] }[];
        }[];
      };
      return Object.fromEntries(
        testResults.flatMap(({ message, assertionResults }) => [
          ...(message === '' ? [] : [['file', message]]),
          ...assertionResults.map(({ title, status, failureMessages }) => [
            title.split(' ', 1)[0],
            [status, ...(failureMessages ?? [])].join(': '),
          ]),
        ]),
      ) as Record<string, string>;
    }
    const ran = (): string[] => JSON.parse(readFileSync(join(folder, 'ran.json'), 'utf8')) as string[];

    beforeAll(() => {
      writeFileSync(
        join(folder, 'agent.test.ts'),
        `import { conformance } from 'kube-agent-conformance/vitest';
         await conformance({ target: './agent.yaml', suites: ['token-rotation'] });`,
      );
      // Whatever starts something is told to a stand-in, and everything else is answered by the command line itself.
      const started = join(installed, 'harness/cli/conformance.mjs');
      cpSync(started, join(installed, 'harness/cli/conformance-itself.mjs'));
      writeFileSync(started, STAND_IN);
    });

    test('there is one test for each requirement of the target, with what came of it', async () => {
      rmSync(join(folder, 'reports'), { recursive: true, force: true });
      const came = await outcomes();
      expect(came).toMatchObject({
        'TR-20': 'passed',
        'TR-22': 'skipped',
        'TR-25': 'skipped',
        'TR-24': expect.stringMatching(/^failed: Error: harness error, which says nothing about the implementation/),
        'TR-23': expect.stringMatching(/^failed: Error: not testable: it does not start/),
      });
      expect(came['TR-21']).toMatch(
        /^failed: Error: it read another file\nWhy it matters: .*\nHow to fix it: read it again\n/s,
      );
      expect(came).not.toHaveProperty('TR-01');
      expect(ran()).toEqual(expect.arrayContaining(['token-rotation', '--target', './agent.yaml', '--json']));
      expect(ran()).not.toContain('--requirement');
    });

    test('its filters decide what is run', async () => {
      const came = await outcomes('-t', 'TR-2[01] ');
      expect(came['TR-20']).toBe('passed');
      expect(ran().filter((_, index, words) => words[index - 1] === '--requirement')).toEqual(['TR-20', 'TR-21']);
    });

    test('a run that says nothing fails each test with its last words', async () => {
      writeFileSync(join(folder, 'broken'), '');
      const came = await outcomes();
      rmSync(join(folder, 'broken'));
      // A report of the run before is there, and is none of this one.
      expect(came['TR-20']).toMatch(/^failed: Error: harness error.*exit code 2.*the engine does not answer/s);
    });

    test('a target file that is wrong fails the file, in the words of the command line', async () => {
      writeFileSync(join(folder, 'agent.yaml'), 'role: nobody\n');
      expect((await outcomes()).file).toMatch(/exit code 64.*does not have the right shape/s);
    });
  });
});

const STAND_IN = `#!/usr/bin/env node
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
const words = process.argv.slice(2);
const itself = new URL('./conformance-itself.mjs', import.meta.url).pathname;
if (words[0] !== 'run') {
  process.exit(spawnSync(process.execPath, [itself, ...words], { stdio: 'inherit' }).status);
}
writeFileSync('ran.json', JSON.stringify(words));
if (existsSync('broken')) {
  process.stderr.write('the engine does not answer\\n');
  process.exit(2);
}
const asked = words.filter((_, index) => words[index - 1] === '--requirement');
const { stdout } = spawnSync(process.execPath, [itself, 'list', '--json'], { encoding: 'utf8' });
const ids = asked.length > 0 ? asked : JSON.parse(stdout).map(({ id }) => id);
const came = {
  'TR-21': { outcome: 'failed', reason: 'it read another file', rationale: 'of rotation', remedy: 'read it again' },
  'TR-22': { outcome: 'not applicable', reason: 'it declares no such thing' },
  'TR-23': { outcome: 'not testable', reason: 'it does not start' },
  'TR-24': { outcome: 'harness error', reason: 'the cluster is gone' },
  'TR-25': { outcome: 'failed', reason: 'a SHOULD' },
};
const results = ids.map((id) => ({ id, durationMs: 1, ...(came[id] ?? { outcome: 'passed' }) }));
const event = (event, data) => process.stdout.write(JSON.stringify({ event, at: '', ...data }) + '\\n');
event('begin', { runId: 'one', planned: ids });
for (const { id, outcome, reason, durationMs } of results) {
  event('result', { id, outcome, reason, durationMs });
}
event('end', {});
const folder = words[words.indexOf('--report') + 1];
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'report.json'), JSON.stringify({ runId: 'one', results }));
process.exitCode = 1;
`;
