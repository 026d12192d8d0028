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
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadCatalogue } from '../catalogue/catalogue.ts';
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
  /** What `list --json` of the installed package prints. */
  let listed: string;
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
    ({ stdout: listed } = await conformance('list', '--json'));
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  test('the command line runs', async () => {
    expect(JSON.parse(listed)).toHaveLength(loadCatalogue().requirements.length);
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
    /** Of each file what came of each of its tests: by its id, or by its whole name where it has none. */
    async function outcomes(...words: string[]): Promise<Record<string, Record<string, string>>> {
      const program = join(ROOT, 'node_modules/vitest/vitest.mjs');
      const file = join(folder, 'outcomes.json');
      await inFolder(program, ['run', '--reporter', 'json', '--outputFile', file, ...words]);
      const { testResults } = JSON.parse(readFileSync(file, 'utf8')) as {
        testResults: {
          name: string;
          message: string;
          assertionResults: { title: string; status: string; failureMessages: string[] }[];
        }[];
      };
      return Object.fromEntries(
        testResults.map(({ name, message, assertionResults }) => [
          basename(name, '.test.ts'),
          Object.fromEntries([
            ...(message === '' ? [] : [['file', message]]),
            ...assertionResults.map(({ title, status, failureMessages }) => [
              title.split(' ', 1)[0],
              [status, ...(failureMessages ?? [])].join(': '),
            ]),
          ]) as Record<string, string>,
        ]),
      );
    }
    const ran = (report: string): string[] =>
      JSON.parse(readFileSync(join(folder, report, 'ran.json'), 'utf8')) as string[];

    /** What came of three files in one run of Vitest: starts of Node are most of what this costs. */
    let came: Awaited<ReturnType<typeof outcomes>>;

    beforeAll(async () => {
      const file = (name: string, options: string): void =>
        writeFileSync(
          join(folder, `${name}.test.ts`),
          `import { conformance } from 'kube-agent-conformance/vitest';\nawait conformance({ ${options} });\n`,
        );
      file('agent', "target: './agent.yaml', suites: ['token-rotation']");
      file('broken', "target: './agent.yaml', suites: ['token-rotation'], report: 'broken'");
      file('wrong', "target: './wrong.yaml', suites: ['token-rotation']");
      writeFileSync(join(folder, 'wrong.yaml'), 'role: nobody\n');
      // A report of the run before is there, and is none of the one that breaks.
      mkdirSync(join(folder, 'broken'));
      const before = { runId: 'one', results: [{ id: 'TR-20', outcome: 'passed' }] };
      writeFileSync(join(folder, 'broken/report.json'), JSON.stringify(before));
      // Whatever starts something is told to a stand-in, and everything else is answered by the command line itself:
      // what it lists is what it listed before.
      const started = join(installed, 'harness/cli/conformance.mjs');
      cpSync(started, join(installed, 'harness/cli/conformance-itself.mjs'));
      writeFileSync(join(folder, 'listed.json'), listed);
      writeFileSync(started, STAND_IN);
      came = await outcomes('agent.test.ts', 'broken.test.ts', 'wrong.test.ts');
    }, 120_000);

    test('there is one test for each requirement of the target, with what came of it', () => {
      expect(came.agent).toMatchObject({
        'TR-20': 'passed',
        'TR-22': 'skipped',
        'TR-25': 'skipped',
        'TR-24': expect.stringMatching(/^failed: Error: harness error, which says nothing about the implementation/),
        'TR-23': expect.stringMatching(/^failed: Error: not testable: it does not start/),
      });
      expect(came.agent?.['TR-21']).toMatch(
        /^failed: Error: it read another file\nWhy it matters: .*\nHow to fix it: read it again\n/s,
      );
      expect(came.agent).not.toHaveProperty('TR-01');
      const words = ran('reports/latest');
      expect(words).toEqual(expect.arrayContaining(['token-rotation', '--target', './agent.yaml', '--json']));
      expect(words).not.toContain('--requirement');
    });

    test('its filters decide what is run', async () => {
      const { agent } = await outcomes('agent.test.ts', '-t', 'TR-2[01] ');
      expect(agent?.['TR-20']).toBe('passed');
      const asked = ran('reports/latest').filter((_, index, words) => words[index - 1] === '--requirement');
      expect(asked).toEqual(['TR-20', 'TR-21']);
    });

    test('a run that says nothing fails each test with its last words', () => {
      expect(came.broken?.['TR-20']).toMatch(/^failed: Error: harness error.*exit code 2.*the engine does not answer/s);
    });

    test('a target file that is wrong fails the file, in the words of the command line', () => {
      expect(came.wrong?.file).toMatch(/exit code 64.*does not have the right shape/s);
    });
  });
});

const STAND_IN = `#!/usr/bin/env node
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
const words = process.argv.slice(2);
const listed = readFileSync('listed.json', 'utf8');
if (words.join(' ') === 'list --json') {
  process.stdout.write(listed);
} else if (words[0] === 'run') {
  run();
} else {
  await import('./conformance-itself.mjs');
}

function run() {
  const folder = words[words.indexOf('--report') + 1];
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'ran.json'), JSON.stringify(words));
  if (folder === 'broken') {
    process.stderr.write('the engine does not answer\\n');
    process.exitCode = 2;
    return;
  }
  const asked = words.filter((_, index) => words[index - 1] === '--requirement');
  const ids = asked.length > 0 ? asked : JSON.parse(listed).map(({ id }) => id);
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
  writeFileSync(join(folder, 'report.json'), JSON.stringify({ runId: 'one', results }));
  process.exitCode = 1;
}
`;
