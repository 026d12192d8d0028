import { Command, CommanderError } from 'commander';
import pc from 'picocolors';
import { SetUpError } from '../environment/engine/errors.ts';
import { describeError, UsageError } from '../run/errors.ts';
import { redact } from '../tokens/redact.ts';
import { registerExplain, registerList } from './catalogue.ts';
import { registerClean } from './clean.ts';
import { registerDoctor } from './doctor.ts';
import { EXIT } from './exit.ts';
import { registerProve } from './prove.ts';
import { registerRun } from './run.ts';
import { registerSetup } from './setup.ts';
import { registerTest } from './test.ts';

/** The command line, without its arguments: also what the reference page is generated from. */
export function createProgram(): Command {
  const program = new Command('conformance')
    .description('Conformance suite for agents that run on Kubernetes with workload identity')
    .showHelpAfterError('(conformance --help shows the commands)')
    .exitOverride();
  for (const register of [
    registerRun,
    registerProve,
    registerList,
    registerExplain,
    registerDoctor,
    registerSetup,
    registerClean,
    registerTest,
  ]) {
    register(program);
  }
  for (const command of program.commands) {
    command.exitOverride();
  }
  return program;
}

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

await main(process.argv);
