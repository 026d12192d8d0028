import { spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, Option } from 'commander';
import { HarnessError, UsageError } from '../core/errors.ts';
import { findWarm, type WarmEnvironment, waitForWarm, warmCalled, warmFile, warmFolder } from '../environment/warm.ts';
import type { ClockKind, IdentityProviderKind } from '../rpc/protocol.ts';
import { loadTarget } from '../targets/load.ts';
import { setOption, targetOption } from './options.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

export const DEFAULT_ENVIRONMENT = 'default';

/** A cold set-up included. */
const UP_SECONDS = 1_800;
const DOWN_SECONDS = 120;

interface UpFlags {
  idp: IdentityProviderKind;
  clock: ClockKind;
  target: string[];
  set: Record<string, string>;
  foreground?: boolean;
}

/**
 * `conformance up` and `conformance down`: an environment that stays, for who fixes an implementation and runs again
 * and again.
 */
export function registerUp(program: Command): void {
  program
    .command('up')
    .description('Start an environment that stays: `run --env NAME` uses it, `down NAME` ends it.')
    .argument('[name]', 'its name', DEFAULT_ENVIRONMENT)
    .addOption(
      new Option('--idp <kind>', 'identity provider of the references')
        .choices(['keycloak', 'embedded'])
        .default('keycloak'),
    )
    .addOption(
      new Option('--clock <kind>', 'accelerated: tokens expire within seconds; real: within 600 s')
        .choices(['accelerated', 'real'])
        .default('accelerated'),
    )
    .addOption(targetOption('target file of an identity provider that it shall hold, or of a client with a skew'))
    .addOption(setOption())
    .addOption(new Option('--foreground', 'hold the environment in this process').hideHelp())
    .action(async (name: string, flags: UpFlags) => {
      await (flags.foreground === true ? hold(name, flags) : up(name, flags));
    });
  program
    .command('down')
    .description('End an environment that `up` started, with everything in it.')
    .argument('[name]', 'its name', DEFAULT_ENVIRONMENT)
    .action(down);
}

async function up(name: string, flags: UpFlags): Promise<void> {
  warmFile(name);
  const there = findWarm(name);
  if (there !== undefined) {
    throw new UsageError(`the environment "${name}" is up since ${there.since}; end it with: conformance down ${name}`);
  }
  // Wrong use is told here, and not by a process in the background.
  for (const file of flags.target) {
    loadTarget(file, flags.set);
  }
  const { ensureSetUp } = await import('./setup.ts');
  const { progressPrinter } = await import('./progress.ts');
  await ensureSetUp({ onProgress: progressPrinter(process.stderr) });
  const log = join(warmFolder(), `${name}.log`);
  const output = openSync(log, 'w', 0o600);
  const words = [
    ...['up', name, '--foreground', '--idp', flags.idp, '--clock', flags.clock],
    ...flags.target.flatMap((file) => ['--target', file]),
    ...Object.entries(flags.set).flatMap(([key, value]) => ['--set', `${key}=${value}`]),
  ];
  const holder = spawn(process.execPath, [...process.execArgv, MAIN, ...words], {
    detached: true,
    stdio: ['ignore', output, output],
  });
  const ended = new AbortController();
  holder.once('exit', (code, signal) => {
    const tail = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-5).join('\n');
    ended.abort(
      new HarnessError(`the environment "${name}" did not start (${signal ?? `exit code ${code}`}):\n${tail}`),
    );
  });
  process.stderr.write(`starting the environment "${name}"; its log is ${log}\n`);
  // Who gives up waiting gives up the environment, too.
  const giveUp = (): void => void holder.kill('SIGTERM');
  process.once('SIGINT', giveUp);
  const warm = await waitForWarm(name, 'up', { deadlineSeconds: UP_SECONDS, signal: ended.signal }).finally(() =>
    process.off('SIGINT', giveUp),
  );
  holder.unref();
  if (warm !== undefined) {
    process.stdout.write(describe(warm));
  }
}

function describe({ name, holds }: WarmEnvironment): string {
  const option = name === DEFAULT_ENVIRONMENT ? '--env' : `--env ${name}`;
  return [
    `The environment "${name}" is up:`,
    ...holds.map((line) => `  ${line}`),
    `Use it with: npm run conformance -- run ${option} …`,
    `End it with: npm run conformance -- down${name === DEFAULT_ENVIRONMENT ? '' : ` ${name}`}`,
    '',
  ].join('\n');
}

/** The process that holds the environment, until a signal ends it. */
async function hold(name: string, flags: UpFlags): Promise<void> {
  const [{ CLOCKS, slotsOf }, { WarmServer }, { stopOnSignal }] = await Promise.all([
    import('../run/session.ts'),
    import('../run/warm-server.ts'),
    import('../core/signals.ts'),
  ]);
  const targets = flags.target.map((file) => loadTarget(file, flags.set));
  const server = new WarmServer({
    name,
    identityProvider: flags.idp,
    clock: CLOCKS[flags.clock],
    slots: slotsOf(targets),
    targets: targets.map(({ digest }) => digest),
    onProgress: (part, message) => process.stdout.write(`${part}: ${message}\n`),
  });
  stopOnSignal(() => server.stop());
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function down(name: string): Promise<void> {
  const { pid } = warmCalled(name);
  process.kill(pid, 'SIGTERM');
  await waitForWarm(name, 'down', { deadlineSeconds: DOWN_SECONDS });
  process.stdout.write(`The environment "${name}" is down.\n`);
}
