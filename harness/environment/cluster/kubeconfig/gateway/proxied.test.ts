import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { afterEach, expect, test } from 'vitest';
import { HarnessError } from '../../../../core/errors.ts';
import { makePki } from '../../../../core/pki.ts';
import { type ApiRequests, apiRequests } from '../../../../kubernetes/api-requests.ts';
import { startGateway } from '../gateway.ts';
import { createUpstream } from '../upstream.ts';

type Handler = (
  request: IncomingMessage | Http2ServerRequest,
  response: (ServerResponse | Http2ServerResponse) & NodeJS.WritableStream,
) => void;

const PROXIED = '/api/v1/namespaces/n/services/s:80/proxy/tasks';
const closing: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) {
    await close();
  }
});

/** Requests through a gateway to an API server that is played by a handler, by HTTP/2 or without it. */
async function throughGateway(handler: Handler, options: { http2: boolean }): Promise<ApiRequests> {
  const pki = await makePki('test');
  const identity = await pki.issue('localhost', { ips: ['127.0.0.1'] });
  const server = options.http2
    ? createSecureServer({ ...identity, allowHTTP1: true }, handler as never)
    : createServer(identity, handler as never);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    for (const socket of sockets) {
      socket.destroy();
    }
    (server as Server).close();
  });
  const gateway = await startGateway({
    upstream: createUpstream({
      server: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
      'certificate-authority-data': Buffer.from(pki.ca).toString('base64'),
      'certificate-authority': undefined,
      'tls-server-name': undefined,
      'proxy-url': undefined,
      extensions: [],
    }),
    credentials: {
      form: 'token',
      present: async () => ({ headers: { authorization: 'Bearer of the user' } }),
      refused: () => undefined,
    },
    explain: String,
  });
  closing.push(() => gateway.close());
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromClusterAndUser(
    { name: 'c', server: gateway.url, skipTLSVerify: true },
    { name: 'harness', token: gateway.secret },
  );
  return apiRequests(kubeConfig);
}

/** Answers with what it was asked. */
const echo: Handler = async (request, response) => {
  let body = '';
  for await (const chunk of request) {
    body += chunk;
  }
  const { authorization, 'content-length': length } = request.headers;
  response.setHeader('content-type', 'application/json');
  response.end(
    JSON.stringify({
      version: request.httpVersion,
      method: request.method,
      url: request.url,
      authorization,
      length,
      body,
    }),
  );
};

/** Begins to answer and hangs up. */
const cut: Handler = (request, response) => {
  request.resume();
  response.setHeader('content-length', '8000');
  response.write('the beginning');
  setTimeout(() => request.socket.destroy(), 50);
};

test('a request with a body to a Service or pod is passed on by HTTP/2, and others are not', async () => {
  const { serviceFetch, request } = await throughGateway(echo, { http2: true });
  const asked = await serviceFetch('n', 's', 80, '/tasks', { method: 'POST', body: 'ä' });
  expect(asked.headers.get('via')).toBeNull();
  expect(await asked.json()).toEqual({
    version: '2.0',
    method: 'POST',
    url: PROXIED,
    authorization: 'Bearer of the user',
    length: '2',
    body: 'ä',
  });
  expect(await (await serviceFetch('n', 's', 80, '/tasks')).json()).toMatchObject({ version: '1.1', method: 'GET' });
  const made = await request('/api/v1/namespaces', { method: 'POST', body: '{}' });
  expect(await made.json()).toMatchObject({ version: '1.1', body: '{}' });
});

test('where the way speaks no HTTP/2, an answer that is whole is passed on', async () => {
  const { serviceFetch } = await throughGateway(echo, { http2: false });
  const asked = await serviceFetch('n', 's', 80, '/tasks', { method: 'POST', body: 'x' });
  expect(await asked.json()).toMatchObject({ version: '1.1', body: 'x', authorization: 'Bearer of the user' });
});

test('an answer that is cut there is a harness error: the API server’s proxy does that by itself', async () => {
  const { serviceFetch } = await throughGateway(cut, { http2: false });
  const asked = await serviceFetch('n', 's', 80, '/tasks', { method: 'POST', body: 'x' });
  expect(asked.status).toBe(200);
  const error: unknown = await asked.text().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(HarnessError);
  expect(String(error)).toMatch(/was cut, and the way to the API server speaks no HTTP\/2/);
});

test('an answer that is cut in spite of HTTP/2, or to a request without a body, was cut by whoever answered', async () => {
  const { serviceFetch } = await throughGateway(cut, { http2: true });
  const asked = await serviceFetch('n', 's', 80, '/tasks', { method: 'POST', body: 'x' });
  await expect(asked.text()).rejects.not.toBeInstanceOf(HarnessError);
  const read = await serviceFetch('n', 's', 80, '/tasks');
  await expect(read.text()).rejects.not.toBeInstanceOf(HarnessError);
});

test('who gives up waiting is told that, and not that an answer was cut', async () => {
  const { serviceFetch } = await throughGateway(
    (request, response) => {
      request.resume();
      response.write('the beginning');
    },
    { http2: false },
  );
  const patience = new AbortController();
  const { signal } = patience;
  const asked = await serviceFetch('n', 's', 80, '/tasks', { method: 'POST', body: 'x', signal });
  patience.abort(new DOMException('late', 'TimeoutError'));
  await expect(asked.text()).rejects.toMatchObject({ name: 'TimeoutError' });
});

test('a way that is gone is told as for any other request', async () => {
  const { serviceFetch } = await throughGateway((request) => request.socket.destroy(), { http2: true });
  const asked = await serviceFetch('n', 's', 80, '/tasks', { method: 'POST', body: 'x' });
  expect(asked.status).toBe(502);
  expect(await asked.json()).toMatchObject({ reason: 'NoWayToTheApiServer' });
});
