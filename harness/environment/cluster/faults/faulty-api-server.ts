import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { type Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { stringify } from 'yaml';
import { close, listen } from '../../../../fixtures/workloads/lib/http.ts';
import { HarnessError } from '../../../core/errors.ts';
import type { ClusterData } from '../../../kubernetes/cluster-data.ts';
import { type ClusterHandle, createClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import type { Answer, Exchange, Fault } from './api-faults/exchange.ts';
import { FAULTS } from './api-faults/index.ts';

/**
 * A faulty API server, for twins of the role cluster: a proxy on loopback in front of the real one.
 * Whoever comes without credentials gets the harness's own, as a kubeconfig with a client certificate would have it.
 */
export interface FaultyApiServer {
  /** Kubeconfig that leads through the proxy. */
  kubeConfig: string;
  close(): Promise<void>;
}

/** Headers of a caller that the API server gets as they are. */
const FORWARDED = ['authorization', 'content-type', 'accept', 'impersonate-user', 'impersonate-group'];

const JSON_TYPE = 'application/json';

/**
 * Starts an API server with one of the faults.
 *
 * @throws HarnessError for a fault that does not exist, with those that do
 */
export async function startFaultyApiServer(cluster: ClusterData, faultName: string): Promise<FaultyApiServer> {
  const fault = FAULTS[faultName]?.();
  if (fault === undefined) {
    const known = Object.keys(FAULTS).join(', ');
    throw new HarnessError(`no fault of the API server is called ${faultName}; there are ${known}`);
  }
  const proxy = new FaultProxy(createClusterHandle(cluster), fault);
  const server = createServer((request, response) => {
    proxy.forward(request, response).catch(() => response.destroy());
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    socket.on('error', () => socket.destroy());
    proxy.answerUpgrade(request, socket).catch(() => socket.destroy());
  });
  const port = await listen(server, 0, '127.0.0.1');
  return {
    kubeConfig: stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'proxy',
      clusters: [{ name: 'proxy', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'proxy', user: {} }],
      contexts: [{ name: 'proxy', context: { cluster: 'proxy', user: 'proxy' } }],
    }),
    close: () => close(server),
  };
}

/** Sends requests on to the real API server; those that its fault concerns are the fault's to answer. */
class FaultProxy {
  readonly #handle: ClusterHandle;
  readonly #fault: Fault;

  constructor(handle: ClusterHandle, fault: Fault) {
    this.#handle = handle;
    this.#fault = fault;
  }

  async forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const exchange = exchangeOf(request, await readAll(request));
    if (!this.#fault.concerns(exchange)) {
      await this.#stream(exchange, response);
      return;
    }
    const { status, body } = await this.#fault.answer(exchange, (changed) => this.#sendWhole(changed));
    response.writeHead(status, { 'content-type': JSON_TYPE }).end(body);
  }

  /** Nothing is streamed over an upgraded connection: the upgrade is granted or refused, and the connection closed. */
  async answerUpgrade(request: IncomingMessage, socket: Duplex): Promise<void> {
    const exchange = exchangeOf(request, Buffer.alloc(0));
    const asked = { ...exchange, headers: { ...exchange.headers, upgrade: request.headers.upgrade ?? '' } };
    // The upgrade itself is not forwarded.
    const sendPlain = ({ headers: { upgrade: _upgrade, ...headers }, ...rest }: Exchange): Promise<Answer> =>
      this.#sendWhole({ ...rest, headers });
    const { status, body } = this.#fault.concerns(asked)
      ? await this.#fault.answer(asked, sendPlain)
      : await sendPlain(asked);
    const fields =
      status === 101
        ? ['connection: upgrade', 'upgrade: websocket']
        : ['connection: close', `content-type: ${JSON_TYPE}`, `content-length: ${body.length}`];
    socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${fields.join('\r\n')}\r\n\r\n${body.toString('utf8')}`,
    );
  }

  async #stream(exchange: Exchange, response: ServerResponse): Promise<void> {
    const real = await this.#send(exchange);
    response.writeHead(real.status, { 'content-type': real.headers.get('content-type') ?? JSON_TYPE });
    // A stream may be silent for long: the caller learns at once that it is open.
    response.flushHeaders();
    if (real.body === null) {
      response.end();
    } else {
      await pipeline(Readable.fromWeb(real.body), response);
    }
  }

  async #sendWhole(exchange: Exchange): Promise<Answer> {
    const real = await this.#send(exchange);
    return { status: real.status, body: Buffer.from(await real.arrayBuffer()) };
  }

  #send({ method, path, headers, body }: Exchange): ReturnType<ClusterHandle['request']> {
    const init = { method, headers, ...(body.length === 0 ? {} : { body }) };
    return headers.authorization === undefined
      ? this.#handle.request(path, init)
      : this.#handle.requestWithoutCredentials(path, init);
  }
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function exchangeOf(request: IncomingMessage, body: Buffer): Exchange {
  return {
    method: request.method ?? 'GET',
    path: request.url ?? '/',
    headers: Object.fromEntries(
      FORWARDED.flatMap((name) => {
        const value = request.headers[name];
        return typeof value === 'string' ? [[name, value]] : [];
      }),
    ),
    body,
  };
}
