import { Command, CommanderError } from 'commander';
import pc from 'picocolors';
import { describeError, UsageError } from '../core/errors.ts';
import { packageVersion } from '../core/package.ts';
import { redact } from '../core/redact.ts';
import { SetUpError } from '../environment/engine/errors.ts';
import { registerBadge } from './badge.ts';
import { registerBaseline } from './baseline.ts';
import { registerBench } from './bench/index.ts';
import { registerCertify } from './certify.ts';
import { registerClean } from './clean.ts';
import { registerCollect } from './collect.ts';
import { registerCompare } from './compare.ts';
import { registerDoctor } from './doctor.ts';
import { EXIT } from './exit.ts';
import { registerExplain } from './explain.ts';
import { registerImages } from './images.ts';
import { registerInit } from './init.ts';
import { registerList } from './list.ts';
import { registerMerge } from './merge.ts';
import { registerPlan } from './plan.ts';
import { registerProve } from './prove.ts';
import { registerResults } from './results.ts';
import { registerRun } from './run.ts';
import { registerSetup } from './setup.ts';
import { registerShow } from './show.ts';
import { registerSubmit } from './submit.ts';
import { registerTest } from './test.ts';
import { registerUp } from './up.ts';
import { registerVerify } from './verify.ts';

/** The command line without its arguments: main.ts parses it, the reference page is generated from it. */
export function createProgram(): Command {
  const program = new Command('conformance')
    .description('Conformance suite for agents that run on Kubernetes with workload identity')
    .version(packageVersion().version, '--version', 'print the version')
    .showHelpAfterError('See `conformance --help`.')
    .exitOverride();
  for (const register of [
    registerRun,
    registerUp,
    registerPlan,
    registerProve,
    registerImages,
    registerMerge,
    registerSubmit,
    registerCollect,
    registerShow,
    registerCertify,
    registerVerify,
    registerResults,
    registerCompare,
    registerBaseline,
    registerBadge,
    registerList,
    registerExplain,
    registerInit,
    registerDoctor,
    registerSetup,
    registerClean,
    registerTest,
    registerBench,
  ]) {
    register(program);
  }
  for (const command of program.commands) {
    command.exitOverride();
  }
  return program;
}

/**
 * Runs one command line.
 *
 * @param write takes what is wrong, for standard error
 * @returns the exit code: 0, 1, 2 or 64 (see exit.ts)
 */
export async function commandLine(words: string[], write: (text: string) => void): Promise<number> {
  const program = createProgram();
  for (const command of [program, ...program.commands]) {
    command.configureOutput({ writeErr: write });
  }
  try {
    process.exitCode = EXIT.conformant;
    await program.parseAsync(words, { from: 'user' });
    return process.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has said what is wrong; asking for help is no error.
      return error.exitCode === 0 ? EXIT.conformant : EXIT.usage;
    }
    if (error instanceof UsageError) {
      write(`${pc.red('error:')} ${error.message}\n`);
      return EXIT.usage;
    }
    const message = error instanceof SetUpError ? error.message : describeError(error);
    write(`${pc.magenta('harness error:')} ${redact(message)}\n`);
    if (process.env.DEBUG !== undefined && error instanceof Error) {
      write(`${redact(error.stack ?? '')}\n`);
    }
    return EXIT.harnessError;
  }
}
