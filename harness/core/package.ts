import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Name and version of this package, by its package.json. */
export function packageVersion(): { name: string; version: string } {
  const { name, version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    name: string;
    version: string;
  };
  return { name, version };
}

/**
 * Whether this package is installed below `node_modules`, and not a clone.
 *
 * @param at path or URL of a file or folder of it
 */
export function isInstalled(at: string = import.meta.url): boolean {
  return at.split(/[\\/]/).includes('node_modules');
}

/**
 * The commit of the sources that run, with `-dirty` where they were changed since; undefined where they are a package
 * that was installed, or where there is no git.
 */
export function sourceCommit(): string | undefined {
  if (isInstalled()) {
    return undefined;
  }
  try {
    const cwd = fileURLToPath(new URL('../../', import.meta.url));
    const stdio: ['ignore', 'pipe', 'ignore'] = ['ignore', 'pipe', 'ignore'];
    return execFileSync('git', ['describe', '--always', '--dirty', '--abbrev=12', '--exclude=*'], {
      cwd,
      encoding: 'utf8',
      stdio,
    }).trim();
  } catch {
    return undefined;
  }
}
