import { existsSync, writeFileSync } from 'node:fs';
import { Argument, type Command } from 'commander';
import { loadCatalogue } from '../catalogue/catalogue.ts';
import { DEFAULT_FOLDER } from '../report/renderers/console.ts';
import { EXIT } from './exit.ts';

interface Flags {
  report: string;
  owner?: string;
  link?: string;
  reason?: string;
  expires?: string;
}

/** Days for which a new entry is good, where nothing else is said. */
const DAYS = 90;

/** `conformance baseline check|update FILE`: known failures as data. */
export function registerBaseline(program: Command): void {
  program
    .command('baseline')
    .description('Check a report against a file of known failures, or update that file from a report.')
    .addArgument(new Argument('<action>', 'what to do').choices(['check', 'update']))
    .argument('<file>', 'baseline file (YAML)')
    .option('--report <report>', 'folder or report.json of a run', DEFAULT_FOLDER)
    .option('--owner <name>', 'update: owner of the new entries')
    .option('--link <url>', 'update: link to where the new entries are tracked')
    .option('--reason <text>', 'update: why they are accepted for now (default: what was seen)')
    .option('--expires <date>', `update: last day of the new entries, YYYY-MM-DD (default: in ${DAYS} days)`)
    .action(async (action: 'check' | 'update', file: string, flags: Flags) => {
      const [{ applyBaseline, describeBaseline, isAsExpected, readBaseline, updatedBaseline }, { readReport }] =
        await Promise.all([import('../report/baseline.ts'), import('../report/read.ts')]);
      const report = readReport(flags.report);
      if (action === 'update') {
        const expires = flags.expires ?? new Date(Date.now() + DAYS * 86_400_000).toISOString().slice(0, 10);
        const { text, added, removed } = updatedBaseline(existsSync(file) ? file : undefined, report, {
          ...flags,
          expires,
        });
        writeFileSync(file, text);
        process.stdout.write(
          `${file}: added ${added.join(', ') || 'nothing'}, removed ${removed.join(', ') || 'nothing'}\n`,
        );
        return;
      }
      const baseline = readBaseline(
        file,
        loadCatalogue().requirements.map(({ id }) => id),
      );
      const outcome = applyBaseline(baseline, report);
      process.stdout.write(`${describeBaseline(outcome).join('\n')}\n`);
      process.exitCode = isAsExpected(report, outcome) ? EXIT.conformant : EXIT.notConformant;
    });
}
