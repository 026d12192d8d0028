import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HarnessError, UsageError } from '../core/errors.ts';
import type { ClockKind } from '../rpc/protocol.ts';
import { cacheFolder } from './images/cache.ts';
import { startTicks } from './live-runs.ts';

/**
 * An environment that stays (`conformance up`): how runs reach the process that holds it. One file each, readable by
 * its user alone.
 */
export interface WarmEnvironment {
  name: string;
  runId: string;
  pid: number;
  /** Start time of that process, see {@link startTicks}. */
  startTicks: string;
  url: string;
  secret: string;
  clock: ClockKind;
  /** SHA-256 of the files of the targets that it holds, or was started for. */
  targets: string[];
  /** What it holds, in words, one line each. */
  holds: string[];
  /** RFC 3339. */
  since: string;
}

const NAME = /^[a-z0-9][a-z0-9-]{0,30}$/;

export function warmFolder(): string {
  const folder = join(cacheFolder(), 'environments');
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** @throws UsageError for what is no name */
export function warmFile(name: string): string {
  if (!NAME.test(name)) {
    throw new UsageError(`environment "${name}": a name has lower case letters, digits and dashes, 31 at most`);
  }
  return join(warmFolder(), `${name}.json`);
}

/** At once: who reads it meanwhile finds the whole entry or none. */
export function writeWarm(environment: WarmEnvironment): void {
  const file = warmFile(environment.name);
  writeFileSync(`${file}.new`, JSON.stringify(environment), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

export function forgetWarm(name: string): void {
  rmSync(warmFile(name), { force: true });
}

/**
 * The environment of a name whose process is alive; undefined where there is none, and what a dead one left here is
 * taken away.
 */
export function findWarm(name: string): WarmEnvironment | undefined {
  let contents: string;
  try {
    contents = readFileSync(warmFile(name), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
  const environment = JSON.parse(contents) as WarmEnvironment;
  if (startTicks(environment.pid) === environment.startTicks) {
    return environment;
  }
  forgetWarm(name);
  return undefined;
}

/** @throws UsageError that names those that are there */
export function warmCalled(name: string): WarmEnvironment {
  const environment = findWarm(name);
  if (environment !== undefined) {
    return environment;
  }
  const others = readdirSync(warmFolder())
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .filter((other) => findWarm(other) !== undefined);
  const there = others.length === 0 ? 'none is up' : `up: ${others.join(', ')}`;
  throw new UsageError(`no environment "${name}" is up (${there}); start it with: conformance up ${name}`);
}

/**
 * Waits until the file of a name is there, or is gone.
 *
 * @param options.signal ends the wait early, with its reason
 * @throws HarnessError at the deadline
 */
export async function waitForWarm(
  name: string,
  wanted: 'up' | 'down',
  options: { deadlineSeconds: number; signal?: AbortSignal },
): Promise<WarmEnvironment | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<WarmEnvironment | undefined>();
  const look = (): void => {
    const found = findWarm(name);
    if ((found !== undefined) === (wanted === 'up')) {
      resolve(found);
    }
  };
  const watcher = watch(warmFolder(), look);
  const timer = setTimeout(
    () => reject(new HarnessError(`the environment "${name}" was not ${wanted} within ${options.deadlineSeconds} s`)),
    options.deadlineSeconds * 1_000,
  );
  options.signal?.addEventListener('abort', () => reject(options.signal?.reason), { once: true });
  try {
    look();
    return await promise;
  } finally {
    watcher.close();
    clearTimeout(timer);
  }
}
