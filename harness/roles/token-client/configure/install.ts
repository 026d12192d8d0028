import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { HarnessError } from '../../../core/errors.ts';
import { fill } from '../../../core/placeholders.ts';
import { limitSeconds } from '../../../core/time-limits.ts';
import { cacheFolder } from '../../../environment/images/cache.ts';
import { takeLock } from '../../../environment/images/lock.ts';
import type { Target } from '../../../targets/load.ts';

const DEADLINE_MS = limitSeconds('targetInstall') * 1_000;

/** A file beside the target file, as a command of `run.install` names it. */
const OWN_FILE = /\$\{target\.folder\}\/([\w./@+-]+)/g;

/**
 * Where what a target needs is installed: kept between runs, by the commands that make it and what is in the files of
 * its own that they name. Who changes a wrapper that is copied there gets the new one.
 */
export function installFolder(target: Target<'token-client'>): string {
  const commands = target.run.form === 'process' ? target.run.install : [];
  const hash = createHash('sha256').update(JSON.stringify(commands));
  for (const [, name = ''] of commands.flat().flatMap((argument) => [...argument.matchAll(OWN_FILE)])) {
    const path = join(target.folder, name);
    if (statSync(path, { throwIfNoEntry: false })?.isFile() === true) {
      hash.update(readFileSync(path));
    }
  }
  return join(cacheFolder(), 'targets', hash.digest('hex').slice(0, 16));
}

/**
 * Installs what the process of a target needs, unless that was done before. Two runs at once do it once.
 *
 * @throws HarnessError with the output of the command that failed
 */
export async function installTarget(
  target: Target<'token-client'>,
  onProgress: (message: string) => void,
): Promise<void> {
  if (target.run.form !== 'process' || target.run.install.length === 0) {
    return;
  }
  const folder = installFolder(target);
  await using _lock = await takeLock(folder, (holder) =>
    onProgress(`process ${holder} is installing the target; waits`),
  );
  if (existsSync(folder)) {
    return;
  }
  const unfinished = `${folder}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  for (const command of target.run.install) {
    const [file = '', ...args] = fill(
      command,
      { 'install.folder': unfinished, 'target.folder': target.folder },
      `${target.file}: run.install`,
    );
    onProgress(`installs the target: ${[file, ...args].join(' ')}`);
    try {
      await promisify(execFile)(file, args, { cwd: unfinished, timeout: DEADLINE_MS, maxBuffer: 64 * 1024 * 1024 });
    } catch (error) {
      const { message, stdout = '', stderr = '' } = error as Error & { stdout?: string; stderr?: string };
      rmSync(unfinished, { recursive: true, force: true });
      throw new HarnessError(`${target.file}: run.install: ${message}\n${stdout}${stderr}`.trimEnd());
    }
  }
  mkdirSync(dirname(folder), { recursive: true });
  renameSync(unfinished, folder);
}
