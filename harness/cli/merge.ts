import type { Command } from 'commander';
import { redact } from '../core/redact.ts';
import { EXIT } from './exit.ts';
import { baselineOf } from './run.ts';

/** `conformance merge REPORT...`: one report of the shards of a run. */
export function registerMerge(program: Command): void {
  program
    .command('merge')
    .description(
      'Make one report of the shards of a run (`run --shard`) and print the verdict of all of them together.',
    )
    .argument('<report...>', 'folders or report.json files of the shards')
    .option('--report <folder>', 'folder for the report of the whole', 'reports/merged')
    .option('--baseline <file>', 'known failures: exit with 0 if nothing else fails (see `conformance baseline`)')
    .action(
      async (files: string[], { report: folder, baseline: baselineFile }: { report: string; baseline?: string }) => {
        const baseline = await baselineOf(baselineFile);
        const [
          { mergeReports },
          { readReport },
          { applyBaseline, isAsExpected },
          { tellGitHub },
          { consoleSummary },
          { verdictOf },
          { writeReport },
        ] = await Promise.all([
          import('../report/merge.ts'),
          import('../report/read.ts'),
          import('../report/baseline.ts'),
          import('../report/github.ts'),
          import('../report/renderers/console.ts'),
          import('../report/verdict.ts'),
          import('../report/write.ts'),
        ]);
        const merged = mergeReports(files.map((file) => ({ file, report: readReport(file) })));
        const known = baseline === undefined ? undefined : applyBaseline(baseline, merged);
        const report = known === undefined ? merged : { ...merged, baseline: known };
        const written = writeReport(folder, report);
        tellGitHub(report, written, (text) => process.stdout.write(text));
        const { columns } = process.stdout;
        process.stdout.write(
          redact(consoleSummary(report, { columns: process.stdout.isTTY ? columns : undefined, folder })),
        );
        const verdict = verdictOf(report);
        const isGreen = known === undefined ? verdict.conformant : isAsExpected(report, known);
        process.exitCode = verdict.harnessError ? EXIT.harnessError : isGreen ? EXIT.conformant : EXIT.notConformant;
      },
    );
}
