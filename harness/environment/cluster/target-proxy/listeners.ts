import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface ListenersOptions {
  /** Addresses to listen at; each gets a free port. */
  hosts: string[];
  /** Server certificate for the addresses, PEM. */
  tls: { cert: string; key: string };
  onRequest: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  onUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => Promise<void>;
  /** Whether a new connection is reset before any handshake. */
  isReset: () => boolean;
}

interface Listener {
  server: Server;
  host: string;
  port: number;
}

/** The addresses of the proxy: they can go away and come back, as an API server's process does. */
export class Listeners {
  readonly #options: ListenersOptions;
  readonly #sockets = new Set<Socket>();
  #listeners: Listener[] = [];
  #returning: NodeJS.Timeout | undefined;

  private constructor(options: ListenersOptions) {
    this.#options = options;
  }

  /** Listens at all hosts. @throws the error of the first that cannot be listened at */
  static async open(options: ListenersOptions): Promise<Listeners> {
    const listeners = new Listeners(options);
    listeners.#listeners = await Promise.all(options.hosts.map((host) => listeners.#listen(host)));
    return listeners;
  }

  /** In the order of the hosts. */
  get addresses(): { host: string; port: number }[] {
    return this.#listeners.map(({ host, port }) => ({ host, port }));
  }

  /** Refuses new connections, as where no process listens. @param forSeconds until {@link comeBack} where absent */
  goAway(forSeconds: number | undefined): void {
    for (const { server } of this.#listeners) {
      server.close();
    }
    if (forSeconds !== undefined) {
      this.#returning = setTimeout(() => this.comeBack(), forSeconds * 1000);
    }
  }

  /** Listens again, at the same ports. */
  comeBack(): void {
    clearTimeout(this.#returning);
    for (const { server, host, port } of this.#listeners) {
      if (!server.listening) {
        server.listen(port, host);
      }
    }
  }

  /** Resets the open connections, as where the process behind them is gone: no orderly end, and below TLS. */
  resetConnections(): void {
    for (const socket of this.#sockets) {
      reset(socket);
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#returning);
    const closed = this.#listeners.map(
      ({ server }) =>
        new Promise((resolve) => {
          server.close(resolve);
          server.closeAllConnections();
        }),
    );
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    await Promise.all(closed);
  }

  async #listen(host: string): Promise<Listener> {
    const { tls, onRequest, onUpgrade } = this.#options;
    const server = createServer({ ...tls, ALPNProtocols: ['http/1.1'] }, (request, response) => {
      onRequest(request, response).catch(() => response.destroy());
    });
    // A watch is silent for minutes, and an upload may be slow: the API server has its own limits.
    server.requestTimeout = 0;
    // An idle connection that is closed under the next request would look like an API server that is gone.
    server.keepAliveTimeout = 0;
    server.on('connection', (socket: Socket) => this.#accept(socket));
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => socket.destroy());
      onUpgrade(request, socket, head).catch(() => socket.destroy());
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, host, resolve);
    });
    return { server, host, port: (server.address() as AddressInfo).port };
  }

  #accept(socket: Socket): void {
    if (this.#options.isReset()) {
      reset(socket);
      return;
    }
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
  }
}

function reset(socket: Socket): void {
  if (!socket.destroyed) {
    socket.resetAndDestroy();
  }
}
