import type { Host } from './host.ts';

/**
 * Debian packages of an engine of our own. `iptables` is only recommended by docker.io, yet needed for published ports.
 */
export const ENGINE_PACKAGES = ['docker.io', 'iptables', 'ca-certificates'] as const;

/** How an engine is come by. */
export type EnginePlan =
  | { readonly kind: 'use' }
  | {
      readonly kind: 'start';
      /** Packages to install first; empty when dockerd is there. */
      readonly install: readonly string[];
      readonly by: 'systemd' | 'detached';
      /** Register the runtime that drops CAP_SYS_RESOURCE. */
      readonly wrapRuntime: boolean;
    }
  | { readonly kind: 'refuse'; readonly problem: string; readonly fix: readonly string[] };

/**
 * Decides what set-up does about the engine.
 *
 * @param running an engine answers
 * @param dockerHost the endpoint that the user named (DOCKER_HOST or a docker context): nothing is started behind the
 *   user's back then
 */
export function planEngine(host: Host, running: boolean, dockerHost: string | undefined): EnginePlan {
  if (running) {
    return { kind: 'use' };
  }
  if (dockerHost !== undefined) {
    return {
      kind: 'refuse',
      problem: `No container engine answers at ${dockerHost}, the endpoint that DOCKER_HOST or the docker context names.`,
      fix: ['start that engine, or', 'unset DOCKER_HOST   (docker context use default)   and run setup again'],
    };
  }
  const again = 'then run setup again';
  if (host.platform === 'darwin') {
    return {
      kind: 'refuse',
      problem: 'No container engine is running. On macOS, setup does not install one.',
      fix: ['brew install colima docker && colima start --cpu 2 --memory 4', `(or start Docker Desktop), ${again}`],
    };
  }
  if (host.platform !== 'linux') {
    return {
      kind: 'refuse',
      problem: `No container engine is running. On ${host.platform}, setup does not install one.`,
      fix: [`start Docker Desktop (WSL 2 back end), ${again}`],
    };
  }
  const by = host.systemd ? 'systemd' : 'detached';
  if (!host.root) {
    const start = host.systemd ? 'sudo systemctl start docker' : 'sudo npm run setup';
    const install = host.distributions.includes('debian')
      ? [`sudo apt-get update && sudo apt-get install -y --no-install-recommends ${ENGINE_PACKAGES.join(' ')}`]
      : (installElsewhere(host) ?? []);
    return {
      kind: 'refuse',
      problem:
        'No container engine answers, and setup is not running as root, so it can neither install nor start one.',
      fix: [
        ...(host.dockerd === undefined ? install : []),
        start,
        'sudo usermod -aG docker "$USER"   (log in again afterwards)',
        again,
      ],
    };
  }
  if (host.dockerd !== undefined) {
    return { kind: 'start', install: [], by, wrapRuntime: !host.sysResource };
  }
  if (host.distributions.includes('debian') && host.aptGet !== undefined) {
    return { kind: 'start', install: ENGINE_PACKAGES, by, wrapRuntime: !host.sysResource };
  }
  return {
    kind: 'refuse',
    problem: `No container engine is installed. Set-up installs one on Debian and Ubuntu alone; this is ${host.distributions[0] ?? 'an unknown Linux'}.`,
    fix: [...(installElsewhere(host) ?? ['install Docker Engine with the package manager of this system']), again],
  };
}

function installElsewhere(host: Host): string[] | undefined {
  const sudo = host.root ? '' : 'sudo ';
  const is = (...names: string[]) => names.some((name) => host.distributions.includes(name));
  const start = `${sudo}systemctl enable --now docker`;
  if (is('fedora', 'rhel', 'centos')) {
    return [`${sudo}dnf install -y moby-engine`, start];
  }
  if (is('suse', 'opensuse')) {
    return [`${sudo}zypper install -y docker`, start];
  }
  if (is('arch')) {
    return [`${sudo}pacman -S --noconfirm docker`, start];
  }
  if (is('alpine')) {
    return [`${sudo}apk add docker`, `${sudo}rc-service docker start`];
  }
  return undefined;
}
