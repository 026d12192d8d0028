import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Listener } from '../../../../../fixtures/workloads/token-probe/listeners.ts';

/** State of a listening socket in /proc/net/tcp (Linux, include/net/tcp_states.h). */
const LISTEN = '0A';

const LOOK_EVERY_MS = 250;

/** Inode → port of the listening sockets in a table of the form of /proc/net/tcp (proc_net(5)). */
export function listeningSockets(table: string): Map<string, number> {
  return new Map(
    table.split('\n').flatMap((line): [string, number][] => {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
      return state === LISTEN ? [[inode, Number.parseInt(local.split(':')[1] ?? '', 16)]] : [];
    }),
  );
}

/**
 * Process group in the text of /proc/PID/stat (proc_pid_stat(5)): the name before it may hold anything, brackets too.
 */
export function groupIn(stat: string): number {
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
}

/** Processes end while they are looked at. */
async function orNothing<T>(reading: Promise<T>): Promise<T | undefined> {
  return reading.catch(() => undefined);
}

/** The ports that the processes of some groups listen on now. */
async function portsOf(groups: ReadonlySet<number>): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const members = await Promise.all(
    pids.map(async (pid) => groups.has(groupIn((await orNothing(readFile(`/proc/${pid}/stat`, 'utf8'))) ?? ''))),
  );
  const own = pids.filter((_, index) => members[index]);
  if (own.length === 0) {
    return [];
  }
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => orNothing(readFile(`/proc/net/${name}`, 'utf8'))));
  const listening = new Map(tables.flatMap((table) => [...listeningSockets(table ?? '')]));
  const links = await Promise.all(
    own.map(async (pid) => {
      const descriptors = (await orNothing(readdir(`/proc/${pid}/fd`))) ?? [];
      return Promise.all(descriptors.map((fd) => orNothing(readlink(`/proc/${pid}/fd/${fd}`))));
    }),
  );
  return links.flat().flatMap((link) => {
    const port = listening.get(/^socket:\[(\d+)\]$/.exec(link ?? '')?.[1] ?? '');
    return port === undefined ? [] : [port];
  });
}

/** Looks often which ports the process groups of a client listen on. */
export class GroupListeners {
  readonly #groups = new Set<number>();
  readonly #seen = new Map<number, string>();
  readonly #stopped = new AbortController();
  #looking: Promise<void> | undefined;

  /** @returns whether this host tells (Linux, /proc) */
  static async canLook(): Promise<boolean> {
    return (await orNothing(readFile('/proc/self/stat', 'utf8'))) !== undefined;
  }

  /** Watches a process group from now on, by the id of its first process. */
  add(group: number): void {
    this.#groups.add(group);
    this.#looking ??= this.#look();
  }

  /** All ports that were ever seen, each with the time of the first look that saw it. */
  async listeners(): Promise<Listener[]> {
    await this.#lookOnce();
    return [...this.#seen].map(([port, at]) => ({ port, at }));
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      await this.#lookOnce();
      await delay(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #lookOnce(): Promise<void> {
    const at = new Date().toISOString();
    for (const port of await portsOf(this.#groups)) {
      if (!this.#seen.has(port)) {
        this.#seen.set(port, at);
      }
    }
  }
}
