import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { HarnessError } from '../../../../core/errors.ts';
import { redact } from '../../../../core/redact.ts';
import type { CallAnswer } from '../../driver.ts';

const KILL_AFTER_MS = 2_000;

/** How much of a failed call's output is told. */
const ERROR_CHARACTERS = 1_500;

/** How a command that is one call came to its end. */
export interface CommandEnded {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  output: string;
}

/** A command at work, with all that it starts. */
export interface ProcessGroup {
  /** Process id of the command. */
  pid: number | undefined;
  /** Resolves when it has ended; rejects with a HarnessError where it cannot be started. */
  ended: Promise<CommandEnded>;
  /** Asks it to end, and ends it if it does not. */
  end(): Promise<void>;
  /** Ends what is left of it at once. */
  kill(): void;
}

/**
 * Starts a command as a process group of its own. It goes with this process, if not before.
 *
 * @param onOutput is given everything that it writes to stdout and stderr, as it comes
 */
export function startGroup(
  [file = '', ...args]: string[],
  options: { env: Record<string, string>; cwd: string },
  onOutput: (text: string) => void,
): ProcessGroup {
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: options.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const signalGroup = (signal: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // The group is gone.
    }
  };
  const killAtExit = (): void => signalGroup('SIGKILL');
  process.once('exit', killAtExit);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      onOutput(text);
    });
  }
  const ended = new Promise<CommandEnded>((resolve, reject) => {
    child.once('error', (error) => reject(new HarnessError(`${file} cannot be started: ${error.message}`)));
    child.once('close', (exitCode, signal) => resolve({ exitCode, signal, output }));
  });
  // Whoever waits for it is told; nobody may be waiting yet.
  ended.catch(() => undefined);
  const kill = (): void => {
    signalGroup('SIGKILL');
    process.removeListener('exit', killAtExit);
  };
  return {
    pid: child.pid,
    ended,
    kill,
    async end() {
      signalGroup('SIGTERM');
      const late = new AbortController();
      await Promise.race([
        ended.catch(() => undefined),
        delay(KILL_AFTER_MS, undefined, { signal: late.signal }).catch(() => undefined),
      ]);
      late.abort();
      kill();
    },
  };
}

/**
 * Runs a command as a process group of its own, to its end.
 *
 * @param onOutput is given everything that it writes to stdout and stderr, as it comes
 * @returns `undefined` when it had not ended within `patienceMs`: the group is then ended
 */
export async function runToCompletion(
  command: string[],
  options: { env: Record<string, string>; cwd: string; patienceMs: number; signal: AbortSignal },
  onOutput: (text: string) => void,
): Promise<CommandEnded | undefined> {
  const group = startGroup(command, options, onOutput);
  const late = new AbortController();
  try {
    const patience = AbortSignal.any([late.signal, options.signal]);
    const answer = await Promise.race([
      group.ended,
      delay(options.patienceMs, undefined, { signal: patience }).catch(() => undefined),
    ]);
    if (answer !== undefined) return answer;
    await group.end();
    return undefined;
  } finally {
    late.abort();
    // What it started and left behind goes with it.
    group.kill();
  }
}

/** What came of a call that is a command: exit code 0, and what the target file says of the output. */
export function resultOf({ exitCode, signal, output }: CommandEnded, success: string | undefined): CallAnswer {
  if (exitCode !== 0) return { ok: false, error: describeEnd({ exitCode, signal, output }), output };
  if (success !== undefined && !new RegExp(success).test(output)) {
    return {
      ok: false,
      error: `ended by exit code 0, but its output does not fit /${success}/: ${endOfOutput(output)}`,
      output,
    };
  }
  return { ok: true };
}

/** How it ended, with the last of what it wrote. */
export function describeEnd({ exitCode, signal, output }: CommandEnded): string {
  return `ended by ${signal ?? `exit code ${exitCode}`}: ${endOfOutput(output)}`;
}

export function endOfOutput(output: string): string {
  return redact(output).trim().slice(-ERROR_CHARACTERS);
}
