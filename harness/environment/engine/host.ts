import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { arch, platform } from 'node:os';
import { which } from './command.ts';

/** What decides how an engine can be had on this host. */
export type Host = {
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  /** `ID` and `ID_LIKE` of os-release(5), lower case; empty elsewhere than on Linux. */
  readonly distributions: readonly string[];
  readonly root: boolean;
  /** systemd is process 1 (sd_booted(3)). */
  readonly systemd: boolean;
  readonly dockerd: string | undefined;
  readonly aptGet: string | undefined;
  /** CAP_SYS_RESOURCE can be had: a privileged container can be given it. */
  readonly sysResource: boolean;
  readonly cgroup: 'v1' | 'v2' | 'none';
};

/** Bit of CAP_SYS_RESOURCE (capabilities(7), linux/capability.h). */
const CAP_SYS_RESOURCE = 24n;

/**
 * Whether the capability bounding set in a /proc/PID/status holds CAP_SYS_RESOURCE.
 *
 * @throws Error when the text has no `CapBnd:` line
 */
export function hasSysResource(status: string): boolean {
  const match = /^CapBnd:\s*([0-9a-f]+)$/im.exec(status);
  if (match?.[1] === undefined) {
    throw new Error('/proc/self/status has no line `CapBnd:`: the capabilities of this host are unknown');
  }
  return ((BigInt(`0x${match[1]}`) >> CAP_SYS_RESOURCE) & 1n) === 1n;
}

/** `ID` and then the words of `ID_LIKE` of an os-release(5) file. */
export function distributionsOf(osRelease: string): string[] {
  const value = (key: string) =>
    new RegExp(`^${key}=(.*)$`, 'm').exec(osRelease)?.[1]?.replace(/^["']|["']$/g, '') ?? '';
  return [value('ID'), ...value('ID_LIKE').split(/\s+/)]
    .filter((word) => word !== '')
    .map((word) => word.toLowerCase());
}

/** Reads what this host is. Touches nothing. */
export async function readHost(): Promise<Host> {
  const linux = platform() === 'linux';
  const osRelease = linux ? await readFile('/etc/os-release', 'utf8').catch(() => '') : '';
  return {
    platform: platform(),
    arch: arch(),
    distributions: distributionsOf(osRelease),
    root: process.getuid?.() === 0,
    systemd: linux && existsSync('/run/systemd/system'),
    dockerd: linux ? await which('dockerd') : undefined,
    aptGet: linux ? await which('apt-get') : undefined,
    sysResource: linux ? hasSysResource(await readFile('/proc/self/status', 'utf8')) : true,
    cgroup: !linux
      ? 'none'
      : existsSync('/sys/fs/cgroup/cgroup.controllers')
        ? 'v2'
        : existsSync('/sys/fs/cgroup')
          ? 'v1'
          : 'none',
  };
}
