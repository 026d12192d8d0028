import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { command } from './command.ts';

const WRAPPER = fileURLToPath(new URL('../../../ci/runc-without-sys-resource', import.meta.url));

let folder: string;
let bundle: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'runtime-'));
  bundle = join(folder, 'a bundle');
  await mkdir(bundle);
  await writeFile(join(folder, 'runc'), '#!/bin/sh\nprintf "%s|" "$@"\n');
  await chmod(join(folder, 'runc'), 0o755);
});
afterEach(() => rm(folder, { recursive: true }));

const run = (...args: string[]) =>
  command(WRAPPER, args, { env: { ...process.env, KUBE_AGENT_CONFORMANCE_RUNC: join(folder, 'runc') } });

const everything = ['CAP_CHOWN', 'CAP_SYS_RESOURCE', 'CAP_KILL'];
const config = {
  process: {
    args: ['echo', 'CAP_SYS_RESOURCE', '"bounding":["CAP_SYS_RESOURCE"]', '"oomScoreAdj":-7'],
    capabilities: {
      bounding: everything,
      effective: ['CAP_SYS_RESOURCE', 'CAP_KILL'],
      permitted: ['CAP_KILL', 'CAP_SYS_RESOURCE'],
      inheritable: ['CAP_SYS_RESOURCE'],
      ambient: [],
    },
    oomScoreAdj: -999,
  },
};
const stripped = {
  process: {
    args: config.process.args,
    capabilities: {
      bounding: ['CAP_CHOWN', 'CAP_KILL'],
      effective: ['CAP_KILL'],
      permitted: ['CAP_KILL'],
      inheritable: [],
      ambient: [],
    },
    oomScoreAdj: 0,
  },
};

describe('ci/runc-without-sys-resource', () => {
  it.each([
    ['as the engine writes it', undefined],
    ['over several lines', 2],
  ])('takes the capability and the score out of a bundle %s', async (_, indent) => {
    await writeFile(join(bundle, 'config.json'), JSON.stringify(config, null, indent));
    const args = [
      '--root',
      '/run/create',
      '--log-format',
      'json',
      'create',
      '--bundle',
      bundle,
      '--pid-file',
      '/p',
      'id',
    ];
    expect(await run(...args)).toBe(`${args.join('|')}|`);
    expect(JSON.parse(await readFile(join(bundle, 'config.json'), 'utf8'))).toEqual(stripped);
    expect(await readdir(bundle)).toEqual(['config.json']);
  });

  it('does the same for run, with --bundle=', async () => {
    await writeFile(join(bundle, 'config.json'), JSON.stringify(config));
    await run('run', `--bundle=${bundle}`, 'id');
    expect(JSON.parse(await readFile(join(bundle, 'config.json'), 'utf8'))).toEqual(stripped);
  });

  it('does the same for the process file of exec', async () => {
    const file = join(folder, 'process.json');
    await writeFile(file, JSON.stringify(config.process));
    await run('--log', '/l', 'exec', '--process', file, '--detach', 'id');
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(stripped.process);
  });

  it('leaves a score that is not negative', async () => {
    await writeFile(join(bundle, 'config.json'), JSON.stringify({ process: { oomScoreAdj: 500 } }));
    await run('create', '-b', bundle, 'id');
    expect(await readFile(join(bundle, 'config.json'), 'utf8')).toContain('500');
  });

  it('hands other commands over as they are', async () => {
    await writeFile(join(bundle, 'config.json'), JSON.stringify(config));
    expect(await run('delete', '--force', 'create')).toBe('delete|--force|create|');
    expect(JSON.parse(await readFile(join(bundle, 'config.json'), 'utf8'))).toEqual(config);
  });
});
