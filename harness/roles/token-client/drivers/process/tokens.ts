import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { STALL_MS, type Stall } from '../../../../../fixtures/workloads/lib/heartbeat.ts';
import { describeError } from '../../../../core/errors.ts';
import type { ProbePod } from '../../../../probes/token-probe.ts';

/** The kubelet looks every second where its clock is accelerated; a token that comes so much later is still in time. */
const INTERVAL_MS = 500;

/** A folder of this host that holds what a projected volume of a pod holds. */
export interface TokenMirror {
  /** When a token came here late: the process could not know of it. Rejects where the mirror broke. */
  stalls(): Stall[];
  stop(): Promise<void>;
}

/**
 * Writes the files of a folder as the kubelet does (AtomicWriter): each path is a symlink into `..data`, that one is a
 * symlink to a folder with a name of its own, and only it is replaced.
 */
function writeAtomically(folder: string, files: Record<string, string>, previous: string | undefined): string {
  const stamp = mkdtempSync(join(folder, '..projected_'));
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(stamp, name), content, { mode: 0o600 });
  }
  symlinkSync(basename(stamp), join(folder, '..data_tmp'));
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
  if (previous === undefined) {
    for (const name of Object.keys(files)) {
      symlinkSync(join('..data', name), join(folder, name));
    }
  } else {
    rmSync(previous, { recursive: true });
  }
  return stamp;
}

/**
 * Keeps a folder as the projected volume of a probe pod is, so that a process of this host meets tokens that a kubelet
 * really rotates.
 *
 * @param files path in the pod → name in the folder
 * @returns when each file is there
 */
export async function mirrorTokens(
  probe: ProbePod,
  files: Record<string, string>,
  folder: string,
  onBroken: (error: Error) => void,
): Promise<TokenMirror> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stalls: Stall[] = [];
  let current: string | undefined;
  let held = '';
  /** Whether all files are there by now. */
  const look = async (): Promise<boolean> => {
    const observed = await probe.observations();
    const latest = Object.entries(files).map(([path, name]) => ({
      name,
      observation: observed.find((file) => file.path === path)?.observations.at(-1),
    }));
    if (latest.some(({ observation }) => observation === undefined)) {
      return false;
    }
    const wanted = latest.map(({ observation }) => observation?.sha256).join();
    if (wanted === held) {
      return true;
    }
    const contents = await Promise.all(
      latest.map(async ({ name, observation }) => [name, await probe.token(observation?.sha256 ?? '')] as const),
    );
    current = writeAtomically(folder, Object.fromEntries(contents), current);
    const first = held === '';
    held = wanted;
    const newest = Math.max(...latest.map(({ observation }) => Date.parse(observation?.at ?? '')));
    if (!first && Date.now() - newest > STALL_MS + INTERVAL_MS) {
      stalls.push({
        where: 'the way of a token from the pod',
        from: new Date(newest).toISOString(),
        to: new Date().toISOString(),
      });
    }
    return true;
  };
  let stopped = false;
  while (!(await look())) {
    await delay(INTERVAL_MS);
  }
  const following = (async () => {
    while (!stopped) {
      await delay(INTERVAL_MS);
      if (!stopped) {
        await look();
      }
    }
  })().catch((error: unknown) =>
    onBroken(new Error(`the tokens of the pod cannot be followed: ${describeError(error)}`)),
  );
  return {
    stalls: () => [...stalls],
    async stop() {
      stopped = true;
      await following;
    },
  };
}
