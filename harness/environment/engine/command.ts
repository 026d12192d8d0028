import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { SetUpError } from './errors.ts';

export type CommandOptions = {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Ends the command (SIGTERM) and rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Each line of standard output and standard error, as it comes. */
  readonly onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
};

const KEPT_LINES = 40;
/** An aborted command that has not ended by then is killed, milliseconds. */
const KILL_AFTER = 5_000;

/**
 * Runs a command of the host without a shell and gives its standard output.
 *
 * @throws SetUpError when it cannot be started or exits non-zero: the command, its code and its last lines
 */
export async function command(file: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  options.signal?.throwIfAborted();
  const shown = [file, ...args].join(' ');
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own, so that its children can be ended with it: some programs only wait for theirs.
    detached: true,
  });
  let killer: NodeJS.Timeout | undefined;
  const abort = () => {
    endGroup(child.pid, 'SIGTERM');
    killer = setTimeout(() => endGroup(child.pid, 'SIGKILL'), KILL_AFTER);
  };
  options.signal?.addEventListener('abort', abort, { once: true });
  const output: string[] = [];
  const tail: string[] = [];
  const read = async (stream: 'stdout' | 'stderr') => {
    for await (const line of createInterface({ input: child[stream] })) {
      if (stream === 'stdout') {
        output.push(line);
      }
      tail.push(line);
      if (tail.length > KEPT_LINES) {
        tail.shift();
      }
      options.onLine?.(line, stream);
    }
  };
  try {
    const exit = new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
      child.once('error', (cause) =>
        reject(new SetUpError(`\`${shown}\` could not be started: ${cause.message}`, [], { cause })),
      );
      child.once('close', (code, signal) => resolve({ code, signal }));
    });
    const [{ code, signal }] = await Promise.all([exit, read('stdout'), read('stderr')]);
    options.signal?.throwIfAborted();
    if (code !== 0) {
      const lastLines =
        tail.length === 0 ? 'It printed nothing.' : `Its last lines:\n${tail.map((line) => `  | ${line}`).join('\n')}`;
      const where = options.cwd === undefined ? '' : ` in ${options.cwd}`;
      throw new SetUpError(`\`${shown}\`${where} ended with ${signal ?? `exit code ${code}`}. ${lastLines}`);
    }
    return output.join('\n');
  } finally {
    options.signal?.removeEventListener('abort', abort);
    clearTimeout(killer);
  }
}

function endGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) {
    return;
  }
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended by itself.
  }
}

/** Path of a program on PATH, or undefined. */
export async function which(program: string, env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  const { access, constants } = await import('node:fs/promises');
  const { delimiter, join } = await import('node:path');
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    if (folder === '') {
      continue;
    }
    const path = join(folder, program);
    try {
      await access(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder: the next one may have it.
    }
  }
  return undefined;
}
