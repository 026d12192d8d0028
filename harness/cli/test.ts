import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { UsageError } from '../core/errors.ts';

const OWN_TESTS = new URL('./self-test/index.ts', import.meta.url);

/** `conformance test`: the project's own tests; `npm test` is this. */
export function registerTest(program: Command): void {
  program
    .command('test')
    .description(
      'Run the project’s own tests: unit tests, the suites on the references (Keycloak and embedded), the twins.',
    )
    .option('--unit', 'run only the tests that need no container engine')
    .action(async ({ unit }: { unit?: boolean }) => {
      if (!existsSync(OWN_TESTS)) {
        throw new UsageError(
          'the project’s own tests are not part of the package: clone the repository and run `npm test` there',
        );
      }
      // Loaded here, so that the small commands start at once.
      const { runOwnTests } = await import('./self-test/index.ts');
      process.exitCode = await runOwnTests(unit === true);
    });
}
