import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

const KEEP_ALIVE_MS = 60_000;

export interface HttpsListener {
  readonly address: string;
  readonly port: number;
  readonly listening: boolean;
  /** With false every connection is closed as it arrives, as if nobody listened, until it is called with true. */
  setReachable(reachable: boolean): void;
  /** Connections that were closed so. */
  readonly turnedAway: number;
  /** Connections that were accepted; without a request afterwards, the client rejected the server's TLS. */
  readonly letIn: number;
  close(): Promise<void>;
}

export interface HttpsListenerOptions {
  /** Address to bind, for example the gateway of the run's network; absent: all of this host's. */
  bindAddress?: string;
  /** 0 for any free port. */
  port: number;
  cert: string;
  key: string;
  /** True for plain http: then neither certificate nor key is used. */
  plainHttp?: boolean;
  /**
   * First path segment (for example `production`) to the handler that is mounted there, as Express mounts it; may grow
   * later.
   */
  mounts: Record<string, RequestListener>;
  /** Receives the path of every request. */
  onRequest?(url: string): void;
}

/**
 * Serves each mount under its path by https; any other path is 404. Rejects if the port is taken or the address is not
 * ours.
 */
export async function listenHttps({
  bindAddress,
  port,
  cert,
  key,
  plainHttp = false,
  mounts,
  onRequest = () => {},
}: HttpsListenerOptions): Promise<HttpsListener> {
  const listener: RequestListener = (request, response) => {
    const url = request.url ?? '/';
    onRequest(url);
    const [, name = '', rest = ''] = /^\/([^/?]*)(.*)$/.exec(url) ?? [];
    const handler = Object.hasOwn(mounts, name) ? mounts[name] : undefined;
    if (handler === undefined) {
      response.writeHead(404, { 'content-type': 'application/json' }).end(JSON.stringify({ error: 'not_found' }));
      return;
    }
    // Koa-style applications find their mount path by comparing the two.
    Object.assign(request, { originalUrl: url });
    request.url = rest.startsWith('/') ? rest : `/${rest}`;
    handler(request, response);
  };
  const server = plainHttp ? createHttpServer(listener) : createServer({ cert, key }, listener);
  let reachable = true;
  let turnedAway = 0;
  let letIn = 0;
  server.on('connection', (socket: Socket) => {
    if (reachable) {
      letIn += 1;
      return;
    }
    turnedAway += 1;
    socket.destroy();
  });
  // Clients close idle connections first, or one of them would send its next request into a connection that closes.
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new Error(`cannot listen on ${bindAddress ?? 'any address'}:${port}: ${cause.message}`, { cause })),
    );
    server.listen(port, bindAddress, resolve);
  });
  const bound = server.address() as AddressInfo;
  return {
    address: bound.address,
    port: bound.port,
    get listening() {
      return server.listening;
    },
    get turnedAway() {
      return turnedAway;
    },
    get letIn() {
      return letIn;
    },
    setReachable(wanted) {
      reachable = wanted;
      if (!wanted) {
        server.closeAllConnections();
      }
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
