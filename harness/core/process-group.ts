import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isInstalled } from './package.ts';

/** How a process came to its end. */
export interface ProcessExit {
  /** Milliseconds since the epoch. */
  at: number;
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Why it could not be started; absent where it was. */
  error?: Error;
}

/** What a sentence says of a process that has ended: `ended with code 1`, `could not be started: spawn bun ENOENT`. */
export function describeExit({ code, signal, error }: Omit<ProcessExit, 'at'>): string {
  if (error !== undefined) {
    return `could not be started: ${error.message}`;
  }
  return signal === null ? `ended with code ${code}` : `ended by ${signal}`;
}

/** A child process with a group of its own, so that whatever it starts ends with it. */
export interface ProcessGroup {
  readonly child: ChildProcess;
  /** Undefined where it could not be started. */
  readonly pid: number | undefined;
  /** Never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** Sends a signal to the process alone, as a kubelet does; nothing happens where it has ended. */
  signal(name: NodeJS.Signals): void;
  /** Resident memory of the process in bytes; undefined where the system has no such figure. */
  memoryBytes(): Promise<number | undefined>;
  /** Ends the whole group at once. May be called again, and after the exit. */
  kill(): void;
  /** Asks the whole group to end, and kills what is left of it after a time. */
  end(graceMs: number): Promise<void>;
  /** Kills the group and waits for the process to be gone. */
  stop(): Promise<void>;
}

export interface ProcessGroupOptions {
  /** All of its environment. */
  env: NodeJS.ProcessEnv;
  cwd: string;
  /** It can be written to. */
  stdin?: boolean;
  /** With Node's channel between processes. */
  ipc?: boolean;
}

/** Groups of this process that run: none may outlive it. */
const groups = new Set<number>();
process.on('exit', () => {
  for (const pid of groups) {
    signalGroup(pid, 'SIGKILL');
  }
});

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended.
  }
}

/**
 * Kills a group when this process is gone, however it went: a signal that nothing handles, SIGKILL, a crash. None of
 * them lets a process clear up, but all of them close its end of a pipe. In a group of its own, so that Ctrl-C does not
 * reach it.
 */
function guardOf(pid: number): ChildProcess {
  const guard = spawn('/bin/sh', ['-c', 'read -r _; kill -s KILL -- "-$1"', 'guard', String(pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
  });
  // Without a shell the group ends with this process in all other ways.
  guard.on('error', () => undefined);
  guard.stdin?.on('error', () => undefined);
  guard.unref();
  (guard.stdin as Socket | null)?.unref();
  return guard;
}

/** Resident memory in the text of /proc/PID/status (proc_pid_status(5)), in bytes. */
export function residentBytes(status: string): number | undefined {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}

/**
 * Starts a command as a process group of its own, with stdout and stderr as pipes. It goes with this process, if not
 * before, however that ends.
 */
export function startProcessGroup([file = '', ...args]: string[], options: ProcessGroupOptions): ProcessGroup {
  const { env, cwd, stdin = false, ipc = false } = options;
  const child = spawn(file, args, {
    cwd,
    env,
    detached: true,
    stdio: [stdin ? 'pipe' : 'ignore', 'pipe', 'pipe', ...(ipc ? (['ipc'] as const) : [])],
  });
  const { pid } = child;
  let guard: ChildProcess | undefined;
  if (pid !== undefined) {
    groups.add(pid);
    guard = guardOf(pid);
  }
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once('error', (error) => resolve({ at: Date.now(), code: null, signal: null, error }));
    child.once('exit', (code, signal) => resolve({ at: Date.now(), code, signal }));
  });
  // What it is sent after its end is lost, which is no fault of the harness.
  child.stdin?.on('error', () => undefined);
  const kill = (): void => {
    if (pid !== undefined && groups.delete(pid)) {
      // First: it must not come to an id that is given anew.
      guard?.kill('SIGKILL');
      signalGroup(pid, 'SIGKILL');
    }
  };
  return {
    child,
    pid,
    exited,
    kill,
    signal(name) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(name);
      }
    },
    async memoryBytes() {
      return residentBytes(await readFile(`/proc/${pid}/status`, 'utf8').catch(() => ''));
    },
    async end(graceMs) {
      if (pid !== undefined) {
        signalGroup(pid, 'SIGTERM');
      }
      const late = new AbortController();
      await Promise.race([exited, delay(graceMs, undefined, { signal: late.signal }).catch(() => undefined)]);
      late.abort();
      kill();
    },
    async stop() {
      kill();
      await exited;
    },
  };
}

/** The harness's own implementations are started dozens of times in a run. */
const OWN_WORKLOADS = fileURLToPath(new URL('../../fixtures/workloads/', import.meta.url));

/**
 * What Node needs to run the TypeScript of a folder: nothing, but where this package is installed below `node_modules`,
 * whose types Node does not strip.
 */
export function typeFlags(folder: string): string[] {
  return isInstalled(folder) ? ['--import', new URL('../cli/strip-types.mjs', import.meta.url).href] : [];
}

/**
 * Starts the command of a target as a process group that can be written to. `node` is the Node that runs this.
 *
 * @param options.env all that it gets in addition to PATH and HOME; the harness's own ones also get the folder in which
 *   Node keeps compiled code
 * @param options.ipc with Node's channel between processes
 */
export function startTargetProcess(
  [program = '', ...args]: string[],
  { env, cwd, ipc = false }: { env: Record<string, string>; cwd: string; ipc?: boolean },
): ProcessGroup {
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  const isOwn = args.some((word) => word.startsWith(OWN_WORKLOADS));
  const command = program === 'node' ? [process.execPath, ...(isOwn ? typeFlags(OWN_WORKLOADS) : [])] : [program];
  return startProcessGroup([...command, ...args], {
    env: { PATH, HOME: cwd, ...(isOwn && NODE_COMPILE_CACHE !== undefined ? { NODE_COMPILE_CACHE } : {}), ...env },
    cwd,
    stdin: true,
    ipc,
  });
}
