import { Command } from 'commander';
import { registerExplain, registerList } from './catalogue.ts';
import { registerClean } from './clean.ts';
import { registerDoctor } from './doctor.ts';
import { registerProve } from './prove.ts';
import { registerRun } from './run.ts';
import { registerSetup } from './setup.ts';
import { registerTest } from './test.ts';

/** The command line without its arguments: main.ts parses it, the reference page is generated from it. */
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
