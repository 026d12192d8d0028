import type { Command } from 'commander';
import { redact } from '../core/redact.ts';
import { EXIT } from './exit.ts';
import { baselineOf } from './run-request.ts';

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
    .action(async (files: string[], { report, baseline }: { report: string; baseline?: string }) => {
      process.exitCode = await mergeAndTell(files, { folder: report, ...(baseline === undefined ? {} : { baseline }) });
    });
}

/**
 * Makes one report of those of shards, writes it and prints the verdict.
 *
 * @param files folders or report.json files
 * @returns the exit code
 */
export async function mergeAndTell(
  files: string[],
  { folder, baseline: file }: { folder: string; baseline?: string },
): Promise<number> {
  const baseline = await baselineOf(file);
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
  const merged = mergeReports(files.map((part) => ({ file: part, report: readReport(part) })));
  const known = baseline === undefined ? undefined : applyBaseline(baseline, merged);
  const report = known === undefined ? merged : { ...merged, baseline: known };
  const written = writeReport(folder, report);
  tellGitHub(report, written, (text) => process.stdout.write(text));
  const { columns } = process.stdout;
  process.stdout.write(redact(consoleSummary(report, { columns: process.stdout.isTTY ? columns : undefined, folder })));
  const verdict = verdictOf(report);
  const isGreen = known === undefined ? verdict.conformant : isAsExpected(report, known);
  return verdict.harnessError ? EXIT.harnessError : isGreen ? EXIT.conformant : EXIT.notConformant;
}
