import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { redact } from '../core/redact.ts';
import { EXIT } from './exit.ts';
import { baselineOf } from './run-request.ts';

/** `conformance merge REPORT...`: one report of the shards of a run, or one kill matrix of those of `prove`. */
export function registerMerge(program: Command): void {
  program
    .command('merge')
    .description(
      'Make one report of the shards of a run (`run --shard`), or one kill matrix (`prove --shard --json`), and print the verdict of all of them together.',
    )
    .argument('<report...>', 'folders or report.json files of the shards, or kill matrices as JSON')
    .option('--report <folder>', 'folder for the report of the whole', 'reports/merged')
    .option('--baseline <file>', 'known failures: exit with 0 if nothing else fails (see `conformance baseline`)')
    .action(async (files: string[], { report, baseline }: { report: string; baseline?: string }) => {
      process.exitCode =
        (await mergeProofs(files)) ??
        (await mergeAndTell(files, { folder: report, ...(baseline === undefined ? {} : { baseline }) }));
    });
}

/**
 * Prints the kill matrix of the shards of `prove`.
 *
 * @returns the exit code; undefined where these are no kill matrices
 * @throws UsageError where only some are, or they do not belong together
 */
async function mergeProofs(files: string[]): Promise<number | undefined> {
  const contents = files.map((file) => ({ file, content: jsonIn(file) }));
  const { isMatrix, mergeMatrices, parseMatrixPart } = await import('../run/merged-matrices.ts');
  if (!contents.some(({ content }) => isMatrix(content))) {
    return undefined;
  }
  const { matrix, faults } = mergeMatrices(contents.map(({ file, content }) => parseMatrixPart(content, file)));
  const { renderMatrix, tellProof } = await import('./prove.ts');
  process.stdout.write(redact(renderMatrix(matrix)));
  return tellProof(matrix, faults);
}

/** Undefined for a folder, and for what cannot be read: that is told where a report is expected. */
function jsonIn(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
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
