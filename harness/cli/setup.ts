import type { Command } from 'commander';
import { SetUpError } from '../environment/engine/errors.ts';
import { type Engine, ensureEngine } from '../environment/engine/index.ts';
import { evaluateInotify, readInotify } from '../environment/engine/inotify.ts';
import type { OnProgress } from '../environment/engine/progress.ts';
import { ensureImages, IMAGE_NAMES, type ResolvedImage } from '../environment/images/index.ts';
import { progressPrinter } from './progress.ts';

/** What a run stands on. */
export type SetUp = {
  readonly engine: Engine;
  readonly images: Readonly<Record<(typeof IMAGE_NAMES)[number], ResolvedImage>>;
};

export type SetUpOptions = { readonly onProgress?: OnProgress };

/**
 * Brings the container engine and every image; at once when all are there.
 * Dependencies and Node were seen to by conformance.mjs before this program started.
 *
 * SIGINT and SIGTERM break it off in good order: what it started is ended, and the next set-up goes on from there.
 *
 * @throws SetUpError saying what is missing and how to fix it, or by which signal it was broken off
 */
export async function ensureSetUp({ onProgress }: SetUpOptions = {}): Promise<SetUp> {
  const interrupt = new AbortController();
  const stop = (signal: NodeJS.Signals) =>
    interrupt.abort(new SetUpError(`Setup was aborted by ${signal}; the next one continues where it stopped.`));
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const options = { signal: interrupt.signal, ...(onProgress === undefined ? {} : { onProgress }) };
  try {
    const engine = await ensureEngine(options);
    const images = await ensureImages(IMAGE_NAMES, options);
    return { engine, images };
  } catch (error) {
    // Whatever a step says that was broken off, this is why.
    throw interrupt.signal.aborted ? interrupt.signal.reason : error;
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}

/** `conformance setup`: everything that `run` needs, and nothing else. */
export function registerSetup(program: Command): void {
  program
    .command('setup')
    .description('Install and start what a run needs: container engine, images.')
    .action(async () => {
      const begin = performance.now();
      const { engine, images } = await ensureSetUp({ onProgress: progressPrinter(process.stderr) });
      const lines = Object.entries(images).map(
        ([name, { reference, source, digest }]) => `${name.padEnd(18)} ${reference} (${digest ?? source})`,
      );
      const seconds = ((performance.now() - begin) / 1000).toFixed(1);
      process.stdout.write(`engine             Docker ${engine.version} at ${engine.endpoint.host}\n`);
      process.stdout.write(`${lines.join('\n')}\nSet up in ${seconds} s.\n`);
      const inotify = engine.endpoint.host.startsWith('unix:') ? await readInotify() : undefined;
      const advice = inotify === undefined ? undefined : evaluateInotify(inotify);
      if (advice?.fix !== undefined) {
        process.stdout.write(`Few inotify instances are left: ${advice.value}\n  ${advice.fix}\n`);
      }
    });
}
