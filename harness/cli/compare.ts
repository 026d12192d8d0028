import { type Command, Option } from 'commander';
import { redact } from '../core/redact.ts';
import { EXIT } from './exit.ts';

/** `conformance compare BEFORE AFTER`: what became better, worse, new, gone or slower. */
export function registerCompare(program: Command): void {
  program
    .command('compare')
    .description('Compare two reports: better, worse, new, gone, slower. Exits with 1 if anything got worse.')
    .argument('<before>', 'folder or report.json of the earlier run')
    .argument('<after>', 'folder or report.json of the later run')
    .addOption(new Option('--format <form>', 'text, md or json').choices(['text', 'md', 'json']).default('text'))
    .action(async (before: string, after: string, { format }: { format: string }) => {
      const [{ compare, describeComparison }, { readReport }] = await Promise.all([
        import('../report/compare.ts'),
        import('../report/read.ts'),
      ]);
      const comparison = compare(readReport(before), readReport(after));
      process.stdout.write(
        redact(
          format === 'json'
            ? `${JSON.stringify(comparison, null, 2)}\n`
            : describeComparison(comparison, { markdown: format === 'md' }),
        ),
      );
      process.exitCode =
        comparison.worse.length > 0
          ? EXIT.notConformant
          : comparison.undecided.length > 0
            ? EXIT.harnessError
            : EXIT.conformant;
    });
}
