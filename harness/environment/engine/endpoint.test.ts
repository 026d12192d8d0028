import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endpoints } from './endpoint.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'endpoint-'));
});
afterEach(() => rm(home, { recursive: true }));

async function context(name: string, host: string): Promise<void> {
  const folder = join(home, '.docker', 'contexts', 'meta', createHash('sha256').update(name).digest('hex'));
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'meta.json'), JSON.stringify({ Name: name, Endpoints: { docker: { Host: host } } }));
}

describe('endpoints', () => {
  it('takes DOCKER_HOST and no other', async () => {
    await context('other', 'unix:///other.sock');
    expect(await endpoints({ DOCKER_HOST: 'tcp://127.0.0.1:2375', DOCKER_CONTEXT: 'other' }, home)).toEqual([
      { host: 'tcp://127.0.0.1:2375', source: 'DOCKER_HOST', chosen: true },
    ]);
  });

  it('takes the current context of the docker client', async () => {
    await context('colima', 'unix:///colima.sock');
    await writeFile(join(home, '.docker', 'config.json'), JSON.stringify({ currentContext: 'colima' }));
    expect(await endpoints({}, home)).toEqual([
      { host: 'unix:///colima.sock', source: 'docker context', chosen: true },
    ]);
  });

  it('says which context cannot be read', async () => {
    await expect(endpoints({ DOCKER_CONTEXT: 'gone' }, home)).rejects.toThrow(/docker context `gone`/);
  });

  it('else tries the usual sockets, the system’s first', async () => {
    const tried = await endpoints({ XDG_RUNTIME_DIR: '/run/user/7' }, home);
    expect(tried[0]?.host).toBe('unix:///var/run/docker.sock');
    expect(tried.map(({ host }) => host)).toContain('unix:///run/user/7/docker.sock');
    expect(tried.every(({ chosen }) => !chosen)).toBe(true);
  });
});
