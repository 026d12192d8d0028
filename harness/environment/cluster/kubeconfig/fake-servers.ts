/**
 * What the tests of this folder attach to: an API server that says who asked, and proxies before it. Nothing of it is
 * used by a run.
 */
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { generateKeyPair, SignJWT } from 'jose';
import { WebSocketServer } from 'ws';
import { makePki, type RunPki } from '../../../core/pki.ts';

/** Who asked, as the API server sees it. */
export interface Seen {
  method: string;
  path: string;
  authorization: string | undefined;
  certificate: string | undefined;
  /** Values of each impersonation header. */
  acting: Record<string, string[]>;
  /** Server name that the client's TLS asked for. */
  servername: string | undefined;
  body: string;
}

export interface FakeApiServer extends AsyncDisposable {
  port: number;
  pki: RunPki;
  /** CA certificate, base64, as a kubeconfig has it. */
  authority: string;
  /** All requests but those of a discovery of the API. */
  seen: Seen[];
  /** Answers of the next requests, the first one first; a request beyond them gets a real one. */
  answers: { status: number; body?: unknown }[];
  /** Answers 401 to whoever shows one of its tokens, as a front does that knows its own users alone. */
  refusesServiceAccounts: boolean;
  /** It shows credentials of its own, whatever it is shown. */
  asksAs: string | undefined;
  /** Hangs up on each request by a connection that it has answered on before, as if it had just been closed as idle. */
  closesIdle: boolean;
}

export interface FakeApiServerOptions {
  host?: string;
  plain?: boolean;
  /** Path below which it answers, as behind a front. */
  prefix?: string;
  /** Names of its certificate. */
  names?: string[];
  /** Its certificate authority; default: one of its own. */
  pki?: RunPki;
}

async function listening(server: Server, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function closing(server: Server): AsyncDisposable {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) {
        socket.destroy();
      }
      await closed;
    },
  };
}

function seenOf(request: IncomingMessage, body: string): Seen {
  const socket = request.socket as TLSSocket;
  const certificate = socket.getPeerCertificate?.()?.subject?.CN;
  const acting = Object.entries(request.headersDistinct).filter(([name]) => name.startsWith('impersonate-'));
  return {
    method: request.method ?? '',
    path: (request.url ?? '').replace(/\?.*/, ''),
    authorization: request.headers.authorization,
    certificate: Array.isArray(certificate) ? certificate[0] : certificate,
    acting: Object.fromEntries(acting.map(([name, values]) => [name, values ?? []])),
    servername: typeof socket.servername === 'string' ? socket.servername : undefined,
    body,
  };
}

/** Whose the tokens are that it mints. */
const SERVICE_ACCOUNT = 'system:serviceaccount:default:default';

