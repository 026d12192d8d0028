import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { redact } from '../core/redact.ts';
import { DEFAULT_FOLDER } from '../report/renderers/console.ts';

/** `conformance show`: the report of a run, in a browser or as text. */
export function registerShow(program: Command): void {
  program
    .command('show')
    .description('Open the report of a run in the browser, or print it in another form.')
    .argument('[report]', 'folder or report.json of a run', DEFAULT_FOLDER)
    .addOption(
      new Option('--format <form>', 'print it instead: html, json, junit, md (for a CI job summary) or text').choices([
        'html',
        'json',
        'junit',
        'md',
        'text',
      ]),
    )
    .option('--no-open', 'only print the path of the page')
    .action(async (path: string, { format, open }: { format?: string; open: boolean }) => {
      // Loaded here, so that the small commands start at once.
      const [{ readReport }, { RENDERERS }, { writeReport }] = await Promise.all([
        import('../report/read.ts'),
        import('../report/renderers/index.ts'),
        import('../report/write.ts'),
      ]);
      const report = readReport(path);
      if (format !== undefined) {
        process.stdout.write(redact(RENDERERS.find((renderer) => renderer.format === format)?.render(report) ?? ''));
        return;
      }
      const folder = statSync(path).isDirectory() ? path : dirname(path);
      const page = resolve(join(folder, 'report.html'));
      // A report from before there was a page, or a report.json that was copied here without one.
      if (!isNewer(page, folder === path ? join(path, 'report.json') : path)) {
        writeReport(folder, report);
      }
      process.stdout.write(`${page}\n`);
      const opener = open ? openerOf(process.platform, process.env) : undefined;
      if (opener !== undefined) {
        openPage(opener, page);
      }
    });
}

function isNewer(page: string, json: string): boolean {
  return existsSync(page) && statSync(page).mtimeMs >= statSync(json).mtimeMs;
}

/** What opens a page on this desktop; undefined where there is none: a CI job, a session over SSH, a server. */
export function openerOf(platform: NodeJS.Platform, environment: NodeJS.ProcessEnv): string[] | undefined {
  if (environment.CI !== undefined || environment.SSH_CONNECTION !== undefined) {
    return undefined;
  }
  if (platform === 'darwin') {
    return ['open'];
  }
  if (platform === 'win32') {
    return ['cmd', '/c', 'start', ''];
  }
  return environment.DISPLAY === undefined && environment.WAYLAND_DISPLAY === undefined ? undefined : ['xdg-open'];
}

function openPage([command = '', ...words]: string[], page: string): void {
  const child = spawn(command, [...words, page], { detached: true, stdio: 'ignore' });
  // Its path has been printed: who has no such program opens it by hand.
  child.on('error', () => undefined);
  child.unref();
}
