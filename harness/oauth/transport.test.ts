import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import { afterAll, expect, test, vi } from 'vitest';
import { Resolver } from '../core/resolver.ts';
import { getText, postForm, Unreachable } from './transport.ts';

const { fetch, close } = (() => {
  const resolver = new Resolver({ routes: {}, ca: '' });
  return { fetch: resolver.fetch, close: () => resolver.close() };
})();
const servers: ReturnType<typeof createServer>[] = [];
afterAll(async () => {
  for (const server of servers) {
    server.close();
  }
  await close();
});

/** A server that treats every request in one way, as soon as the first bytes of it have come. */
async function serve(treat: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => treat(socket));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
}

const FORM = new URLSearchParams({ grant_type: 'client_credentials' });
const head = (length: number, more = ''): string => `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n${more}\r\n`;

test.for<[string, (socket: Socket) => void, RegExp]>([
  ['ends the connection', (socket) => socket.end(), /^it ended the connection \(UND_ERR_SOCKET/],
  ['resets it', (socket) => socket.resetAndDestroy(), /^it ended the connection \(ECONNRESET/],
  ['answers half a body', (socket) => socket.end(`${head(99)}{"a`), /^its answer \(200\) is not complete: it ended/],
  [
    'answers half a chunk',
    (socket) => socket.end('HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a'),
    /^its answer \(400\) is not complete/,
  ],
  ['answers half a header', (socket) => socket.end('HTTP/1.1 200 OK\r\nCont'), /^it ended the connection/],
  ['answers no HTTP', (socket) => socket.end('SSH-2.0-x\r\n'), /^its answer is not HTTP/],
  ['answers a status that is none', (socket) => socket.end('HTTP/1.1 2x0 OK\r\n\r\n'), /^its answer is not HTTP/],
  ['switches protocols', (socket) => socket.end('HTTP/1.1 101 Switching\r\n\r\n'), /another protocol/],
  ['lies about gzip', (socket) => socket.end(`${head(2, 'Content-Encoding: gzip\r\n')}{}`), /Content-Encoding says/],
  [
    'answers without an end',
    (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      const more = (): void => {
        while (socket.writable && socket.write('x'.repeat(65_536))) {}
      };
      socket.on('drain', more);
      more();
    },
    /^its answer \(200\) is longer than 1024 KiB/,
  ],
])('an endpoint that %s gave no answer, and that is reported', async ([, treat, unanswered]) => {
  expect(await postForm(fetch, await serve(treat), FORM)).toEqual({ unanswered: expect.stringMatching(unanswered) });
});

test('a byte order mark is no part of the text, and is told', async () => {
  const url = await serve((socket) => socket.end(`${head(5)}\uFEFF{}`));
  expect(await postForm(fetch, url, FORM)).toMatchObject({ status: 200, text: '{}', hasByteOrderMark: true });
});

test('an endpoint that aborts the TLS handshake gave no answer', async () => {
  const plain = await serve((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  const alert = await serve((socket) => socket.end(Buffer.from([0x15, 3, 3, 0, 2, 2, 40])));
  for (const url of [plain, alert]) {
    expect(await postForm(fetch, url.replace('http:', 'https:'), FORM)).toEqual({
      unanswered: expect.stringMatching(/^it aborted the TLS handshake/),
    });
  }
});

test('an endpoint that sends nothing gave no answer by the deadline', async () => {
  vi.spyOn(AbortSignal, 'timeout').mockImplementationOnce(() => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new DOMException('over', 'TimeoutError')), 50);
    return controller.signal;
  });
  expect(await postForm(fetch, await serve(() => undefined), FORM)).toEqual({
    unanswered: 'there was no complete answer within 30 s',
    timedOut: true,
  });
});

test('an early answer to a long request is an answer', async () => {
  const url = await serve((socket) => {
    socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}');
    socket.destroySoon();
  });
  const long = new URLSearchParams({ assertion: 'A'.repeat(1_048_576) });
  expect(await postForm(fetch, url, long)).toMatchObject({ status: 413, text: '{}' });
});

test('no connection is asked for twice, so that one that was closed in the meantime is not met', async () => {
  let connections = 0;
  const url = await serve((socket) => {
    connections += 1;
    socket.end(`${head(2)}{}`);
  });
  for (let count = 0; count < 20; count += 1) {
    expect(await postForm(fetch, url, FORM)).toMatchObject({ status: 200 });
  }
  expect(connections).toBe(20);
});

test('a document is got where a redirect leads to; a form goes nowhere else', async () => {
  const there = await serve((socket) => socket.end(`${head(2)}{}`));
  const here = await serve((socket) => {
    socket.end(`HTTP/1.1 307 Temporary Redirect\r\nLocation: ${there}\r\nContent-Length: 0\r\n\r\n`);
  });
  expect(await getText(fetch, here)).toMatchObject({ status: 200, text: '{}' });
  expect(await postForm(fetch, here, FORM)).toMatchObject({ status: 307, text: '' });
});

test('what cannot be reached is no finding about the endpoint', async () => {
  const url = await serve(() => undefined);
  const server = servers.at(-1);
  await new Promise((resolve) => server?.close(resolve));
  await expect(postForm(fetch, url, FORM)).rejects.toThrow(Unreachable);
  await expect(postForm(fetch, 'https://idp.invalid/token', FORM)).rejects.toThrow(/cannot be reached \(E/);
});

test('who asks can stop it', async () => {
  const controller = new AbortController();
  const url = await serve(() => controller.abort(new Error('over')));
  await expect(postForm(fetch, url, FORM, { signal: controller.signal })).rejects.toThrow('over');
});
