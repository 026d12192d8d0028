import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** Folders that the client may write to. */
export const WRITABLE = ['home', 'cache', 'work'];

const FOLDER_PREFIX = 'kube-agent-conformance-client-';

/** The folders of one client that is a process of this host: its own, and those that the harness writes to. */
export class SandboxFolder {
  readonly #path: string;
  readonly #removePath = (): void => rmSync(this.#path, { recursive: true, force: true });

  /** Makes it; it goes when it is removed, or with this process. */
  constructor() {
    sweepFolders(tmpdir());
    this.#path = mkdtempSync(join(tmpdir(), `${FOLDER_PREFIX}${process.pid}-`));
    process.once('exit', this.#removePath);
    for (const name of [...WRITABLE, 'late', 'config']) {
      mkdirSync(this.at(name), { mode: 0o700 });
    }
  }

  /** A path in it. */
  at(...names: string[]): string {
    return join(this.#path, ...names);
  }

  /** Writes the files of a set of providers; they are in `at('config', set)` then. */
  writeFiles(set: string, files: Record<string, string>): void {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(this.at('config', set, path)), { recursive: true });
      writeFileSync(this.at('config', set, path), content, { mode: 0o600 });
    }
  }

  remove(): void {
    this.#removePath();
    process.removeListener('exit', this.#removePath);
  }
}

/** Removes the folders of processes that were killed before they could do so. */
export function sweepFolders(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = Number(new RegExp(`^${FOLDER_PREFIX}(\\d+)-`).exec(name)?.[1] ?? Number.NaN);
    if (!Number.isInteger(pid) || isAlive(pid)) {
      continue;
    }
    try {
      rmSync(join(parent, name), { recursive: true, force: true });
    } catch {
      // Another user's: theirs to remove.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
