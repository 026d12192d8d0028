import type { Command } from 'commander';
import pc from 'picocolors';
import { loadCatalogue, type Requirement } from '../catalogue/catalogue.ts';
import { supportOf } from '../catalogue/levels.ts';

/** `conformance list`: the catalogue. */
export function registerList(program: Command): void {
  program
    .command('list')
    .description('List the requirements: ID, level, role, suite, statement, source, twins.')
    .option('--json', 'print a JSON array')
    .action(({ json }: { json?: boolean }) => {
      const { requirements } = loadCatalogue();
      process.stdout.write(
        json === true ? `${JSON.stringify(requirements.map(toJson), null, 2)}\n` : toTable(requirements),
      );
    });
}

/** A row of `list --json`: an interface. */
export function toJson(requirement: Requirement): Record<string, unknown> {
  const { id, level, role, suite, statement, source, twins, preconditions = {} } = requirement;
  return {
    id,
    level,
    role,
    suite,
    statement,
    source: source.join('; '),
    twins,
    preconditions,
    support: supportOf(requirement),
  };
}

function toTable(requirements: Requirement[]): string {
  const lines = requirements.map(
    ({ id, level, role, statement }) => `${pc.bold(id.padEnd(7))}${level.padEnd(8)}${role.padEnd(19)}${statement}`,
  );
  return `${lines.join('\n')}\n\n${requirements.length} requirements; \`conformance explain ID\` shows one in full.\n`;
}
