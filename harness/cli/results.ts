import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Argument, type Command } from 'commander';
import pc from 'picocolors';
import { loadCatalogue } from '../catalogue/catalogue.ts';
import { UsageError } from '../core/errors.ts';
import { redact } from '../core/redact.ts';
import type { ResultChange } from '../report/certification/registry.ts';
import { EXIT } from './exit.ts';

/** `conformance results check|table`: a folder of published bundles, for the pull requests of whoever keeps one. */
export function registerResults(program: Command): void {
  program
    .command('results')
    .description('Check a folder of published bundles (ROLE/PRODUCT/VERSION/), or write its table.')
    .addArgument(new Argument('<action>', 'what to do').choices(['check', 'table']))
    .argument('[folder]', 'folder of the results', 'results')
    .option('--since <ref>', 'check: the Git revision that has what was published before, e.g. origin/main')
    .action(async (action: 'check' | 'table', folder: string, { since }: { since?: string }) => {
      const { checkResults, RESULTS_PAGE, resultsPage } = await import('../report/certification/registry.ts');
      const changes = since === undefined ? [] : await changesSince(since, folder);
      const { results, problems: found } = checkResults(folder, loadCatalogue(), changes);
      const problems = action === 'check' ? found : found.filter(({ path }) => path !== RESULTS_PAGE);
      if (action === 'table' && problems.length === 0) {
        writeFileSync(join(folder, RESULTS_PAGE), resultsPage(results));
      }
      const lines = problems.map(({ path, problem }) => pc.red(`  ${join(folder, path)}: ${problem}`));
      const last =
        problems.length === 0
          ? pc.green(`${results.length} results, and nothing is wrong with them`)
          : pc.red(`${problems.length} problems in ${folder}`);
      process.stdout.write(redact(`${[...lines, last].join('\n')}\n`));
      process.exitCode = problems.length === 0 ? EXIT.conformant : EXIT.notConformant;
    });
}

async function changesSince(ref: string, folder: string): Promise<ResultChange[]> {
  const { changesIn } = await import('../report/certification/registry.ts');
  const git = (...words: string[]): string => {
    try {
      return execFileSync('git', ['-C', folder, ...words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    } catch (error) {
      const { stderr, message } = error as Error & { stderr?: string };
      throw new UsageError(`git cannot tell what has changed in ${folder} since ${ref}: ${stderr?.trim() || message}`);
    }
  };
  const root = git('rev-parse', '--show-toplevel').trim();
  // Since the two parted, as a pull request shows it.
  const base = git('merge-base', ref, 'HEAD').trim();
  return changesIn(git('diff', '--name-status', '--no-renames', base, '--', '.'), root, resolve(folder));
}
