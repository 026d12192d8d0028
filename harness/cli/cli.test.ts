import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { $, type ProcessOutput } from 'zx';
import { packageVersion } from '../core/package.ts';
import { templateRoles } from './init.ts';
import { printed } from './printed.ts';
import { commandLine } from './program.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
// Starts of Node at the same time on two busy cores take their time.
const TIMEOUT = 60_000;

/** Runs the command line as a user does and never rejects. */
const conformance = (...args: string[]): Promise<ProcessOutput> =>
  $({ nothrow: true, quiet: true, env: { ...process.env, NO_COLOR: '1' } })`${process.execPath} ${MAIN} ${args}`;

describe('what a command prints', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test('list --json: every requirement, with the fields of the interface', async () => {
    const { code, out } = await printed('list', '--json');
    expect(code).toBe(0);
    const rows = JSON.parse(out) as Record<string, unknown>[];
    expect(rows.length).toBeGreaterThan(20);
    for (const row of rows) {
      expect(Object.keys(row)).toEqual([
        'id',
        'level',
        'role',
        'suite',
        'statement',
        'source',
        'twins',
        'preconditions',
        'support',
      ]);
      expect(row.twins).toEqual(expect.arrayContaining([expect.any(String)]));
    }
  });

  test('explain: rationale, source, how it is observed, remedy, twins', async () => {
    const { code, out } = await printed('explain', 'TR-07');
    expect(code).toBe(0);
    for (const part of [
      'KEP-1205',
      'Why',
      'How it is observed',
      'Remedy',
      'accepts-expired-tokens',
      'suites/token-rotation/cluster.test.ts:',
    ]) {
      expect(out).toContain(part);
    }
  });

  test('help is no error', async () => {
    const { code, out } = await printed('run', '--help');
    expect({ code, idp: out.includes('--idp') }).toEqual({ code: 0, idp: true });
  });
});

describe.concurrent('as a process', { timeout: TIMEOUT }, () => {
  test('an engine that does not answer: 2, and what to do', async () => {
    const shell = $({ nothrow: true, quiet: true, env: { ...process.env, DOCKER_HOST: 'tcp://127.0.0.1:9' } });
    const { exitCode, stderr } = await shell`${process.execPath} ${MAIN} run --requirement AI-20`;
    expect(exitCode).toBe(2);
    expect(stderr).toContain('DOCKER_HOST');
  });

  test('--version', async () => {
    const { exitCode, stdout } = await conformance('--version');
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: `${packageVersion().version}\n` });
  });

  test('a usage error ends the process with 64', async () => {
    expect((await conformance('run', '--bogus')).exitCode).toBe(64);
  });
});

test.each([
  ['an unknown flag', ['run', '--bogus'], '--bogus'],
  ['an unknown command', ['rnu'], 'rnu'],
  ['a value that is none', ['run', '--clock', 'slow'], 'accelerated, real'],
  ['an unknown suite', ['run', 'token-rotatoin'], 'Did you mean token-rotation?'],
  ['an unknown requirement', ['run', '--requirement', 'TR-999'], 'Did you mean TR-09'],
  ['a requirement given as a suite', ['run', 'TR-04'], 'TR-04 is a requirement; use --requirement TR-04.'],
  ['an unknown id to explain', ['explain', 'XX-01'], 'unknown requirement XX-01'],
  ['a report that does not exist', ['explain', 'TR-04', '--report', '/nonexistent'], 'there is no report /nonexistent'],
  ['an unknown twin', ['prove', 'never-rotate'], 'Did you mean never-rotates?'],
  [
    'a clock that a live cluster does not have',
    ['run', '--cluster', 'kubeconfig', '--clock', 'accelerated'],
    '--clock real',
  ],
  ['a second cluster without a live one', ['run', '--peer-context', 'b'], '--cluster kubeconfig'],
  [
    'a second cluster that nothing would be asked of',
    ['run', 'rbac-minimal', '--cluster', 'kubeconfig', '--peer-context', 'b'],
    'AI-01, AI-06, AI-11',
  ],
  [
    'a second cluster that the pods of a Job do not know',
    ['submit', '--image', 'i', 'audience-isolation', '--', '--peer-context', 'b'],
    '--kubeconfig-secret NAME',
  ],
  ['a second cluster to clean without a live one', ['clean', '--peer-context', 'b'], '--cluster kubeconfig'],
])('%s: 64, and what would be right', async (_, args, named) => {
  let said = '';
  const exitCode = await commandLine(args, (text) => {
    said += text;
  });
  expect(exitCode).toBe(64);
  expect(said).toContain(named);
});

test('there is a template of each role that can be a target', () => {
  expect(templateRoles()).toContain('identity-provider');
});
