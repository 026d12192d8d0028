import { existsSync, statSync, watch } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { Target } from '../targets/load.ts';

/** An editor writes a file in several steps: what follows within this time is the same change. */
const SETTLED_MS = 200;

/** The target files themselves and every file that they name, absolute, each once. */
export function filesOf(targets: readonly Target[]): string[] {
  const named = targets.flatMap((target) =>
    stringsOf(target)
      .filter((text) => text !== '' && !text.includes('\0'))
      .map((text) => resolve(target.folder, text)),
  );
  return [...new Set([...targets.map(({ file }) => file), ...named])].filter(
    (path) => existsSync(path) && statSync(path).isFile(),
  );
}

function stringsOf(tree: unknown): string[] {
  if (typeof tree === 'string') {
    return [tree];
  }
  if (typeof tree !== 'object' || tree === null) {
    return [];
  }
  return Object.values(tree).flatMap(stringsOf);
}

/**
 * Waits until one of some files changes, is replaced or comes back.
 *
 * @returns the file
 * @throws the reason of `signal`
 */
export async function changeOf(files: readonly string[], signal?: AbortSignal): Promise<string> {
  const { promise, resolve: changed, reject } = Promise.withResolvers<string>();
  let timer: NodeJS.Timeout | undefined;
  // The folders: an editor may put another file in the place of the one that was watched.
  const watchers = [...new Set(files.map(dirname))].map((folder) =>
    watch(folder, (_, name) => {
      const file = files.find((each) => dirname(each) === folder && basename(each) === name);
      if (file === undefined) {
        return;
      }
      clearTimeout(timer);
      timer = setTimeout(() => changed(file), SETTLED_MS);
    }),
  );
  signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    for (const watcher of watchers) {
      watcher.close();
    }
  }
}
