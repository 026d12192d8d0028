import { CommanderError } from 'commander';
import pc from 'picocolors';
import { SetUpError } from '../environment/engine/errors.ts';
import { describeError, UsageError } from '../run/errors.ts';
import { redact } from '../tokens/redact.ts';
import { EXIT } from './exit.ts';
import { createProgram } from './program.ts';

/** Runs one command line and sets the exit code: 0, 1, 2 or 64 (see exit.ts). */
export async function main(argv: string[]): Promise<void> {
  try {
    await createProgram().parseAsync(argv);
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has said what is wrong; asking for help is no error.
      process.exitCode = error.exitCode === 0 ? 0 : EXIT.usage;
    } else if (error instanceof UsageError) {
      process.stderr.write(`${pc.red('usage')} ${error.message}\n`);
      process.exitCode = EXIT.usage;
    } else {
      const message = error instanceof SetUpError ? error.message : describeError(error);
      process.stderr.write(`${pc.magenta('harness error')} ${redact(message)}\n`);
      if (process.env.DEBUG !== undefined && error instanceof Error) {
        process.stderr.write(`${redact(error.stack ?? '')}\n`);
      }
      process.exitCode = EXIT.harnessError;
    }
  }
}

// Started by conformance.mjs on an older Node: if that is killed, nobody waits for this run any more.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.channel?.unref();

await main(process.argv);
