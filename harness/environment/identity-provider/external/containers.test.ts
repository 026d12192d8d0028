import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { listenHttps } from '../../../fakes/https-listener.ts';
import { passTo, Turns } from './containers.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) {
    await close();
  }
});

/** What stands behind the listener in place of a container; gives the address in front. */
async function inFrontOf(behind: RequestListener, turns?: Turns): Promise<string> {
  const server = createServer(behind);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const mounts = { production: passTo('127.0.0.1', (server.address() as AddressInfo).port, turns) };
  const front = await listenHttps({ bindAddress: '127.0.0.1', port: 0, cert: '', key: '', plainHttp: true, mounts });
  closing.push(
    () => front.close(),
    () => new Promise((resolve) => server.close(resolve).closeAllConnections()),
  );
  return `http://127.0.0.1:${front.port}/production`;
}

test('a request reaches the container without the name of its provider, and says that it came by https', async () => {
  const url = await inFrontOf((request, response) => {
    const { host, 'x-forwarded-proto': proto, authorization } = request.headers;
    request.setEncoding('utf8').on('data', (body: string) => {
      response.writeHead(418, { 'cache-control': 'no-store' });
      response.end(JSON.stringify({ method: request.method, url: request.url, host, proto, authorization, body }));
    });
  });
  const response = await fetch(`${url}/oauth2/token?a=b`, {
    method: 'POST',
    body: 'grant_type=x',
    headers: { authorization: 'Basic eDp5' },
  });
  expect([response.status, response.headers.get('cache-control')]).toEqual([418, 'no-store']);
  expect(await response.json()).toEqual({
    method: 'POST',
    url: '/oauth2/token?a=b',
    host: new URL(url).host,
    proto: 'https',
    authorization: 'Basic eDp5',
    body: 'grant_type=x',
  });
});

test('a connection that the container ends is ended in front of it, too', async () => {
  const url = await inFrontOf((request) => request.socket.destroy());
  await expect(fetch(url)).rejects.toThrow('fetch failed');
});

test('an answer that the container aborts is aborted in front of it, too', async () => {
  const url = await inFrontOf((_, response) => {
    response.writeHead(200, { 'content-length': '99' }).write('{"a');
    setImmediate(() => response.destroy());
  });
  await expect(fetch(url).then((response) => response.text())).rejects.toThrow();
});

test('a container that takes one request at a time gets one at a time, whatever comes of each', async () => {
  let here = 0;
  let most = 0;
  let count = 0;
  const url = await inFrontOf((request, response) => {
    here += 1;
    most = Math.max(most, here);
    count += 1;
    const isThird = count % 3 === 0;
    setTimeout(() => {
      here -= 1;
      if (isThird) {
        request.socket.destroy();
      } else {
        response.end('{}');
      }
    }, 5);
  }, new Turns());
  const answers = await Promise.allSettled(Array.from({ length: 12 }, () => fetch(url)));
  expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(8);
  expect(most).toBe(1);
});
