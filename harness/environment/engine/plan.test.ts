import { describe, expect, it } from 'vitest';
import type { Host } from './host.ts';
import { ENGINE_PACKAGES, planEngine } from './plan.ts';

const debian: Host = {
  platform: 'linux',
  arch: 'x64',
  distributions: ['debian'],
  root: true,
  systemd: false,
  dockerd: undefined,
  aptGet: '/usr/bin/apt-get',
  sysResource: true,
  cgroup: 'v2',
};

describe('planEngine', () => {
  it('uses an engine that runs, whatever the host is', () => {
    expect(planEngine({ ...debian, root: false, platform: 'darwin' }, true, undefined)).toEqual({ kind: 'use' });
  });

  it.each([
    ['nothing is installed', {}, { install: ENGINE_PACKAGES, by: 'detached', wrapRuntime: false }],
    ['dockerd is installed', { dockerd: '/usr/sbin/dockerd' }, { install: [], by: 'detached', wrapRuntime: false }],
    ['systemd runs the host', { systemd: true }, { install: ENGINE_PACKAGES, by: 'systemd', wrapRuntime: false }],
    [
      'the capability is missing',
      { sysResource: false },
      { install: ENGINE_PACKAGES, by: 'detached', wrapRuntime: true },
    ],
    [
      'it is Ubuntu',
      { distributions: ['ubuntu', 'debian'] },
      { install: ENGINE_PACKAGES, by: 'detached', wrapRuntime: false },
    ],
  ] as const)('starts one where %s', (_, host, plan) => {
    expect(planEngine({ ...debian, ...host }, false, undefined)).toEqual({ kind: 'start', ...plan });
  });

  it.each([
    ['on macOS', { platform: 'darwin' as const, distributions: [] }, /brew install/],
    ['on Windows', { platform: 'win32' as const, distributions: [] }, /Docker Desktop/],
    ['on Fedora', { distributions: ['fedora'], aptGet: undefined }, /^dnf install -y moby-engine$/m],
    ['on RHEL, known by ID_LIKE', { distributions: ['rocky', 'rhel', 'fedora'], aptGet: undefined }, /dnf install/],
    ['without root on Debian', { root: false }, /sudo apt-get install .*docker\.io/],
    ['without root on Fedora', { root: false, distributions: ['fedora'] }, /sudo dnf install/],
    ['on a Linux it does not know', { distributions: ['plan9'], aptGet: undefined }, /package manager/],
  ])('stops with the commands %s', (_, host, command) => {
    const plan = planEngine({ ...debian, ...host }, false, undefined);
    expect(plan.kind).toBe('refuse');
    expect(plan.kind === 'refuse' && plan.fix.join('\n')).toMatch(command);
  });

  it('does not tell a user without root to install what is there', () => {
    const plan = planEngine({ ...debian, root: false, dockerd: '/usr/sbin/dockerd', systemd: true }, false, undefined);
    expect(plan.kind === 'refuse' && plan.fix.join('\n')).not.toMatch(/apt-get/);
    expect(plan.kind === 'refuse' && plan.fix[0]).toBe('sudo systemctl start docker');
  });

  it('starts nothing behind the back of a user who named an endpoint', () => {
    const plan = planEngine(debian, false, 'tcp://127.0.0.1:1');
    expect(plan.kind === 'refuse' && plan.problem).toContain('tcp://127.0.0.1:1');
  });
});
