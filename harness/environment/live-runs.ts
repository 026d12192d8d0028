import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';

/**
 * The runs of this user on this host that are under way, one small file each: what a later run needs to distinguish
 * the leavings of a dead run from the containers of one that is still at work.
 */

interface Entry {
  runId: string;
  pid: number;
  /** Start time of the process in clock ticks (Linux, proc(5) field 22): a process id is used again sooner or later. */
  startTicks: string;
  /** Left running on purpose, for debugging: not swept, only cleaned. */
  kept?: true;
}

function folder(): string {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(cache, 'kube-agent-conformance', 'runs');
}

/** Distinguishes the runs of this host and user from those of others that use the same engine or cluster. */
function origin(): string {
  return createHash('sha256').update(`${hostname()}\n${folder()}`).digest('hex').slice(0, 6);
}

/**
 * A new run's id: lower case letters and digits, fit for names and labels. Begins with what {@link isFromHere} knows.
 */
export function newRunId(): string {
  return `${origin()}${randomBytes(4).toString('hex')}`;
}

/** Whether a run was started by this user on this host: of others nobody here can say whether they are alive. */
export function isFromHere(runId: string): boolean {
  return runId.startsWith(origin());
}

/** Start time of a process, or undefined when there is none; `unknown` where the platform has none. */
export function startTicks(pid: number): string | undefined {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') {
      return undefined;
    }
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, the command's name, is in parentheses and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return 'unknown';
  }
}

/** Writes that this process holds the run. */
export function enterRun(runId: string): void {
  mkdirSync(folder(), { recursive: true });
  const entry: Entry = { runId, pid: process.pid, startTicks: startTicks(process.pid) ?? 'unknown' };
  writeEntry(entry);
}

/** At once: who reads it meanwhile finds the whole entry or, as before, none. */
function writeEntry(entry: Entry): void {
  const file = join(folder(), `${entry.runId}.json`);
  writeFileSync(`${file}.new`, JSON.stringify(entry));
  renameSync(`${file}.new`, file);
}

/**
 * Writes that the run's environment is left running, and how to reach its cluster.
 *
 * @returns the file of the kubeconfig, readable by this user alone; it goes with the run
 */
export function keepRun(runId: string, kubeConfig: string): string {
  writeEntry({ runId, pid: process.pid, startTicks: 'kept', kept: true });
  const file = join(folder(), `${runId}.kubeconfig`);
  writeFileSync(file, kubeConfig, { mode: 0o600 });
  return file;
}

/** Takes the run off the list, after everything of it is gone. */
export function leaveRun(runId: string): void {
  rmSync(join(folder(), `${runId}.json`), { force: true });
  rmSync(join(folder(), `${runId}.kubeconfig`), { force: true });
}

/**
 * Ids of the runs whose process is alive, and of those that were kept unless they are to be cleaned.
 * Entries of dead ones are left for the sweep, which calls {@link leaveRun}.
 */
export function liveRuns(options: { kept: boolean } = { kept: true }): Set<string> {
  let files: string[];
  try {
    files = readdirSync(folder());
  } catch {
    return new Set();
  }
  const live = new Set<string>();
  for (const file of files.filter((name) => name.endsWith('.json'))) {
    try {
      const entry = JSON.parse(readFileSync(join(folder(), file), 'utf8')) as Entry;
      if (entry.kept === true ? options.kept : startTicks(entry.pid) === entry.startTicks) {
        live.add(entry.runId);
      }
    } catch {
      // Left since it was listed, or written by nobody of ours: not a live run.
    }
  }
  return live;
}

/** Ids of all entries, of live and of dead runs. */
export function knownRuns(): string[] {
  try {
    return readdirSync(folder())
      .filter((file) => file.endsWith('.json'))
      .map((file) => file.slice(0, -'.json'.length));
  } catch {
    return [];
  }
}
