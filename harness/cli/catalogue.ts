import type { Command } from 'commander';
import pc from 'picocolors';
import { type Catalogue, loadCatalogue, type Requirement } from '../catalogue/catalogue.ts';
import { select } from '../run/plan.ts';

/** `conformance list`: the catalogue. */
export function registerList(program: Command): void {
  program
    .command('list')
    .description('the requirements: id, level, role, suite, statement, source, twins')
    .option('--json', 'as a JSON array', false)
    .action(({ json }: { json: boolean }) => {
      const { requirements } = loadCatalogue();
      process.stdout.write(json ? `${JSON.stringify(requirements.map(toJson), null, 2)}\n` : toTable(requirements));
    });
}

/** `conformance explain ID`: one requirement whole. */
export function registerExplain(program: Command): void {
  program
    .command('explain')
    .description('one requirement: rationale, source, how it is observed, remedy, twins')
    .argument('<id>', 'id of a requirement, as TR-03')
    .action((id: string) => {
      const catalogue = loadCatalogue();
      const [requirement] = select(catalogue, { requirements: [id] });
      if (requirement !== undefined) {
        process.stdout.write(explain(requirement, catalogue));
      }
    });
}

/** A row of `list --json`: an interface. */
export function toJson({ id, level, role, suite, statement, source, twins }: Requirement): Record<string, unknown> {
  return { id, level, role, suite, statement, source: source.join('; '), twins };
}

function toTable(requirements: Requirement[]): string {
  const lines = requirements.map(
    ({ id, level, role, statement }) => `${pc.bold(id.padEnd(7))}${level.padEnd(8)}${role.padEnd(19)}${statement}`,
  );
  return `${lines.join('\n')}\n\n${requirements.length} requirements; \`conformance explain ID\` says more of one\n`;
}

function explain(requirement: Requirement, { twins }: Catalogue): string {
  const { id, level, role, suite, statement, source, rationale, observed, remedy } = requirement;
  const faults = requirement.twins.map((name) => `  ${name}: ${twins.find((twin) => twin.name === name)?.fault}`);
  const part = (title: string, text: string): string => `\n${pc.bold(title)}\n  ${text}\n`;
  return [
    `${pc.bold(id)}  ${level}, role ${role}, suite ${suite}\n  ${statement}\n`,
    part('Source', source.join('; ')),
    part('Why', rationale),
    part('How it is observed', observed),
    part('Remedy', remedy),
    `\n${pc.bold('Twins: broken implementations that must fail it')}\n${faults.join('\n')}\n`,
  ].join('');
}
