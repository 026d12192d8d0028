import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type OutgoingHttpHeaders } from 'node:http';
import { type AgentOptions, Agent as HttpsAgent, request as httpsRequest, type RequestOptions } from 'node:https';
import { isIP, type Socket } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import { type ConnectionOptions, TLSSocket, connect as tlsConnect } from 'node:tls';
import { type Dispatcher, Agent as UndiciAgent } from 'undici';
import { UsageError } from '../../../core/errors.ts';
import { publicAuthorities } from './authorities.ts';
import type { ClusterEntry } from './file.ts';
import { dial, proxyFor } from './proxy.ts';

/** A request to the API server; its path is below the server's URL. */
export interface UpstreamRequest {
  method: string;
  path: string;
  headers: OutgoingHttpHeaders;
  /** Of the connection; without one nobody in particular connects. */
  certificate?: { cert: string; key: string };
  /** By a connection of its own: none that was idle, and may be closed under the request. */
  ownConnection?: boolean;
}

/**
 * The way to an API server, as kubectl takes it: through a proxy or not, with the trust of the kubeconfig, or to plain
 * http.
 */
export interface Upstream {
  /** URL of the API server, without a slash at its end. */
  readonly server: string;
  /** The proxy on the way. */
  readonly proxy: URL | undefined;
  /** What the server's certificate has to be issued by, PEM; empty where the public authorities count. */
  readonly ca: string;
  /** The caller ends it. Errors of the way come as its `error` event. */
  request(options: UpstreamRequest): ClientRequest;
  /**
   * The same by HTTP/2, where the server speaks it.
   *
   * @param signal by which the caller gives up
   */
  exchange(options: UpstreamRequest, body: Buffer | Readable, signal: AbortSignal): Promise<UpstreamAnswer>;
  close(): void;
}

export interface UpstreamAnswer {
  statusCode: number;
  headers: Record<string, string | string[] | undefined>;
  body: Readable;
  isHttp2: boolean;
}

/**
 * Idle connections to the API server are given up before it does so: one that is closed under a request would look like
 * a fault.
 */
const IDLE_MS = 5_000;

type Created = (error: Error | null, stream: Duplex) => void;

const bare = (host: string): string => host.replace(/^\[|\]$/g, '');

function authorityOf(cluster: ClusterEntry): string | undefined {
  const data = cluster['certificate-authority-data'];
  if (data !== undefined) {
    return withCertificate(Buffer.from(data, 'base64').toString(), 'the certificate-authority-data');
  }
  const file = cluster['certificate-authority'];
  if (file === undefined) {
    return undefined;
  }
  return withCertificate(readAuthority(file), `the certificate-authority ${file}`);
}

function withCertificate(text: string, what: string): string {
  if (!text.includes('-----BEGIN CERTIFICATE-----')) {
    throw new UsageError(`${what} of the kubeconfig holds no certificate (PEM)`);
  }
  return text;
}

function readAuthority(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(
      `the certificate-authority ${file} of the kubeconfig cannot be read: ${error instanceof Error ? error.message : error}`,
    );
  }
}

/**
 * @param env where HTTPS_PROXY, HTTP_PROXY and NO_PROXY stand
 * @throws UsageError for a proxy or an authority that cannot be used
 */
