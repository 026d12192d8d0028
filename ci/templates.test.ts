/** The shell steps of the templates, run with stubs in the place of the commands that they call. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { createProgram } from '../harness/cli/program.ts';
import { parseShard } from '../harness/run/shards.ts';

const read = (file: string): unknown => parse(readFileSync(fileURLToPath(new URL(file, import.meta.url)), 'utf8'));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'conformance-ci-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Words of each call of a stubbed command, its name first. */
interface Ran {
  code: number;
  calls: string[][];
  stdout: string;
}

/**
 * Runs a script by Bash, as runners do: it ends at the first command that fails.
 *
 * @param answers exit codes of `node …conformance.mjs WORD`, by that word; 0 for the others
 */
async function shell(
  script: string,
  {
    env = {},
    answers = {},
    flags = ['-eo', 'pipefail'],
  }: { env?: object; answers?: Record<string, number>; flags?: string[] },
): Promise<Ran> {
  const calls = join(folder, 'calls');
  writeFileSync(calls, '');
  const cases = Object.entries(answers).map(([word, code]) => `    ${word}) exit ${code} ;;\n`);
  for (const name of ['node', 'npm', 'npx', 'git', 'docker']) {
    const at = name === 'node' ? '$2' : name === 'npm' ? '$4' : name === 'npx' ? '$5' : '$1';
    const file = join(folder, name);
    // Words are written with their ends, so that a space in one of them shows.
    writeFileSync(
      file,
      `#!/bin/bash\n{ printf '%s\\x1f' ${name} "$@"; echo; } >> "$CALLS"\ncase "${at}" in\n${cases.join('')}    *) exit 0 ;;\nesac\n`,
    );
    chmodSync(file, 0o755);
  }
  const { code, stdout } = await new Promise<{ code: number; stdout: string }>((resolve) => {
    const child = execFile(
      'bash',
      [...flags, '-c', script],
      { cwd: folder, env: { PATH: `${folder}${delimiter}${process.env.PATH ?? ''}`, CALLS: calls, ...env } },
      (_, out) => resolve({ code: child.exitCode ?? -1, stdout: out }),
    );
  });
  const lines = readFileSync(calls, 'utf8').split('\n').slice(0, -1);
  return { code, stdout, calls: lines.map((line) => line.split('\x1f').slice(0, -1)) };
}

/** Words after `conformance.mjs`, or after `npm run conformance --`. */
function commandOf(call: string[]): string[] {
  return call.slice(call[0] === 'npm' ? 4 : 2);
}

/** What the options of a command are called, so that a template cannot name one that is none. */
function optionsOf(name: string): string[] {
  return (
    createProgram()
      .commands.find((command) => command.name() === name)
      ?.options.map(({ long }) => long ?? '') ?? []
  );
}

interface Step {
  name?: string;
  id?: string;
  if?: string;
  uses?: string;
  run?: string;
  env?: Record<string, string>;
}

