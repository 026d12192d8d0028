import { defineConfig } from 'vitest/config';
import { ROLE_DEFINITIONS } from './harness/roles/index.ts';

/** A requirement mostly waits for a cluster: all files run at once, and all requirements of a file. */
const AGAINST_THE_ENVIRONMENT = {
  globalSetup: ['harness/run/worker/global-setup.ts'],
  maxWorkers: 32,
  maxConcurrency: 100_000,
  sequence: { concurrent: true },
  // Never tried again: one flaky pass would hide what is wrong.
  retry: 0,
};

export default defineConfig({
  test: {
    // Every test has a deadline of its own; what is shared by all is set for each project.
    projects: [
      {
        test: {
          name: 'unit',
          // Beside the suites two processors are shared by many: only what hangs is ended.
          testTimeout: 30_000,
          maxWorkers: '100%',
          exclude: ['**/*.in-process.test.ts'],
          include: ['harness/**/*.test.ts', 'suites/**/*.checks.test.ts', 'fixtures/**/*.test.ts', 'ci/**/*.test.ts'],
        },
      },
      {
        // The suites' own logic against providers in this process: no engine either, but a minute and a half, most of
        // it waits. With as many workers as the unit tests it runs beside them.
        test: {
          name: 'in-process',
          testTimeout: 30_000,
          maxWorkers: '100%',
          include: ['suites/**/*.unit.test.ts', '**/*.in-process.test.ts'],
        },
      },
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
