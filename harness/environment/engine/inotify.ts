import { readdir, readFile, readlink } from 'node:fs/promises';
import { platform } from 'node:os';

/** inotify instances of the user that containers run as, on this host (inotify(7), /proc interfaces). */
export type Inotify = {
  /** fs.inotify.max_user_instances. */
  readonly limit: number;
  /** Instances that are open now, as far as this process may see. */
  readonly used: number;
};

/**
 * inotify instances that one cluster of the harness holds: kubelet, containerd, kube-proxy and the pods of CoreDNS and
 * of the storage provisioner, measured with the reference stack.
 */
export const INSTANCES_PER_CLUSTER = 20;
/** Clusters that a run has at once: its own, and those of requirements that want one to themselves. */
export const CLUSTERS_AT_ONCE = 3;

const LIMIT = '/proc/sys/fs/inotify/max_user_instances';

/** Reads the limit and what is used of it; undefined where the kernel has no inotify (not Linux). */
export async function readInotify(): Promise<Inotify | undefined> {
  if (platform() !== 'linux') {
    return undefined;
  }
  const text = await readFile(LIMIT, 'utf8').catch(() => undefined);
  const limit = Number(text?.trim());
  return text === undefined || !Number.isInteger(limit) ? undefined : { limit, used: await openInstances() };
}

/** How many more clusters the limit leaves room for. */
export function roomForClusters({ limit, used }: Inotify): number {
  return Math.max(0, Math.floor((limit - used) / INSTANCES_PER_CLUSTER));
}

/** What is said of it, and how to fix it where a run could meet the limit; `fix` is absent where there is room. */
export function evaluateInotify(inotify: Inotify): { readonly value: string; readonly fix?: string } {
  const room = roomForClusters(inotify);
  const value = `max_user_instances ${inotify.limit}, ${inotify.used} in use: room for ${room} cluster${room === 1 ? '' : 's'}`;
  return room >= CLUSTERS_AT_ONCE
    ? { value }
    : {
        value,
        fix: `sysctl -w fs.inotify.max_user_instances=512 (a run has up to ${CLUSTERS_AT_ONCE} clusters, of about ${INSTANCES_PER_CLUSTER} instances each)`,
      };
}

/** Open inotify instances of root's processes: the kernel counts by user, and containers run as root. */
async function openInstances(): Promise<number> {
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const counts = await Promise.all(
    processes.map(async (pid) => {
      // A process may end while it is looked at, and another user's may not be looked into.
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      if (!/^Uid:\s+0\s/m.test(status)) {
        return 0;
      }
      const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
      const targets = await Promise.all(descriptors.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
      return targets.filter((target) => target === 'anon_inode:inotify').length;
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}
