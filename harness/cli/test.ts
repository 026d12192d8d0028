import type { Command } from 'commander';

/** `conformance test`: the project's own tests; `npm test` is this. */
export function registerTest(program: Command): void {
  program
    .command('test')
    .description(
      'Run the project’s own tests: unit tests, the suites on the references (Keycloak and embedded), the twins.',
    )
    .option('--unit', 'run only the tests that need no container engine')
    .action(async ({ unit }: { unit?: boolean }) => {
      // Loaded here, so that the small commands start at once.
      const { runOwnTests } = await import('./self-test/index.ts');
      process.exitCode = await runOwnTests(unit === true);
    });
}