export function createUpstream(
  cluster: ClusterEntry & { server: string },
  env: NodeJS.ProcessEnv = process.env,
): Upstream {
  const url = new URL(cluster.server);
  const secure = url.protocol === 'https:';
  const host = bare(url.hostname);
  const port = Number(url.port || (secure ? 443 : 80));
  const prefix = url.pathname.replace(/\/+$/, '');
  const proxy = proxyFor(url, cluster['proxy-url'], env);
  const ca = authorityOf(cluster);
  const servername = cluster['tls-server-name'] ?? (isIP(host) === 0 ? host : undefined);
  const trust: ConnectionOptions = {
    ca: ca ?? publicAuthorities(),
    ...(servername === undefined ? {} : { servername }),
    ...(cluster['insecure-skip-tls-verify'] === true ? { rejectUnauthorized: false } : {}),
    // Watches, exec and port-forward are HTTP/1.1 here.
    ALPNProtocols: ['http/1.1'],
  };
  const open = (): Promise<Socket> => dial(host, port, { proxy, ca: ca === undefined ? [] : [ca] });

  class Http extends HttpAgent {
    override createConnection(_: unknown, created?: Created): undefined {
      open().then(
        (socket) => created?.(null, socket),
        (error: Error) => created?.(error, undefined as unknown as Duplex),
      );
    }
  }
  class Https extends HttpsAgent {
    readonly #certificate: { cert: string; key: string } | undefined;
    constructor(options: AgentOptions, certificate: { cert: string; key: string } | undefined) {
      super(options);
      this.#certificate = certificate;
    }
    override createConnection(_: RequestOptions, created?: Created): undefined {
      open().then(
        (socket) => created?.(null, tlsConnect({ ...trust, ...this.#certificate, host, socket })),
        (error: Error) => created?.(error, undefined as unknown as Duplex),
      );
    }
  }
  // One for whoever connects: a connection with a certificate must not carry the requests of somebody else.
  const agents = new Map<string, HttpAgent>();
  const agentOf = ({ certificate, ownConnection = false }: UpstreamRequest): HttpAgent => {
    const key = `${ownerOf(certificate)} ${ownConnection}`;
    const known = agents.get(key);
    if (known !== undefined) {
      return known;
    }
    const options = ownConnection ? { keepAlive: false } : { keepAlive: true, timeout: IDLE_MS };
    const agent = secure ? new Https(options, certificate) : new Http(options);
    agents.set(key, agent);
    return agent;
  };
  const ask = secure ? httpsRequest : httpRequest;
  const http2 = new Map<string, Http2Way>();
  const http2Of = ({ certificate }: UpstreamRequest): Http2Way => {
    const owner = ownerOf(certificate);
    const known =
      http2.get(owner) ??
      http2Way(async () => {
        const socket = await open();
        return secure
          ? tlsConnect({ ...trust, ...certificate, host, socket, ALPNProtocols: ['h2', 'http/1.1'] })
          : socket;
      });
    http2.set(owner, known);
    return known;
  };
  return {
    server: cluster.server.replace(/\/+$/, ''),
    proxy,
    ca: ca ?? '',
    request: (options) =>
      ask({
        host,
        port,
        method: options.method,
        path: prefix + options.path,
        headers: { ...options.headers, host: url.host },
        agent: agentOf(options),
      }),
    async exchange(options, body, signal) {
      const { agent, isHttp2 } = http2Of(options);
      const answer = await agent.request({
        origin: url.origin,
        method: options.method as Dispatcher.HttpMethod,
        path: prefix + options.path,
        headers: options.headers as Record<string, string | string[]>,
        body,
        signal,
      });
      return { ...answer, isHttp2: isHttp2() };
    },
    close() {
      for (const agent of agents.values()) {
        agent.destroy();
      }
      for (const { agent } of http2.values()) {
        void agent.destroy();
      }
    },
  };
}

function ownerOf(certificate: UpstreamRequest['certificate']): string {
  return certificate === undefined ? '' : createHash('sha256').update(certificate.cert).digest('hex');
}

interface Http2Way {
  agent: UndiciAgent;
  /** Whether the server speaks HTTP/2, once it has answered. */
  isHttp2(): boolean;
}

/** @param connect opens a connection, which is not yet secured */
function http2Way(connect: () => Promise<Socket | TLSSocket>): Http2Way {
  let isHttp2 = false;
  const agent = new UndiciAgent({
    allowH2: true,
    // Whoever asks says how long.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect(_, connected) {
      connect().then(
        (socket) => {
          if (!(socket instanceof TLSSocket)) {
            connected(null, socket);
            return;
          }
          const failed = (error: Error): void => connected(error, null);
          socket.once('error', failed);
          socket.once('secureConnect', () => {
            socket.removeListener('error', failed);
            isHttp2 = socket.alpnProtocol === 'h2';
            connected(null, socket);
          });
        },
        (error: Error) => connected(error, null),
      );
    },
  });
  return { agent, isHttp2: () => isHttp2 };
}
