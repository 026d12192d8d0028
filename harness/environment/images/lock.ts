import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { platform, tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A lock between processes of this host that the kernel lets go when its holder dies: the holder listens on a socket
 * whose name is the lock, the others connect to it and see its end by the connection's end.
 */
export type Lock = AsyncDisposable;

/**
 * Takes the lock `name`, waiting for whoever holds it.
 *
 * @param onWait called once with the holder's process id when somebody holds it
 */
export async function takeLock(name: string, onWait: (holder: string) => void, signal?: AbortSignal): Promise<Lock> {
  const address = lockAddress(name);
  let hasReported = false;
  for (;;) {
    signal?.throwIfAborted();
    const server = await listen(address);
    if (server !== undefined) {
      return { [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())) };
    }
    const answered = await waitForHolder(address, signal, (holder) => {
      if (!hasReported) {
        onWait(holder);
      }
      hasReported = true;
    });
    // Only a socket file can be left behind by a dead holder: abstract sockets end with their process.
    if (!answered && !address.startsWith('\0')) {
      await rm(address, { force: true });
    }
  }
}

function lockAddress(name: string): string {
  const id = createHash('sha256')
    .update(`${process.getuid?.() ?? 0}/${name}`)
    .digest('hex')
    .slice(0, 24);
  // Linux has socket names outside of the file system (unix(7), abstract): nothing to sweep, no race about stale files.
  return platform() === 'linux'
    ? `\0kube-agent-conformance-${id}`
    : join(tmpdir(), `kube-agent-conformance-${id}.sock`);
}

function listen(address: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const connections = new Set<{ destroy(): void }>();
    const server = createServer((connection) => {
      connections.add(connection);
      connection.on('close', () => connections.delete(connection));
      connection.on('error', () => {});
      connection.write(`${process.pid}\n`);
    });
    const close = server.close.bind(server);
    server.close = (done) => {
      const closed = close(done);
      for (const connection of connections) {
        connection.destroy();
      }
      return closed;
    };
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') {
        resolve(undefined);
      } else {
        reject(error);
      }
    });
    server.listen(address, () => {
      // A lock alone must not keep the process alive.
      server.unref();
      resolve(server);
    });
  });
}

/** Waits until the holder's connection ends. False when nobody listens at the address. */
function waitForHolder(
  address: string,
  signal: AbortSignal | undefined,
  onHolder: (pid: string) => void,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const connection = connect(address);
    const abort = () => {
      connection.destroy();
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', abort, { once: true });
    const settle = (answered: boolean) => {
      signal?.removeEventListener('abort', abort);
      resolve(answered);
    };
    connection.setEncoding('utf8');
    connection.once('data', (pid) => onHolder(String(pid).trim()));
    connection.once('close', (failed) => settle(!failed));
    connection.on('error', () => {});
  });
}
