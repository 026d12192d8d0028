import { createServer, type RequestListener, type Server } from 'node:http';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { close, listen } from '../../../../fixtures/workloads/lib/http.ts';
import { HarnessError } from '../../../core/errors.ts';
import { loadTarget } from '../../../targets/load.ts';
import { describeCall, isRefusal, isSuccess } from '../driver.ts';
import type { HttpTarget } from '../target.ts';
import { httpClient } from './http.ts';

const REFERENCE = fileURLToPath(
  new URL('../../../../fixtures/targets/session-managers/reference/target.yaml', import.meta.url),
);
const target = loadTarget(REFERENCE) as HttpTarget;
const signal = new AbortController().signal;

let server: Server | undefined;
afterEach(async () => {
  if (server !== undefined) {
    await close(server);
  }
});

async function client(answer: RequestListener) {
  server = createServer(answer);
  const address = `http://127.0.0.1:${await listen(server, 0, '127.0.0.1')}`;
  return httpClient({ target, address, values: { token: 'of-the-run' }, signal });
}

const GET = { name: 'a b/c', namespace: 'n' };

test('a call is made as the target file says, with what an authenticated caller sends', async () => {
  const seen: string[] = [];
  const calls = await client((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers['x-session-manager-token'] ?? 'nobody'}`);
    response.end('{"pod":{"metadata":{"name":"a"},"status":{"phase":"Running"}}}');
  });
  const call = await calls.call('getPod', GET);
  await calls.call('getPod', GET, { anonymous: true });
  expect(seen).toEqual([
    'GET /api/kubernetes/pods/a%20b%2Fc?namespace=n of-the-run',
    'GET /api/kubernetes/pods/a%20b%2Fc?namespace=n nobody',
  ]);
  expect(isSuccess(call)).toBe(true);
  expect(call.value).toEqual({ name: 'a', phase: 'Running' });
});

test('what an input has no value for is left out, and a value keeps its type', async () => {
  let body = '';
  const calls = await client((request, response) => {
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => response.writeHead(201).end('{"success":true}'));
  });
  await calls.call('createPod', { name: 'a', namespace: 'n', image: 'i', command: ['x', 'y z'] });
  expect(JSON.parse(body)).toEqual({ name: 'a', namespace: 'n', image: 'i', command: ['x', 'y z'] });
});

test('a list is read by its items, an empty one too', async () => {
  let pods: object[] = [{ name: 'a', phase: 'Running', ready: true }];
  const calls = await client((_request, response) => response.end(JSON.stringify({ pods })));
  const list = async () => (await calls.call('listPods', { namespace: 'n' })).value?.items;
  expect(await list()).toMatchObject([{ name: 'a', phase: 'Running', ready: true }]);
  pods = [];
  expect(await list()).toEqual([]);
});

test.each([
  [
    'HTML',
    '<html>',
    'text/html',
    /http\.operations\.getPod: the answer is text\/html and not JSON; is its path .* right\?/,
  ],
  [
    'another shape',
    '{"item":{}}',
    'application/json',
    /http\.operations\.getPod\.answer\.name: the answer has nothing at \/pod\/metadata\/name/,
  ],
])('an answer that is %s names the field of the target file', async (_, text, type, message) => {
  const calls = await client((_request, response) => response.setHeader('content-type', type).end(text));
  const call = await calls.call('getPod', GET);
  expect(call.unreadable).toMatch(message);
  expect(isSuccess(call)).toBe(false);
});

test('an error of a server that knows no such path names the field of the target file', async () => {
  let [type, body] = ['text/html', '<h1>Not Found</h1>'];
  const calls = await client((_request, response) => response.writeHead(404, { 'content-type': type }).end(body));
  const call = await calls.call('getPod', GET);
  expect(isRefusal(call)).toBe(true);
  expect(describeCall(call)).toMatch(
    /http\.operations\.getPod: 404 with text\/html, which is not JSON; are its method GET and its path .* right\?/,
  );
  [type, body] = ['application/json', '{"error":"Pod not found"}'];
  expect((await calls.call('getPod', GET)).hint).toBeUndefined();
});

test('why it is not ready yet: an error, nobody who listens, and 2xx', async () => {
  let status = 503;
  const calls = await client((_request, response) => response.writeHead(status).end());
  expect(await calls.whyNotReady()).toBe('it answered 503');
  status = 204;
  expect(await calls.whyNotReady()).toBeUndefined();
  const nobody = httpClient({ target, address: 'http://127.0.0.1:1', values: {}, signal });
  expect(await nobody.whyNotReady()).toMatch(/ECONNREFUSED|bad port/);
});

test('an error, a silence and a success that says no are told apart', async () => {
  let status = 404;
  const calls = await client((_request, response) => response.writeHead(status).end('{"error":"no"}'));
  const refused = await calls.call('getPod', GET);
  expect([isRefusal(refused), isSuccess(refused), refused.silence]).toEqual([true, false, undefined]);
  status = 200;
  expect(isRefusal(await calls.call('deletePod', GET))).toBe(false);
  const never = await client(() => undefined);
  const silent = await never.call('getPod', GET, { timeoutSeconds: 0.05 });
  expect([isRefusal(silent), isSuccess(silent), silent.silence]).toEqual([
    false,
    false,
    'no whole answer within 0.05 s',
  ]);
});

test('what the harness itself could not ask is no silence of the manager', async () => {
  const send = (): Promise<never> => Promise.reject(new HarnessError('the answer was cut on the way'));
  const calls = httpClient({ target, address: 'http://manager', values: { token: 't' }, send, signal });
  await expect(calls.call('getPod', GET)).rejects.toThrow(HarnessError);
});

test('an endless answer ends at the time limit', async () => {
  const calls = await client((_request, response) => {
    const timer = setInterval(() => response.write('x'.repeat(1024)), 5);
    response.on('close', () => clearInterval(timer));
  });
  const call = await calls.call('getPod', GET, { timeoutSeconds: 0.1 });
  expect(call).toMatchObject({ silence: 'no whole answer within 0.1 s', late: true });
});
