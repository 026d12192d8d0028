import type { Command } from 'commander';

/** `conformance test`: the project's own tests; `npm test` is this. */
export function registerTest(program: Command): void {
  program
    .command('test')
    .description('the project’s own tests: unit, the suites on the references (Keycloak and embedded), the twins')
    .option('--unit', 'only those that need no container engine', false)
    .action(async ({ unit }: { unit: boolean }) => {
      // Loaded here, so that the small commands start at once.
      const { runOwnTests } = await import('./self-test/index.ts');
      process.exitCode = await runOwnTests(unit);
    });
}
