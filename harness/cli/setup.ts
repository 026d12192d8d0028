import type { Command } from 'commander';
import { SetUpError } from '../environment/engine/errors.ts';
import { type Engine, ensureEngine } from '../environment/engine/index.ts';
import type { OnProgress } from '../environment/engine/progress.ts';
import { ensureImages, IMAGE_NAMES, type ImageName, type ResolvedImage } from '../environment/images/index.ts';
import { progressPrinter } from './progress.ts';

/** What a run stands on. */
export type SetUp = { readonly engine: Engine; readonly images: Readonly<Record<ImageName, ResolvedImage>> };

export type SetUpOptions = { readonly onProgress?: OnProgress; readonly signal?: AbortSignal };

/**
 * Brings the container engine and every image; at once when all are there.
 * Dependencies and Node were seen to by conformance.mjs before this program started.
 *
 * @throws SetUpError saying what is missing and how to mend it
 */
export async function ensureSetUp(options: SetUpOptions = {}): Promise<SetUp> {
  const engine = await ensureEngine(options);
  const images = await ensureImages(IMAGE_NAMES, options);
  return { engine, images };
}

/** `conformance setup`: everything that `run` needs, and nothing else. */
export function registerSetup(program: Command): void {
  program
    .command('setup')
    .description('install and start what a run needs: container engine, images')
    .action(async () => {
      const interrupt = new AbortController();
      const stop = (signal: NodeJS.Signals) =>
        interrupt.abort(new SetUpError(`Set-up was broken off by ${signal}; the next one goes on where it stopped.`));
      process.once('SIGINT', stop);
      process.once('SIGTERM', stop);
      const begin = performance.now();
      try {
        const { engine, images } = await ensureSetUp({
          onProgress: progressPrinter(process.stderr),
          signal: interrupt.signal,
        });
        const lines = Object.entries(images).map(
          ([name, { reference, source, digest }]) => `${name.padEnd(18)} ${reference} (${digest ?? source})`,
        );
        process.stdout.write(
          `engine             Docker ${engine.version} at ${engine.endpoint.host}\n${lines.join('\n')}\n`,
        );
        process.stdout.write(`Set up in ${((performance.now() - begin) / 1000).toFixed(1)} s.\n`);
      } catch (error) {
        const shown = interrupt.signal.aborted ? interrupt.signal.reason : error;
        if (!(shown instanceof SetUpError)) throw error;
        process.stderr.write(`\n${shown.message}\n`);
        process.exitCode = shown.exitCode;
      } finally {
        process.off('SIGINT', stop);
        process.off('SIGTERM', stop);
      }
    });
}
