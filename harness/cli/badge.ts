import { writeFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { loadCatalogue } from '../catalogue/catalogue.ts';
import { DEFAULT_FOLDER } from '../report/renderers/console.ts';

/** `conformance badge [REPORT]`: the verdict as a picture, or as JSON for shields.io. */
export function registerBadge(program: Command): void {
  program
    .command('badge')
    .description('Print a badge of the verdict: SVG, or the JSON of a shields.io endpoint.')
    .argument('[report]', 'folder or report.json of a run', DEFAULT_FOLDER)
    .addOption(new Option('--format <form>', 'svg or json').choices(['svg', 'json']).default('svg'))
    .option('--output <file>', 'file to write instead of standard output')
    .action(async (path: string, { format, output }: { format: string; output?: string }) => {
      const [{ badgeOf, badgeSvg, shieldsJson }, { readReport }] = await Promise.all([
        import('../report/badge.ts'),
        import('../report/read.ts'),
      ]);
      const badge = badgeOf(readReport(path), loadCatalogue());
      const text = format === 'json' ? shieldsJson(badge) : badgeSvg(badge);
      if (output === undefined) {
        process.stdout.write(text);
      } else {
        writeFileSync(output, text);
      }
    });
}
