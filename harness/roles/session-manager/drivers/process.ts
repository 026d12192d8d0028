import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fill, type Values } from '../../../core/placeholders.ts';
import { describeExit, startTargetProcess } from '../../../core/process-group.ts';
import type { SessionManagerClient } from '../driver.ts';
import type { HttpTarget } from '../target.ts';

/** How a process ended that nobody had told to, and the last lines of its output. */
export interface Death {
  at: number;
  /** `ended with code 1`, `ended by SIGSEGV`, `could not be started: …`. */
  how: string;
  lastOutput: string[];
}

export interface ManagerProcess {
  /** Undefined while it runs. */
  readonly death: Death | undefined;
  readonly exited: Promise<Death>;
  /** The last lines that it wrote. */
  readonly output: string[];
  /** How many lines before those are not kept. */
  readonly outputLost: number;
  /** What it did last when it could not be called yet; undefined where it was never asked. */
  readonly lastSeen: string | undefined;
  /** Waits until it can be called; a death, or the deadline, says that it cannot. */
  ready(client: SessionManagerClient, deadlineSeconds: number): Promise<boolean>;
  /** SIGTERM to the process alone, as a kubelet does, then an end to its group. */
  stop(): Promise<void>;
}

const LAST_LINES = 20;
const KEPT_LINES = 2_000;
/** There is nothing to watch: a server is asked until it answers. */
const LOOK_EVERY_MS = 50;
const TERM_SECONDS = 5;

/** Starts a manager's process by its target file. */
export function startProcess(target: HttpTarget, workFolder: string, values: Values): ManagerProcess {
  const { command, env, cwd } = target.start;
  const located = (fill(command, values, `${target.file}: start.command`) as string[]).map((part) =>
    /^\.{1,2}\//.test(part) ? resolve(target.folder, part) : part,
  );
  const group = startTargetProcess(located, {
    cwd: cwd === undefined ? workFolder : resolve(target.folder, fill(cwd, values, `${target.file}: start.cwd`)),
    env: fill(env, values, `${target.file}: start.env`) as Record<string, string>,
  });
  const output: string[] = [];
  let outputLost = 0;
  for (const stream of [group.child.stdout, group.child.stderr]) {
    if (stream !== null) {
      createInterface({ input: stream }).on('line', (line) => {
        output.push(line);
        if (output.length > KEPT_LINES) {
          output.shift();
          outputLost += 1;
        }
      });
    }
  }
  let death: Death | undefined;
  let lastSeen: string | undefined;
  const exited = group.exited.then((exit) => {
    death = { at: exit.at, how: describeExit(exit), lastOutput: output.slice(-LAST_LINES) };
    return death;
  });
  return {
    get death() {
      return death;
    },
    get lastSeen() {
      return lastSeen;
    },
    exited,
    output,
    get outputLost() {
      return outputLost;
    },
    async ready(client, deadlineSeconds) {
      for (const deadline = Date.now() + deadlineSeconds * 1000; Date.now() < deadline; await delay(LOOK_EVERY_MS)) {
        if (death !== undefined) {
          return false;
        }
        lastSeen = await client.whyNotReady();
        if (lastSeen === undefined) {
          return true;
        }
      }
      return false;
    },
    async stop() {
      group.signal('SIGTERM');
      await Promise.race([exited, delay(TERM_SECONDS * 1000, undefined, { ref: false })]);
      await group.stop();
    },
  };
}
