import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { ROLE_DEFINITIONS } from './harness/roles/index.ts';

/** A requirement mostly waits for a cluster: all files run at once, and all requirements of a file. */
const AGAINST_THE_ENVIRONMENT = {
  globalSetup: ['harness/run/worker/global-setup.ts'],
  maxWorkers: 32,
  maxConcurrency: 100_000,
  sequence: { concurrent: true },
  // Never tried again: one flaky pass would hide what is wrong.
  retry: 0,
  // Node reads TypeScript itself: Vite would transform for each worker what the main process has loaded already. What
  // the main process needs for that (an installed package, whose types Node does not strip by itself) its workers need.
  experimental: { viteModuleRunner: false, nodeLoader: false },
  execArgv: process.execArgv,
};

/**
 * The suites' own logic against providers in this process: no engine either, but much of it waits. More of them run at
 * once than there are processors, and after the unit tests, which fill these.
 */
const IN_PROCESS = {
  testTimeout: 30_000,
  hookTimeout: 60_000,
  maxWorkers: 2 * availableParallelism(),
  sequence: { groupOrder: 1 },
};

/** Beside the suites two processors are shared by many: only what hangs is ended. */
const UNIT = { testTimeout: 30_000, maxWorkers: '100%' };

/**
 * Unit tests that change the process (its environment, its signals, the state of a module), and those that take
 * longest: a free worker takes the next one, while the others come in the order of their shares.
 */
const IN_PROCESSES_OF_THEIR_OWN = [
  'ci/templates.test.ts',
  'fixtures/workloads/token-client/client.test.ts',
  'harness/cli/{cli,live,reports,results}.test.ts',
  'harness/core/{process-group,time-limits}.test.ts',
  'harness/environment/cluster/kubeconfig/attach.test.ts',
  'harness/environment/images/{go,index}.test.ts',
  'harness/environment/{live-runs,warm}.test.ts',
  'harness/exports/package.test.ts',
  'harness/report/renderers/html/{chromium,html}.test.ts',
  'harness/targets/mutations.test.ts',
];

/** Operators, whose every event is waited for: a minute, with little work for the processors. */
const OPERATORS = /\/session-operator\.in-process\.test\.ts$/;

/** What waits longest begins first; by themselves long files do, or those that took long on this machine before. */
class WaitingFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const waits = ({ moduleId }: TestSpecification): boolean => OPERATORS.test(moduleId);
    return [...sorted.filter(waits), ...sorted.filter((file) => !waits(file))];
  }
}

/** One session after another, a minute and more of waiting. */
const CLIENT_SESSIONS = 'suites/token-rotation/token-client.in-process.test.ts';
const CLIENT_PARTS = 4;

export default defineConfig({
  test: {
    sequence: { sequencer: WaitingFirst },
    // Every test has a deadline of its own; what is shared by all is set for each project.
    projects: [
      {
        test: {
          ...UNIT,
          name: 'unit',
          include: ['harness/**/*.test.ts', 'suites/**/*.checks.test.ts', 'fixtures/**/*.test.ts', 'ci/**/*.test.ts'],
          exclude: ['**/*.in-process.test.ts', ...IN_PROCESSES_OF_THEIR_OWN],
          // A process for each of two hundred files takes longer to start than most of them take.
          isolate: false,
          restoreMocks: true,
          unstubEnvs: true,
          unstubGlobals: true,
        },
      },
      { test: { ...UNIT, name: 'unit-isolated', include: IN_PROCESSES_OF_THEIR_OWN } },
      {
        test: {
          ...IN_PROCESS,
          name: 'in-process',
          include: ['suites/**/*.unit.test.ts', '**/*.in-process.test.ts'],
          exclude: [CLIENT_SESSIONS],
        },
      },
      ...Array.from({ length: CLIENT_PARTS }, (_, part) => ({
        test: {
          ...IN_PROCESS,
          name: `in-process, sessions ${part + 1} of ${CLIENT_PARTS}`,
          include: [CLIENT_SESSIONS],
          env: { TEST_PART: `${part}/${CLIENT_PARTS}` },
        },
      })),
      // By hand, one suite: `npx vitest run --project suites suites/token-rotation`.
      {
        test: {
          ...AGAINST_THE_ENVIRONMENT,
          name: 'suites',
          include: ['suites/*/*.test.ts'],
          exclude: ['**/*.unit.test.ts', '**/*.in-process.test.ts', '**/*.checks.test.ts'],
        },
      },
      // By the command line: one worker a role, with the requirements of all suites.
      ...ROLE_DEFINITIONS.map(({ role }) => ({
        test: {
          ...AGAINST_THE_ENVIRONMENT,
          name: `role ${role}`,
          include: ['harness/run/worker/suites.ts'],
          provide: { role },
        },
      })),
    ],
  },
});
