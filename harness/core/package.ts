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
 * The commit of the sources that run, with `-dirty` where they were changed since; undefined where they are a package
 * that was installed, or where there is no git.
 */
export function sourceCommit(): string | undefined {
  if (import.meta.url.includes('/node_modules/')) {
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
