import { createServer, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { listen } from '../../../../../fixtures/workloads/lib/http.ts';

/** A proxy that leads a process to those who watch it, and nowhere else. */
export interface ObservingProxy {
  /** For `HTTPS_PROXY`. */
  url: string;
  /** Other hosts that were asked for, `host:port`, each once: nothing was sent to them. */
  refused(): string[];
  stop(): Promise<void>;
}

/**
 * Starts a proxy (RFC 9110 section 9.3.6, CONNECT) on loopback. The names of a run exist in no DNS server, and a
 * process on this host has no hosts file of its own: by the proxy it knows them as a pod does by its hostAliases, and
 * TLS stays its own matter.
 *
 * @param routes `host:port` → port on loopback
 */
export async function startObservingProxy(routes: Record<string, number>): Promise<ObservingProxy> {
  const open = new Set<Duplex>();
  const refused = new Set<string>();
  const server: Server = createServer((request, response) => {
    refused.add(request.headers.host ?? '');
    response.writeHead(403).end('only the hosts of this run are reached, by CONNECT\n');
  });
  server.on('connect', (request, client: Duplex, head: Buffer) => {
    const keep = (socket: Duplex): void => {
      open.add(socket);
      socket.once('close', () => open.delete(socket));
    };
    keep(client);
    client.on('error', () => client.destroy());
    const port = routes[request.url ?? ''];
    if (port === undefined) {
      refused.add(request.url ?? '');
      client.end('HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n');
      return;
    }
    const upstream: Socket = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.write(head);
      upstream.pipe(client).pipe(upstream);
    });
    keep(upstream);
    upstream.on('error', () => client.destroy());
    client.once('close', () => upstream.destroy());
  });
  const port = await listen(server, 0, '127.0.0.1');
  return {
    url: `http://127.0.0.1:${port}`,
    refused: () => [...refused],
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) {
          socket.destroy();
        }
        server.closeAllConnections();
      }),
  };
}
