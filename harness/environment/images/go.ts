import { chmod, readFile, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { command } from '../engine/command.ts';
import { SetUpError } from '../engine/errors.ts';
import { imageArchitecture } from './archive.ts';
import type { Artifact, Workshop } from './artifacts.ts';
import { removeTree } from './cache.ts';
import { type ContextFile, digestOf, filesUnder, fingerprint } from './digest.ts';
import type { GoSpec } from './spec.ts';
import { ensureGo, ensureProgram } from './tools.ts';

/** A program of a Go module, and where it lies in the cache. */
type Program = { readonly go: GoSpec; readonly dir: string; readonly key: string };

/**
 * Debug information is stripped by the linker (`-s -w`), so the compiler need not write it, and a heap that grows to
 * five times what lives makes a compiler that runs for seconds collect rarely. Both together spare 40 % of the
 * processor time (k8s.io/api/core/v1 with Go 1.26: 7.3 s without, 4.2 s with them); the programs are the same.
 */
const COMPILER_FLAGS = '-gcflags=all=-dwarf=false';
const COMPILER_GOGC = '400';

/**
 * Programs built from Go modules. The key of each is its source, so that a changed script of the image compiles
 * nothing. Those of one module with the same settings are built by one `go build`: no package is compiled twice, and
 * one program is linked while another is still compiled.
 */
export async function goArtifacts(folder: string, specs: readonly GoSpec[]): Promise<Artifact[]> {
  const programs = await Promise.all(specs.map((go) => programOf(folder, go)));
  return programs.map((program) => {
    const together = programs.filter((other) => buildOf(other) === buildOf(program));
    return {
      output: program.go.output,
      key: program.key,
      executable: true,
      locate: async (workshop) => {
        await buildPrograms(together, workshop);
        return join(workshop.cache.path('go', program.key), basename(program.go.output));
      },
    };
  });
}

/** What programs have in common that one `go build` can build. */
function buildOf({ go: { package: _, output: __, ...settings }, dir }: Program): string {
  return digestOf({ ...settings, dir });
}

async function programOf(folder: string, go: GoSpec): Promise<Program> {
  const dir = join(folder, go.dir);
  const sources = await sourcesOf(dir, go.package);
  const { dir: _, output: __, ...settings } = go;
  return { go, dir, key: digestOf({ go: fingerprint(sources), settings, architecture: imageArchitecture() }) };
}

/**
 * What a program is built from: the versions of its module, and the files of its package's folder and of those below.
 * A package of a dependency is what the versions say; files beside go.mod may pin it. Tests are in no program.
 */
async function sourcesOf(dir: string, path: string): Promise<ContextFile[]> {
  const isOwn = path === '.' || path.startsWith('./');
  const within = path === '.' ? '' : `${path.slice('./'.length)}/`;
  const isVersion = (name: string) => name === 'go.mod' || name === 'go.sum';
  const isIn = (name: string) => (isOwn ? name.startsWith(within) : !name.includes('/')) && !name.endsWith('_test.go');
  const files = await filesUnder(dir, (name) => isVersion(name) || isIn(name));
  if (!files.some(({ name }) => name === 'go.mod')) {
    throw new SetUpError(`${dir} is declared as a Go module but has no go.mod.`);
  }
  const code = files.filter(({ name }) => name.endsWith('.go'));
  const texts = await Promise.all(code.map((file) => readFile(file.path, 'utf8')));
  // What a program embeds is its source, too; which files match is left to the compiler, so all of them count.
  return texts.some((text) => /^\/\/go:embed /m.test(text))
    ? files
    : files.filter(({ name }) => name.endsWith('.go') || isVersion(name));
}

/** Builds those of the programs that the cache does not have. */
async function buildPrograms(programs: readonly Program[], workshop: Workshop): Promise<void> {
  const { cache, report, signal } = workshop;
  const missing = programs.filter(({ key }) => !cache.has('go', key));
  const first = missing[0];
  if (first === undefined) {
    return;
  }
  const program = await ensureGo(report, signal);
  if (first.go.env.CGO_ENABLED === '1') {
    await ensureProgram('gcc', 'gcc', report, signal);
  }
  const names = missing.map(({ go }) => basename(go.output));
  const target = await cache.temporary();
  try {
    await report.step(`compile ${names.join(', ')}`, (advance) => compile(program, missing, target, advance, signal));
    for (const { go, key, dir } of missing) {
      const name = basename(go.output);
      await cache.entry('go', key, async (folder) => {
        const made = join(folder, name);
        await rename(join(target, name), made).catch((cause: unknown) => {
          throw new SetUpError(
            `\`go build\` of ${go.package} in ${dir} made no program ${name}: the output's name must be that which Go gives to the package.`,
            [],
            { cause },
          );
        });
        await chmod(made, 0o755);
      });
    }
  } finally {
    await removeTree(target);
  }
}

/** One `go build` of programs that have their settings in common, into a folder. */
async function compile(
  program: string,
  missing: readonly Program[],
  target: string,
  advance: (detail: string) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const [first] = missing as readonly [Program, ...Program[]];
  const { tags, env, ldflags } = first.go;
  const options = {
    cwd: first.dir,
    env: { GOGC: COMPILER_GOGC, ...process.env, CGO_ENABLED: '0', ...env },
    ...(signal === undefined ? {} : { signal }),
  };
  const chosen = tags.length === 0 ? [] : [`-tags=${tags.join(',')}`];
  const packages = missing.map(({ go }) => go.package);
  advance('reading its modules');
  let modules = 0;
  const all = await command(program, ['list', '-deps', ...chosen, ...packages], {
    ...options,
    onLine: (line) => {
      if (!line.startsWith('go: downloading ')) {
        return;
      }
      modules += 1;
      advance(`${modules} modules downloaded`);
    },
  });
  const total = all.split('\n').length;
  const compiled = new Set<string>();
  // With one package, -o names a file where it is no folder that exists.
  const output = missing.length === 1 ? join(target, basename(first.go.output)) : target;
  const flags = ['-v', '-trimpath', '-buildvcs=false', COMPILER_FLAGS, `-ldflags=${ldflags}`, ...chosen];
  await command(program, ['build', ...flags, '-o', output, ...packages], {
    ...options,
    onLine: (line) => {
      if (!/^[\w.~-]+(\/[\w.~-]+)*$/.test(line)) {
        return;
      }
      compiled.add(line);
      advance(`${compiled.size} packages compiled, of at most ${total}`);
    },
  });
}
