import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type SetUpProgress, StepReporter } from '../engine/progress.ts';
import { Cache } from './cache.ts';
import { goArtifacts } from './go.ts';
import { parseImageSpec } from './spec.ts';

/**
 * A `go` that writes down what it is asked for, prints packages as the real one does, and "links" files whose content
 * is their name. While the file `stop` is there, it goes on compiling; like the real one, it dies of the next word that
 * nobody reads (SIGPIPE).
 */
const FAKE_GO = `#!/bin/sh
case $1 in
  version) echo 'go version go1.26.0 linux/amd64' ;;
  env) echo auto ;;
  list) echo a; echo b ;;
  build)
    echo "$@" >>"$FAKE/asked"
    echo first/package >&2
    while [ -e "$FAKE/stop" ]; do sleep 0.1; done
    echo last/package >&2
    while [ "$1" != -o ]; do shift; done
    target=$2; shift 2
    for package; do
      name=$(basename "$package")
      [ -d "$target" ] && echo "$name" >"$target/$name" || echo "$name" >"$target"
    done ;;
esac
`;

const YAML = `
name: node
go:
  - { package: ./one, output: bin/one, tags: [small] }
  - { package: example.org/two, output: bin/two, tags: [small] }
  - { package: example.org/alone, output: bin/alone }
`;

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'go-'));
  await mkdir(join(root, 'module', 'one'), { recursive: true });
  await mkdir(join(root, 'module', 'other'));
  await writeFile(join(root, 'module', 'go.mod'), 'module example.org/module\n');
  await writeFile(join(root, 'module', 'one', 'main.go'), 'package main\n');
  await writeFile(join(root, 'module', 'other', 'main.go'), 'package main\n');
  await mkdir(join(root, 'bin'));
  await writeFile(join(root, 'bin', 'go'), FAKE_GO);
  await chmod(join(root, 'bin', 'go'), 0o755);
  vi.stubEnv('PATH', `${join(root, 'bin')}:${process.env.PATH}`);
  vi.stubEnv('FAKE', root);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true, force: true, maxRetries: 3 });
});

const artifacts = (yaml = YAML) => goArtifacts(join(root, 'module'), parseImageSpec(yaml, 'image.yaml').go);
const workshop = (onProgress: (progress: SetUpProgress) => void = () => {}) => ({
  cache: new Cache(join(root, 'cache')),
  report: new StepReporter('image node', onProgress),
});
const asked = async () => (await readFile(join(root, 'asked'), 'utf8').catch(() => '')).split('\n').filter(Boolean);

describe('goArtifacts', () => {
  it('builds the programs of one module and one setting by one `go build`', async () => {
    const [one, two, alone] = await artifacts();
    const steps: string[] = [];
    const at = workshop(({ phase, step }) => phase === 'begin' && steps.push(step));
    expect(await readFile((await one?.locate(at)) ?? '', 'utf8')).toBe('one\n');
    expect(await readFile((await two?.locate(at)) ?? '', 'utf8')).toBe('two\n');
    expect(await asked()).toEqual([expect.stringMatching(/-tags=small -o \S+ \.\/one example\.org\/two$/)]);
    await alone?.locate(at);
    expect((await asked())[1]).toMatch(/-ldflags=-s -w -o \S+\/alone example\.org\/alone$/);
    expect(steps).toEqual(['compile one, two', 'compile alone']);
  });

  it('builds only what the cache does not have', async () => {
    const [one] = await artifacts(YAML.replace(/.*(two|alone).*\n/g, ''));
    await one?.locate(workshop());
    const [, two] = await artifacts();
    await two?.locate(workshop());
    expect((await asked())[1]).toMatch(/ example\.org\/two$/);
    expect((await asked())[1]).not.toContain('./one');
  });

  it('gives a new key for a changed source or version, and the old one for a change beside it', async () => {
    const keys = async () => (await artifacts()).map(({ key }) => key);
    const before = await keys();
    await writeFile(join(root, 'module', 'other', 'main.go'), 'package main // changed\n');
    await writeFile(join(root, 'module', 'one', 'README.md'), 'not embedded\n');
    await writeFile(join(root, 'module', 'one', 'main_test.go'), 'package main\n');
    expect(await keys()).toEqual(before);
    await writeFile(join(root, 'module', 'one', 'main.go'), 'package main\n//go:embed *.md\n');
    const changed = await keys();
    expect(changed[0]).not.toBe(before[0]);
    expect(changed.slice(1)).toEqual(before.slice(1));
    await writeFile(join(root, 'module', 'one', 'README.md'), 'embedded\n');
    expect((await keys())[0]).not.toBe(changed[0]);
    await writeFile(join(root, 'module', 'go.sum'), 'example.org/two v2\n');
    expect((await keys())[1]).not.toBe(before[1]);
  });

  it('says which name an output must have', async () => {
    const [one] = await artifacts(YAML.replace('bin/one', 'bin/uno'));
    await expect(one?.locate(workshop())).rejects.toThrow(/`go build` of \.\/one in .* made no program uno/);
  });

  it('goes on after kill -9 in the middle, and removes what the killed one left', async () => {
    await writeFile(join(root, 'stop'), '');
    const [module, cached] = [join(root, 'module'), join(root, 'cache')].map((path) => JSON.stringify(path));
    const script = `
      const { goArtifacts } = await import('./go.ts');
      const { parseImageSpec } = await import('./spec.ts');
      const { Cache } = await import('./cache.ts');
      const { StepReporter } = await import('../engine/progress.ts');
      const [one] = await goArtifacts(${module}, parseImageSpec(${JSON.stringify(YAML)}, '').go);
      const report = new StepReporter('image', ({ detail }) => detail?.startsWith('1 packages') && console.log(detail));
      await one.locate({ cache: new Cache(${cached}), report });`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const cache = new Cache(join(root, 'cache'));
    expect(await readdir(join(cache.folder, 'tmp'))).toHaveLength(1);
    await rm(join(root, 'stop'));
    expect(await cache.sweep()).toHaveLength(1);
    const [one] = await artifacts();
    expect(await readFile((await one?.locate(workshop())) ?? '', 'utf8')).toBe('one\n');
    expect(await readdir(join(cache.folder, 'tmp'))).toEqual([]);
  });
});
