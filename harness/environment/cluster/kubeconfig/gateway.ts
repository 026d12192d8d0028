import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type Duplex, pipeline } from 'node:stream';
import { userOf } from '../../../kubernetes/api-record.ts';
import { endToEnd } from '../target-proxy/headers.ts';
import type { Credentials, Presented } from './credentials.ts';
import { Ledger } from './ledger.ts';
import type { Upstream } from './upstream.ts';

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
}

type Change = (request: { method: string; path: string }, body: unknown) => unknown;

/** Changes bodies of requests, where they make an object. */
export interface Rewrite {
  /** Of the harness, and of whoever is taken as its own. */
  own: Change;
  /** Of whoever else asks through this door: an implementation under test. */
  foreign?: Change;
}

/** Not for the other side: they are about one connection (RFC 9110 section 7.6.1). */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'host']);

/** The first word of a Status that no API server gives: the gateway itself could not ask it. */
export const NO_WAY_REASON = 'NoWayToTheApiServer';

/** Answers by which an API server, or a policy before it, says no. */
const REFUSALS = new Set([400, 403, 422]);

/** Objects are smaller: etcd takes 1.5 MiB. */
const LARGEST_OBJECT = 4 * 1024 * 1024;

function rawEndToEnd(answer: IncomingMessage): string[] {
  const list: string[] = [];
  for (let index = 0; index < answer.rawHeaders.length; index += 2) {
    const name = answer.rawHeaders[index] ?? '';
    if (!HOP_BY_HOP.has(name.toLowerCase())) {
      list.push(name, answer.rawHeaders[index + 1] ?? '');
    }
  }
  return list;
}

function isSame(one: string, other: string): boolean {
  const [left, right] = [Buffer.from(one), Buffer.from(other)];
  return left.length === right.length && timingSafeEqual(left, right);
}

function statusOf(message: string): string {
  const status = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: NO_WAY_REASON, code: 502, message };
  return JSON.stringify(status);
}

async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > LARGEST_OBJECT) {
      return undefined;
    }
  }
  return Buffer.concat(chunks);
}

