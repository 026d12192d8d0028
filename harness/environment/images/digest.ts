import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** Length of a content address in hexadecimal digits. */
const LENGTH = 20;

/** Content address of a JSON value; the order of an object's keys does not matter. */
export function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value, sortKeys)).digest('hex').slice(0, LENGTH);
}

function sortKeys(_key: string, value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    return value;
  }
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A file as it goes into a hash or a build context. */
export type ContextFile = {
  readonly name: string;
  readonly path: string;
  readonly executable: boolean;
  readonly sha256: string;
};

/** The regular files under a folder that `wanted` takes, sorted by name, with what their content hashes to. */
export async function filesUnder(folder: string, wanted: (name: string) => boolean): Promise<ContextFile[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter(wanted)
    .sort();
  return Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      const [content, { mode }] = await Promise.all([readFile(path), stat(path)]);
      return {
        name,
        path,
        executable: (mode & 0o100) !== 0,
        sha256: createHash('sha256').update(content).digest('hex'),
      };
    }),
  );
}

/** What of a file is hashed: not where it lies on this machine. */
export function fingerprint(files: readonly ContextFile[]): (readonly [string, boolean, string])[] {
  return files.map(({ name, executable, sha256 }) => [name, executable, sha256] as const);
}