describe('the action', () => {
  const action = read('./action/action.yml') as {
    inputs: Record<string, { default: string; description: string }>;
    outputs: Record<string, { value: string }>;
    runs: { steps: Step[] };
  };
  const [setUp, run, keep] = action.runs.steps as [Step, Step, Step];

  async function evaluate(
    inputs: Record<string, string>,
    answers: Record<string, number> = {},
  ): Promise<Ran & { output: string }> {
    const output = join(folder, 'output');
    writeFileSync(output, '');
    const given = Object.entries(run.env ?? {}).map(([name, value]) => {
      const [, input = ''] = /^\$\{\{ inputs\.(\w+) \}\}$/.exec(value) ?? [];
      expect(action.inputs).toHaveProperty(input);
      return [name, inputs[input] ?? action.inputs[input]?.default];
    });
    const env = { ...Object.fromEntries(given), GITHUB_ACTION_PATH: '/action/ci/action', GITHUB_OUTPUT: output };
    const ran = await shell(run.run ?? '', { env, answers });
    return { ...ran, output: readFileSync(output, 'utf8') };
  }

  test('sets up, then runs the references where no input is given', async () => {
    const program = '/action/ci/action/../../harness/cli/conformance.mjs';
    const env = { GITHUB_ACTION_PATH: '/action/ci/action' };
    expect(await shell(setUp.run ?? '', { env })).toMatchObject({ code: 0, calls: [['node', program, 'setup']] });
    expect(await evaluate({})).toMatchObject({
      code: 0,
      calls: [['node', program, 'run', '--report', 'conformance-report']],
      output: 'verdict=harness-error\n',
    });
  });

  test('every input is an option of `run`, and words stay whole', async () => {
    const { calls } = await evaluate({
      target: 'my agent.yaml\nrunner.yaml\n',
      suites: 'token-rotation',
      requirement: 'TR-01\nTR-02',
      set: 'NAME=$(touch pwned) `id`',
      strict: 'true',
      baseline: 'baseline.yaml',
      shard: '1/3',
      report: 'out put',
    });
    const [words = []] = calls.map(commandOf);
    expect(words).toEqual(
      // biome-ignore format: as they stand on a command line
      ['run', '--report', 'out put', 'token-rotation', '--target', 'my agent.yaml', '--target', 'runner.yaml',
        '--requirement', 'TR-01', '--requirement', 'TR-02', '--set', 'NAME=$(touch pwned) `id`',
        '--baseline', 'baseline.yaml', '--shard', '1/3', '--strict'],
    );
    const options = optionsOf('run');
    expect(words.filter((word) => word.startsWith('--') && !options.includes(word))).toEqual([]);
  });

  test.each([1, 2, 64])('exit code %i fails the step, and the report is kept all the same', async (code) => {
    expect((await evaluate({}, { run: code })).code).toBe(code);
    expect(keep.if).toContain('always()');
  });

  test('strict is true or false', async () => {
    expect(await evaluate({ strict: 'yes' })).toMatchObject({
      code: 64,
      calls: [],
      stdout: expect.stringContaining('strict is "yes"'),
    });
  });

  test('no input is put into a script, and every output is one of the step', () => {
    expect(action.runs.steps.filter((step) => step.run?.includes('${{'))).toEqual([]);
    const written = ['verdict', 'passed', 'failed', 'report'];
    expect(Object.entries(action.outputs).map(([name, { value }]) => [name, value])).toEqual(
      written.map((name) => [name, `\${{ steps.${run.id}.outputs.${name} }}`]),
    );
  });
});

describe('the sharded workflow', () => {
  const workflow = read('./github-actions-sharded.yaml') as {
    env: { COUNT: number };
    jobs: Record<'shard' | 'verdict', { if?: string; steps: Step[]; strategy: { matrix: { index: number[] } } }>;
  };
  const step = (job: 'shard' | 'verdict', name: string): string =>
    workflow.jobs[job].steps.find((one) => one.name === name)?.run ?? '';

  test('the matrix has each shard of COUNT', () => {
    const { index } = workflow.jobs.shard.strategy.matrix;
    expect(index).toEqual(Array.from({ length: workflow.env.COUNT }, (_, at) => at + 1));
  });

  test.each([
    [0, 0],
    [1, 0],
    [2, 1],
    [64, 1],
  ])('a shard that ends with %i: the job ends with %i; only a verdict is left to the last job', async (code, job) => {
    const env = { INDEX: '2', COUNT: `${workflow.env.COUNT}` };
    const ran = await shell(step('shard', 'Run this shard'), { env, answers: { run: code } });
    expect(ran.code).toBe(job);
    const [words = []] = ran.calls.map(commandOf);
    expect(words).toEqual(['run', '--shard', '2/3', '--report', '../shard']);
    expect(parseShard(words[2] ?? '')).toEqual({ index: 2, count: 3 });
  });

  test.each([0, 1, 2])('the last job runs whatever the shards did, and ends as the merge does: %i', async (code) => {
    expect(workflow.jobs.verdict.if).toBe('always()');
    const ran = await shell(step('verdict', 'Merge'), { answers: { merge: code } });
    expect({ code: ran.code, words: ran.calls.map(commandOf)[0]?.slice(0, 1) }).toEqual({ code, words: ['merge'] });
    expect(optionsOf('merge')).toContain('--report');
  });
});

