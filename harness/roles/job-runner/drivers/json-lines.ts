import { type ChildProcess, spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import type { JobRunnerDriver, Readiness, RunnerEvent, RunnerExit, StartedJobRunner, StartOptions } from '../driver.ts';

/** A child process with a group of its own, so that whatever it starts ends with it. */
export interface ChildGroup {
  readonly child: ChildProcess;
  readonly exited: Promise<RunnerExit>;
  /** To the process alone; nothing happens where it has ended. */
  signal(name: 'SIGTERM' | 'SIGKILL'): void;
  /** Resident memory of the process in bytes; undefined where the system does not tell. */
  memoryBytes(): Promise<number | undefined>;
  /** Kills the group and waits for the process to be gone. */
  stop(): Promise<void>;
}

/** Groups of this process that run: none may outlive it. */
const groups = new Set<number>();
process.on('exit', () => {
  for (const pid of groups) killGroup(pid);
});

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/**
 * Starts a command as a process group. `node` is the Node that runs this.
 *
 * @param options.env all that it gets beside PATH and HOME
 * @param options.ipc with Node's channel between processes
 */
export function startGroup(
  command: string[],
  options: { env: Record<string, string>; cwd: string; ipc?: boolean },
): ChildGroup {
  const [program = '', ...args] = command;
  const child = spawn(program === 'node' ? process.execPath : program, args, {
    cwd: options.cwd,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe', ...(options.ipc === true ? (['ipc'] as const) : [])],
    env: { PATH: process.env.PATH, HOME: options.cwd, ...options.env },
  });
  const { pid } = child;
  if (pid !== undefined) groups.add(pid);
  const exited = new Promise<RunnerExit>((done) => {
    child.on('error', () => done({ at: Date.now(), code: null, signal: null }));
    child.on('exit', (code, signal) => done({ at: Date.now(), code, signal }));
  });
  // What it is told after its end is lost, which is no fault of the harness.
  child.stdin?.on('error', () => undefined);
  return {
    child,
    exited,
    signal(name) {
      if (child.exitCode === null && child.signalCode === null) child.kill(name);
    },
    async memoryBytes() {
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1];
      return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
    },
    async stop() {
      if (pid === undefined) return;
      killGroup(pid);
      await exited;
      groups.delete(pid);
    },
  };
}

const task = { task: z.string() };
const lineSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready'), warnings: z.array(z.string()).optional() }),
  z.object({ type: z.literal('unready'), reason: z.string() }),
  z.object({ type: z.literal('claimed'), ...task }),
  z.object({ type: z.literal('refused'), ...task, reason: z.string() }),
  z.object({ type: z.literal('output'), ...task, text: z.string() }),
  z.object({
    type: z.literal('ended'),
    ...task,
    outcome: z.enum(['succeeded', 'failed', 'cancelled', 'timeout']),
    exitCode: z.number().optional(),
    reason: z.string().optional(),
    session: z.string().optional(),
  }),
]);

/** Lines of its own output that tell why a runner ended before it was ready. */
const LAST_WORDS = 20;

/** The driver of a runner that speaks JSON lines on stdin and stdout. What is no such line counts as its own output. */
export function jsonLinesDriver(command: string[]): JobRunnerDriver {
  return {
    async start(options: StartOptions): Promise<StartedJobRunner> {
      const config = join(options.workFolder, 'config.json');
      const { extra, ...settings } = options.settings;
      await writeFile(config, JSON.stringify({ ...settings, ...extra }));
      const located = command.map((part) => (/^\.{1,2}\//.test(part) ? resolve(options.folder, part) : part));
      const group = startGroup(located, {
        cwd: options.workFolder,
        env: { ...options.env, KUBECONFIG: options.kubeconfig, RUNNER_CONFIG: config },
      });
      const readiness = Promise.withResolvers<Readiness>();
      const words: string[] = [];
      const log = (text: string): void => {
        words.push(text);
        if (words.length > LAST_WORDS) words.shift();
        options.onEvent({ at: Date.now(), type: 'log', text });
      };
      const read = (line: string): void => {
        const at = Date.now();
        const said = parsedLine(line);
        if (said === undefined) log(line);
        else if (said.type === 'ready')
          readiness.resolve({ ready: true, at, ...(said.warnings === undefined ? {} : { warnings: said.warnings }) });
        else if (said.type === 'unready') readiness.resolve({ ready: false, at, reason: said.reason });
        else options.onEvent({ at, ...said } as RunnerEvent);
      };
      if (group.child.stdout !== null) createInterface({ input: group.child.stdout }).on('line', read);
      if (group.child.stderr !== null) createInterface({ input: group.child.stderr }).on('line', log);
      void group.exited.then(({ at, code, signal }) => {
        const how = signal ?? `code ${code}`;
        readiness.resolve({ ready: false, at, reason: [`it exited (${how})`, ...words].join('\n') });
      });
      const say = async (message: object): Promise<void> => {
        group.child.stdin?.write(`${JSON.stringify(message)}\n`);
      };
      return {
        readiness: readiness.promise,
        exited: group.exited,
        submit: (submitted) => say({ type: 'submit', task: submitted }),
        cancel: (id) => say({ type: 'cancel', task: id }),
        signal: (name) => group.signal(name),
        memoryBytes: () => group.memoryBytes(),
        stop: () => group.stop(),
      };
    },
  };
}

/** One line of what a runner tells; undefined for any other text. */
export function parsedLine(line: string): z.infer<typeof lineSchema> | undefined {
  try {
    return lineSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
