import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { HarnessError } from '../run/errors.ts';
import { redact } from '../tokens/redact.ts';
import type { CallAnswer } from './client-session.ts';

const KILL_AFTER_MS = 2_000;

/** How much of a failed call's output is told. */
const ERROR_CHARACTERS = 1_500;

/** How a command that is one call came to its end. */
export interface CommandEnded {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  output: string;
}

/**
 * Runs a command as a process group of its own, to its end.
 *
 * @param onOutput is given everything that it writes to stdout and stderr, as it comes
 * @returns `undefined` when it had not ended within `patienceMs`: the group is then ended
 */
export async function runToCompletion(
  [file = '', ...args]: string[],
  options: { env: Record<string, string>; cwd: string; patienceMs: number; signal: AbortSignal },
  onOutput: (text: string) => void,
): Promise<CommandEnded | undefined> {
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: options.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = (signal: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // The group is gone.
    }
  };
  const killAtExit = (): void => kill('SIGKILL');
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
  const late = new AbortController();
  try {
    const patience = AbortSignal.any([late.signal, options.signal]);
    const answer = await Promise.race([
      ended,
      delay(options.patienceMs, undefined, { signal: patience }).catch(() => undefined),
    ]);
    if (answer !== undefined) return answer;
    kill('SIGTERM');
    await Promise.race([ended, delay(KILL_AFTER_MS)]);
    return undefined;
  } finally {
    late.abort();
    // What it started and left behind goes with it.
    kill('SIGKILL');
    process.removeListener('exit', killAtExit);
  }
}

/** What came of a call that is a command: exit code 0, and what the target file says of the output. */
export function resultOf({ exitCode, signal, output }: CommandEnded, success: string | undefined): CallAnswer {
  const told = redact(output).trim().slice(-ERROR_CHARACTERS);
  if (exitCode !== 0) return { ok: false, error: `ended by ${signal ?? `exit code ${exitCode}`}: ${told}`, output };
  if (success !== undefined && !new RegExp(success).test(output)) {
    return { ok: false, error: `ended by exit code 0, but its output does not fit /${success}/: ${told}`, output };
  }
  return { ok: true };
}
