import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, statfs } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { command } from '../engine/command.ts';
import { SetUpError } from '../engine/errors.ts';

/** Everything that set-up keeps between runs: `${XDG_CACHE_HOME:-~/.cache}/kube-agent-conformance`. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  const base = env.XDG_CACHE_HOME;
  return join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'kube-agent-conformance');
}

/**
 * A content-addressed store of files in the cache folder. An entry is there in full or not at all: it is made in a
 * temporary folder and renamed. What a killed process left in its temporary folder is swept by the next one.
 */
export class Cache {
  readonly folder: string;

  constructor(folder: string = cacheFolder()) {
    this.folder = folder;
  }

  path(kind: string, key: string): string {
    return join(this.folder, kind, key);
  }

  has(kind: string, key: string): boolean {
    return existsSync(this.path(kind, key));
  }

  /**
   * Gives the entry's folder; when it is missing, `make` fills a temporary one first.
   * Two processes that make the same entry at once both succeed; callers that mind the work hold a lock.
   */
  async entry(kind: string, key: string, make: (folder: string) => Promise<void>): Promise<string> {
    const final = this.path(kind, key);
    if (existsSync(final)) {
      return final;
    }
    const temporary = await this.temporary();
    try {
      await make(temporary);
      await mkdir(dirname(final), { recursive: true });
      await rename(temporary, final).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') {
          throw error;
        }
      });
      return final;
    } finally {
      await removeTree(temporary);
    }
  }

  /** A fresh folder of this process; whoever asks removes it with removeTree. */
  async temporary(): Promise<string> {
    const folder = join(this.folder, 'tmp', `${process.pid}.${await startTime(process.pid)}.${randomUUID()}`);
    await mkdir(folder, { recursive: true });
    return folder;
  }

  /** Removes the temporary folders of processes that are gone. */
  async sweep(): Promise<string[]> {
    const root = join(this.folder, 'tmp');
    const swept: string[] = [];
    for (const name of await readdir(root).catch(() => [])) {
      const [pid, started] = name.split('.');
      if (pid !== undefined && started !== undefined && started === (await startTime(Number(pid)))) {
        continue;
      }
      // What a killed run started may still be writing there; then the next sweep has it.
      await removeTree(join(root, name)).then(
        () => swept.push(name),
        () => {},
      );
    }
    return swept;
  }
}

/** When a process started, in clock ticks after boot (proc_pid_stat(5), field 22); `gone` when it does not run. */
async function startTime(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (stat !== undefined) {
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? 'gone';
  }
  if (process.platform === 'linux') {
    return 'gone';
  }
  try {
    process.kill(pid, 0);
    return 'running';
  } catch {
    return 'gone';
  }
}

/**
 * Removes a folder, but never through a mount: a root file system that was being made when its maker was killed may
 * still have the host's /dev and /proc mounted in it.
 */
export async function removeTree(folder: string): Promise<void> {
  if (!existsSync(folder)) {
    return;
  }
  for (const mount of await mountsUnder(folder)) {
    await command('umount', [mount]);
  }
  const left = await mountsUnder(folder);
  if (left.length > 0) {
    throw new SetUpError(`${left[0]} is still mounted, so ${folder} was not removed.`, [`umount ${left[0]}`]);
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
}

async function mountsUnder(folder: string): Promise<string[]> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  return mounts
    .split('\n')
    .map((line) =>
      (line.split(' ')[4] ?? '').replace(/\\(\d{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8))),
    )
    .filter((point) => point === folder || point.startsWith(`${folder}/`))
    .reverse();
}

/** Free bytes for this user on the file system that a path is, or would be, on. */
export async function freeBytes(path: string): Promise<number> {
  let existing = path;
  while (!existsSync(existing)) {
    existing = dirname(existing);
  }
  const { bavail, bsize } = await statfs(existing);
  return bavail * bsize;
}

/**
 * Distinguishes a full disk from other failures.
 *
 * @param places folders that the failed work writes to, by what they hold
 * @returns a SetUpError that names the full one, or the error as it came
 */
export async function explainDiskFull(
  error: unknown,
  what: string,
  places: Readonly<Record<string, string>>,
): Promise<unknown> {
  const text =
    error instanceof Error ? `${error.message} ${(error as NodeJS.ErrnoException).code ?? ''}` : String(error);
  if (!/ENOSPC|no space left on device/i.test(text)) {
    return error;
  }
  const lines = await Promise.all(
    Object.entries(places).map(async ([holds, path]) => `${holds}: ${path} (${megabytes(await freeBytes(path))} free)`),
  );
  return new SetUpError(
    `The disk is full: ${what} could not be finished.`,
    ['free some space at one of these', ...lines, 'then run the same command again; it continues where it stopped'],
    {
      cause: error,
    },
  );
}

export function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}