/** Starts it at a free port of loopback. */
export async function startGateway({ upstream, credentials, explain, rewrite }: GatewayOptions): Promise<Gateway> {
  const secret = randomBytes(32).toString('base64url');
  const sockets = new Set<Socket>();
  const ownUsers = new Set<string>();
  const ledger = new Ledger();

  /**
   * For whom the harness asks: the secret may have the id of a requirement behind it. Undefined for whoever does not
   * show it.
   */
  const labelOf = (authorization: string | undefined): { requirement?: string } | undefined => {
    const [shown = '', requirement] = (authorization ?? '').split(/\.(?=[A-Z]{2}-\d+[a-z]?$)/);
    if (!isSame(shown, `Bearer ${secret}`)) {
      return undefined;
    }
    return requirement === undefined ? {} : { requirement };
  };

  /** Headers and certificate of whoever asks. */
  const identify = async (
    request: IncomingMessage,
  ): Promise<{ presented?: Presented; headers: Record<string, string | string[]> }> => {
    const { authorization, ...headers } = endToEnd(request.headersDistinct);
    const asks = labelOf(typeof authorization === 'string' ? authorization : undefined);
    if (asks === undefined) {
      return { headers: authorization === undefined ? headers : { ...headers, authorization } };
    }
    ledger.add(request.method ?? 'GET', request.url ?? '/', asks.requirement);
    const presented = await credentials.present();
    // Whoever is to be acted as already is not acted as by somebody else: client-go leaves such a request alone, too.
    const own =
      headers['impersonate-user'] === undefined
        ? presented.headers
        : Object.fromEntries(Object.entries(presented.headers).filter(([name]) => !name.startsWith('impersonate-')));
    return { presented, headers: { ...headers, ...own } };
  };

  const changed = async (
    change: Change | undefined,
    request: IncomingMessage,
    headers: Record<string, string | string[]>,
  ): Promise<Buffer | undefined> => {
    const { method = 'GET', url: path = '/' } = request;
    const isJson = String(headers['content-type'] ?? '').startsWith('application/json');
    if (change === undefined || (method !== 'POST' && method !== 'PUT') || !isJson) {
      return undefined;
    }
    const body = await bodyOf(request);
    if (body === undefined) {
      throw new Error(`a body of more than ${LARGEST_OBJECT} bytes is no object`);
    }
    try {
      return Buffer.from(JSON.stringify(change({ method, path }, JSON.parse(body.toString()))));
    } catch {
      // No JSON: the API server says so better.
      return body;
    }
  };

  const forward = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = 'GET', url: path = '/' } = request;
    const mine = labelOf(request.headers.authorization);
    const fail = (error: unknown): void => {
      // Whoever shows something of its own sees what a network shows; the harness is told why.
      if (mine === undefined || response.headersSent) {
        response.destroy();
        request.socket.destroy();
        return;
      }
      response.writeHead(502, { 'content-type': 'application/json' }).end(statusOf(explain(error)));
    };
    try {
      const { presented, headers } = await identify(request);
      const isOwn = presented !== undefined || ownUsers.has(userOf(request.headers.authorization));
      const body = await changed(isOwn ? rewrite?.own : rewrite?.foreign, request, headers);
      const outgoing = upstream.request({
        method,
        path,
        headers: body === undefined ? headers : { ...headers, 'content-length': String(body.length) },
        ...(presented?.certificate === undefined ? {} : { certificate: presented.certificate }),
      });
      response.on('close', () => outgoing.destroy());
      outgoing.on('error', fail);
      outgoing.on('response', (answer) => {
        if (answer.statusCode === 401 && presented !== undefined) {
          credentials.refused(presented);
        }
        response.writeHead(answer.statusCode ?? 502, answer.statusMessage, rawEndToEnd(answer));
        // A watch may be silent for minutes: its head must not wait for its first word.
        response.flushHeaders();
        const code = answer.statusCode ?? 0;
        if (
          mine !== undefined &&
          REFUSALS.has(code) &&
          headers['impersonate-user'] === presented?.headers['impersonate-user']
        ) {
          const words: Buffer[] = [];
          answer.on('data', (chunk: Buffer) => words.push(chunk));
          answer.on('end', () => ledger.refused(method, path, mine.requirement, code, Buffer.concat(words)));
        }
        // An answer that was cut must look cut.
        pipeline(answer, response, () => undefined);
      });
      if (body === undefined) {
        request.pipe(outgoing);
      } else {
        outgoing.end(body);
      }
    } catch (error) {
      fail(error);
    }
  };

  const upgrade = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const { presented, headers } = await identify(request);
    const outgoing = upstream.request({
      method: request.method ?? 'GET',
      path: request.url ?? '/',
      headers: { ...headers, connection: 'Upgrade', upgrade: request.headers.upgrade ?? '' },
      ...(presented?.certificate === undefined ? {} : { certificate: presented.certificate }),
    });
    const begin = (answer: IncomingMessage, more: string[]): void => {
      const lines: string[] = [];
      const list = [...rawEndToEnd(answer), ...more];
      for (let index = 0; index < list.length; index += 2) {
        lines.push(`${list[index]}: ${list[index + 1]}`);
      }
      socket.write(`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\n${lines.join('\r\n')}\r\n\r\n`);
    };
    socket.on('close', () => outgoing.destroy());
    outgoing.on('upgrade', (answer, other: Socket, first: Buffer) => {
      begin(answer, ['connection', 'Upgrade', 'upgrade', String(answer.headers.upgrade ?? '')]);
      socket.write(first);
      other.write(head);
      other.on('error', () => socket.destroy());
      // What came last is still on its way when the other side has closed already.
      other.on('close', () => (socket as Socket).destroySoon());
      socket.on('close', () => other.destroySoon());
      other.pipe(socket).pipe(other);
    });
    outgoing.on('response', (answer) => {
      // Refused: an answer like any other.
      begin(answer, ['connection', 'close']);
      answer.pipe(socket);
    });
    outgoing.on('error', () => socket.destroy());
    outgoing.end();
  };

  const server = createServer((request, response) => {
    forward(request, response).catch(() => response.destroy());
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
    upgrade(request, socket, head).catch(() => socket.destroy());
  });
  // What is open keeps the process, and not that somebody might come.
  server.unref();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    secret,
    takeAsOwn(user) {
      ownUsers.add(user);
    },
    ledger,
    async close() {
      await new Promise((resolve) => {
        server.close(resolve);
        for (const socket of sockets) {
          socket.destroy();
        }
      });
      upstream.close();
    },
  };
}