describe('the workflow that makes images', () => {
  const { jobs } = read('./github-actions-images.yaml') as { jobs: { images: { steps: Step[] } } };
  const script = (name: string): string => jobs.images.steps.find((one) => one.name === name)?.run ?? '';
  const env = { REGISTRY: 'registry.test/suite', GITHUB_SHA: 'abc' };

  test('packs the harness beside its Dockerfile, and builds it for both architectures', async () => {
    const { code, calls } = await shell(script('Build and push the harness'), { env });
    expect(code).toBe(0);
    expect(calls).toEqual([
      ['npm', 'pack', '--pack-destination', 'ci/in-cluster'],
      [
        ...['docker', 'buildx', 'build', '--platform', 'linux/amd64,linux/arm64', '--push'],
        ...['--tag', 'registry.test/suite/kube-agent-conformance:abc', 'ci/in-cluster'],
      ],
    ]);
  });

  test('mirrors what live clusters pull to the same registry', async () => {
    const { calls } = await shell(script('Mirror what its pods run'), { env });
    expect(calls.map(commandOf)).toEqual([['images', 'mirror', '--to', 'registry.test/suite']]);
  });
});

describe('GitLab', () => {
  const { conformance } = read('./gitlab-ci.yaml') as { conformance: { script: string[] } };

  test.each([
    ['', []],
    ['my agent.yaml', ['--target', 'my agent.yaml']],
  ])('clones, sets up and runs the target "%s"', async (TARGET, given) => {
    const script = conformance.script.join('\n');
    const { code, calls } = await shell(script, {
      env: { TARGET, KUBE_AGENT_CONFORMANCE_URL: 'https://git.test/suite' },
    });
    expect(code).toBe(0);
    expect(calls).toEqual([
      ['git', 'clone', '--depth', '1', 'https://git.test/suite', '.conformance'],
      ['node', '.conformance/harness/cli/conformance.mjs', 'setup'],
      ['node', '.conformance/harness/cli/conformance.mjs', 'run', ...given, '--report', 'conformance-report'],
    ]);
  });
});

describe('Tekton', () => {
  const task = read('./tekton-task.yaml') as { spec: { steps: { script: string; env: { name: string }[] }[] } };
  const [step] = task.spec.steps;

  test.each([
    [0, 'conformant'],
    [1, 'not-conformant'],
    [2, 'harness-error'],
    [64, 'harness-error'],
  ])('the command ends with %i: the result is %s, and so does the step', async (code, verdict) => {
    const file = join(folder, 'verdict');
    const env = { URL: 'https://git.test/suite', REVISION: 'v1', TARGET: 'a b.yaml', CONTEXT: 'live', VERDICT: file };
    expect(Object.keys(env).filter((name) => !step?.env.some((one) => one.name === name))).toEqual([]);
    const ran = await shell(step?.script ?? '', { env, answers: { run: code }, flags: [] });
    expect({ code: ran.code, verdict: readFileSync(file, 'utf8') }).toEqual({ code, verdict });
    const words = commandOf(ran.calls.at(-1) ?? []);
    expect(words).toEqual(
      // biome-ignore format: as they stand on a command line
      ['run', '--cluster', 'kubeconfig', '--context', 'live', '--target', 'a b.yaml', '--report', 'conformance-report'],
    );
    const options = optionsOf('run');
    expect(words.filter((word) => word.startsWith('--') && !options.includes(word))).toEqual([]);
  });

  test('a suite that cannot be cloned is no verdict', async () => {
    const file = join(folder, 'verdict');
    const env = { URL: 'x', REVISION: 'v1', CONTEXT: 'live', VERDICT: file };
    const ran = await shell(step?.script ?? '', { env, answers: { clone: 128 }, flags: [] });
    expect({ code: ran.code, verdict: readFileSync(file, 'utf8'), calls: ran.calls.length }).toEqual({
      code: 2,
      verdict: 'harness-error',
      calls: 1,
    });
  });
});

describe('the workflow of a repository of results', () => {
  const { jobs } = read('./github-results.yaml') as { jobs: { check: { steps: Step[] } } };
  const step = jobs.check.steps.at(-1);

  test.each([0, 1, 64])('checks what a pull request adds, and ends as the command does: %i', async (code) => {
    const env = { CONFORMANCE_PACKAGE: './a b.tgz', GITHUB_BASE_REF: 'main' };
    const ran = await shell(step?.run ?? '', { env, answers: { results: code } });
    expect(ran.code).toBe(code);
    expect(ran.calls).toEqual([
      // biome-ignore format: as they stand on a command line
      ['npx', '--yes', '--package', './a b.tgz', 'conformance', 'results', 'check', 'results', '--since', 'origin/main'],
    ]);
    expect(optionsOf('results')).toContain('--since');
    // Without the history nothing can be compared.
    expect(jobs.check.steps[0]).toMatchObject({ with: { 'fetch-depth': 0 } });
  });
});
