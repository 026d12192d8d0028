import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

/** Where an engine may be listening. */
export type Endpoint = {
  /** As DOCKER_HOST is written: `unix:///var/run/docker.sock`, `tcp://…`, `ssh://…`. */
  readonly host: string;
  /** Who named it. */
  readonly source: 'DOCKER_HOST' | 'docker context' | 'default';
  /** The user named it, so no other is tried and none is started. */
  readonly chosen: boolean;
};

const dockerConfig = z.object({ currentContext: z.string().optional() });
const contextMeta = z.object({ Endpoints: z.object({ docker: z.object({ Host: z.string() }) }) });

/** The socket that a root engine of this host listens on. */
export const SYSTEM_SOCKET = '/var/run/docker.sock';

/**
 * The endpoints to try, in order: DOCKER_HOST alone, else the docker client's current context alone, else the
 * usual sockets of this user and this host.
 *
 * @throws Error when DOCKER_CONTEXT names a context that is not there
 */
export async function endpoints(env: NodeJS.ProcessEnv = process.env, home: string = homedir()): Promise<Endpoint[]> {
  const dockerHost = env.DOCKER_HOST;
  if (dockerHost !== undefined && dockerHost !== '') {
    return [{ host: dockerHost, source: 'DOCKER_HOST', chosen: true }];
  }
  const folder = env.DOCKER_CONFIG ?? join(home, '.docker');
  const name = env.DOCKER_CONTEXT ?? (await currentContext(join(folder, 'config.json')));
  if (name !== undefined && name !== '' && name !== 'default') {
    const meta = join(folder, 'contexts', 'meta', createHash('sha256').update(name).digest('hex'), 'meta.json');
    const { Host } = contextMeta.parse(await readJson(meta, `the docker context \`${name}\``)).Endpoints.docker;
    return [{ host: Host, source: 'docker context', chosen: true }];
  }
  const runtimeFolder = env.XDG_RUNTIME_DIR;
  const sockets = [
    SYSTEM_SOCKET,
    ...(runtimeFolder === undefined ? [] : [join(runtimeFolder, 'docker.sock')]),
    join(home, '.docker', 'run', 'docker.sock'),
    join(home, '.colima', 'default', 'docker.sock'),
    join(home, '.rd', 'docker.sock'),
    join(home, '.orbstack', 'run', 'docker.sock'),
  ];
  return sockets.map((socket) => ({ host: `unix://${socket}`, source: 'default', chosen: false }));
}

async function currentContext(path: string): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) {
    return undefined;
  }
  return dockerConfig.parse(JSON.parse(text)).currentContext;
}

async function readJson(path: string, what: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new Error(`${what} cannot be read from ${path}: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
}