/** Enough of an API server to attach to: it mints tokens for whoever shows anything, and takes an exec. */
export async function fakeApiServer(options: FakeApiServerOptions = {}): Promise<FakeApiServer> {
  const { host = '127.0.0.1', plain = false, prefix = '', names = [], pki = await makePki('test') } = options;
  const { privateKey } = await generateKeyPair('ES256');
  const seen: Seen[] = [];
  const answers: FakeApiServer['answers'] = [];
  const state = {
    refusesServiceAccounts: false,
    asksAs: undefined as string | undefined,
    closesIdle: false,
  };
  const used = new WeakSet<Socket>();
  const issuer = 'https://issuer.example';
  const serve = async (request: IncomingMessage): Promise<{ status: number; body: unknown }> => {
    let body = '';
    for await (const chunk of request as AsyncIterable<Buffer>) {
      body += chunk.toString();
    }
    const found = seenOf(request, body);
    if (!found.path.startsWith(prefix)) {
      return { status: 404, body: {} };
    }
    found.path = found.path.slice(prefix.length);
    // What kubectl looks at before it does what it was told to.
    if (['/api', '/apis', '/openapi/v3'].includes(found.path)) {
      return { status: 404, body: {} };
    }
    seen.push(found);
    if (state.refusesServiceAccounts && found.authorization?.startsWith('Bearer eyJ') === true) {
      return { status: 401, body: { message: 'Unauthorized' } };
    }
    const planned = answers.shift();
    if (planned !== undefined) {
      return { status: planned.status, body: planned.body ?? {} };
    }
    if (found.path.endsWith('/token')) {
      const token = await new SignJWT({})
        .setProtectedHeader({ alg: 'ES256' })
        .setIssuer(issuer)
        .setAudience('api')
        .setSubject(SERVICE_ACCOUNT)
        .sign(privateKey);
      return { status: 201, body: { kind: 'TokenRequest', apiVersion: 'authentication.k8s.io/v1', status: { token } } };
    }
    if (found.path.endsWith('/selfsubjectreviews')) {
      const username = state.asksAs ?? SERVICE_ACCOUNT;
      return { status: 201, body: { status: { userInfo: { username } } } };
    }
    if (found.path === '/version') {
      return { status: 200, body: { major: '1', minor: '35', gitVersion: 'v1.35.0' } };
    }
    if (found.path.startsWith('/.well-known')) {
      return { status: 200, body: { issuer, jwks_uri: `${issuer}/keys` } };
    }
    return { status: 200, body: { kind: 'Status', apiVersion: 'v1', status: 'Success' } };
  };
  const listener: RequestListener = (request, response) => {
    if (state.closesIdle && used.has(request.socket)) {
      request.socket.destroy();
      return;
    }
    used.add(request.socket);
    serve(request).then(({ status, body }) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  };
  const certificate = await pki.issue('localhost', { ips: ['127.0.0.1', '::1'], names });
  const server: Server = plain
    ? createHttpServer(listener)
    : createHttpsServer({ ...certificate, ca: pki.ca, requestCert: true, rejectUnauthorized: false }, listener);
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'v4.channel.k8s.io' });
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    seen.push(seenOf(request, ''));
    sockets.handleUpgrade(request, socket, head, (web) => {
      web.send(Buffer.from('\u0001hello'));
      web.send(Buffer.from('\u0003{"status":"Success"}'), () => web.close());
    });
  });
  const { [Symbol.asyncDispose]: dispose } = closing(server);
  const port = await listening(server, host);
  return Object.assign(state, {
    port,
    pki,
    authority: Buffer.from(pki.ca).toString('base64'),
    seen,
    answers,
    [Symbol.asyncDispose]: dispose,
  });
}

export interface FakeProxy extends AsyncDisposable {
  port: number;
  /** `host:port` of each tunnel. */
  tunnels: string[];
}

/** The far end of a tunnel: names that resolve nowhere lead to this host. */
function farEnd(target: string): Socket {
  const port = target.slice(target.lastIndexOf(':') + 1);
  return connect(Number(port), '127.0.0.1');
}

/**
 * A proxy that knows CONNECT alone. @param options.password that it wants, as `name:password`; `tls` makes it one of
 * https
 */
export async function fakeConnectProxy(
  options: { password?: string; tls?: { cert: string; key: string } } = {},
): Promise<FakeProxy> {
  const tunnels: string[] = [];
  const refuse: RequestListener = (_, response) => void response.writeHead(405).end();
  const server: Server = options.tls === undefined ? createHttpServer(refuse) : createHttpsServer(options.tls, refuse);
  server.on('connect', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    const wanted = options.password === undefined ? undefined : Buffer.from(options.password).toString('base64');
    if (wanted !== undefined && request.headers['proxy-authorization'] !== `Basic ${wanted}`) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
      return;
    }
    tunnels.push(request.url ?? '');
    const far = farEnd(request.url ?? '');
    far.on('error', () => socket.destroy());
    socket.on('error', () => far.destroy());
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    far.write(head);
    far.pipe(socket).pipe(far);
  });
  const { [Symbol.asyncDispose]: dispose } = closing(server);
  return { port: await listening(server), tunnels, [Symbol.asyncDispose]: dispose };
}

/** A SOCKS5 proxy (RFC 1928) without authentication, which resolves names itself. */
export async function fakeSocksProxy(): Promise<FakeProxy> {
  const tunnels: string[] = [];
  const server = createTcpServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', () => {
      socket.write(Buffer.from([5, 0]));
      socket.once('data', (ask: Buffer) => {
        const named = ask[3] === 3;
        const end = named ? 5 + (ask[4] ?? 0) : 8;
        const host = named ? ask.subarray(5, end).toString() : [...ask.subarray(4, end)].join('.');
        const target = `${host}:${ask.readUInt16BE(end)}`;
        tunnels.push(target);
        const far = farEnd(target);
        far.on('error', () => socket.destroy());
        far.on('connect', () => {
          socket.write(Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 0]));
          far.pipe(socket).pipe(far);
        });
      });
    });
  });
  const { [Symbol.asyncDispose]: dispose } = closing(server);
  return { port: await listening(server), tunnels, [Symbol.asyncDispose]: dispose };
}
