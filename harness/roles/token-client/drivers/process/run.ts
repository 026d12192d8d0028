import { setTimeout as delay } from 'node:timers/promises';
import { HarnessError } from '../../../../core/errors.ts';
import { startProcessGroup } from '../../../../core/process-group.ts';
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
export interface RunningCommand {
  /** Process id of the command. */
  pid: number | undefined;
  /** Resolves when it has ended; rejects with a HarnessError where it cannot be started. */
  ended: Promise<CommandEnded>;
  /** Resolves when the process itself is gone; what it left behind may still hold its output open. Never rejects. */
  exited: Promise<unknown>;
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
export function startCommand(
  command: string[],
  options: { env: Record<string, string>; cwd: string },
  onOutput: (text: string) => void,
): RunningCommand {
  const group = startProcessGroup(command, options);
  let output = '';
  for (const stream of [group.child.stdout, group.child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      onOutput(text);
    });
  }
  const ended = new Promise<CommandEnded>((resolve, reject) => {
    group.child.once('error', (error) => reject(new HarnessError(`${command[0]} cannot be started: ${error.message}`)));
    // Not at the exit: its last output comes after that.
    group.child.once('close', (exitCode, signal) => resolve({ exitCode, signal, output }));
  });
  // Whoever waits for it is told; nobody may be waiting yet.
  ended.catch(() => undefined);
  return { pid: group.pid, ended, exited: group.exited, kill: group.kill, end: () => group.end(KILL_AFTER_MS) };
}

/**
 * Runs a command as a process group of its own, to its end.
 *
 * @param options.onStart is given the id of the group
 * @param onOutput is given everything that it writes to stdout and stderr, as it comes
 * @returns `undefined` when it had not ended within `patienceMs`: the group is then ended
 */
export async function runToCompletion(
  command: string[],
  options: {
    env: Record<string, string>;
    cwd: string;
    patienceMs: number;
    signal: AbortSignal;
    onStart?: (group: number) => void;
  },
  onOutput: (text: string) => void,
): Promise<CommandEnded | undefined> {
  const group = startCommand(command, options, onOutput);
  if (group.pid !== undefined) {
    options.onStart?.(group.pid);
  }
  const late = new AbortController();
  try {
    const patience = AbortSignal.any([late.signal, options.signal]);
    const answer = await Promise.race([
      group.ended,
      delay(options.patienceMs, undefined, { signal: patience }).catch(() => undefined),
    ]);
    if (answer !== undefined) {
      return answer;
    }
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
  if (exitCode !== 0) {
    return { ok: false, error: describeEnd({ exitCode, signal, output }), output };
  }
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
