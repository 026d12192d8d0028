import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Credentials } from './credentials.ts';
import { Callers } from './gateway/callers.ts';
import { forward, type Way } from './gateway/forward.ts';
import type { Rewrite } from './gateway/rewrite.ts';
import { forwardUpgrade } from './gateway/upgrade.ts';
import { Ledger } from './ledger.ts';
import type { Upstream } from './upstream.ts';

export type { Rewrite } from './gateway/rewrite.ts';

/**
 * The harness's own door to a live cluster: an HTTP server on loopback behind which all that kubectl knows of a
 * kubeconfig stands, once. Whoever shows its secret asks with the credentials of the kubeconfig; what shows credentials
 * of its own, or none, is passed on with those. So no worker holds credentials of the user, and a watch, an exec and a
 * fetch take the same way.
 */
export interface Gateway {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /**
   * Stands for the credentials of the kubeconfig, as a bearer; `.ID` behind it says for which requirement it is asked.
   */
  readonly secret: string;
  /**
   * Takes what this user makes for the harness's own, too: it complies as well
   * (`system:serviceaccount:NAMESPACE:NAME`).
   */
  takeAsOwn(user: string): void;
  /** Requests with the credentials of the kubeconfig so far, and what was refused to them. */
  readonly ledger: Ledger;
  close(): Promise<void>;
}

export interface GatewayOptions {
  upstream: Upstream;
  credentials: Credentials;
  /** Says why a request could not be asked. */
  explain(error: unknown): string;
  rewrite?: Rewrite;
  /** Told of each request that was asked again, since an idle connection was closed under it. */
  onAskedAgain?(message: string): void;
}

/** Starts it at a free port of loopback. */
export async function startGateway({ credentials, ...options }: GatewayOptions): Promise<Gateway> {
  const ledger = new Ledger();
  const callers = new Callers(credentials, ledger);
  const { url, close } = await listen({ ...options, callers, ledger });
  return {
    url,
    secret: callers.secret,
    takeAsOwn: (user) => callers.takeAsOwn(user),
    ledger,
    async close() {
      await close();
      options.upstream.close();
    },
  };
}

async function listen(way: Way): Promise<{ url: string; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    forward(way, request, response).catch(() => response.destroy());
  });
  server.requestTimeout = 0;
  // An idle connection that is closed under the next request would look like an API server that is gone.
  server.keepAliveTimeout = 0;
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    forwardUpgrade(way, request, socket, head).catch(() => socket.destroy());
  });
  // What is open keeps the process, and not that somebody might come.
  server.unref();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      await new Promise((resolve) => {
        server.close(resolve);
        for (const socket of sockets) {
          socket.destroy();
        }
      });
    },
  };
}
