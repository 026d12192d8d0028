import { once } from 'node:events';
import { createServer, request as httpsRequest, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { makePki } from '../../core/pki.ts';
import { startTargetProxy, type TargetProxy } from './target-proxy.ts';

/** An API server of a few lines: what a proxy passes on is seen as it arrives. */
function fakeApiServer(tls: { cert: string; key: string }): Server {
  let answers = 0;
  const server = createServer(tls, (request, response) => {
    const url = new URL(request.url ?? '/', 'http://api');
    if (url.searchParams.get('watch') === 'true') {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{"type":"ADDED","object":{}}\n');
      return;
    }
    if (url.pathname.endsWith('/log')) {
      response.writeHead(200, { 'content-type': 'text/plain' });
      response.end('one\ntwo\nthree\n');
      return;
    }
    text(request).then((body) => {
      response.writeHead(url.pathname.endsWith('/secrets') ? 403 : 200, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({ authorization: request.headers.authorization, body, message: 'no', answers: answers++ }),
      );
    });
  });
  server.on('upgrade', (request, socket) => {
    if (request.url?.includes('refused')) {
      socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno');
      return;
    }
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: ${request.headers.upgrade}\r\n\r\n`,
    );
    socket.pipe(socket);
  });
  return server;
}

const TOKEN = `eyJhbGciOiJub25lIn0.${Buffer.from('{"sub":"system:serviceaccount:a:runner"}').toString('base64url')}.c2ln`;

describe('the recording proxy', () => {
  let server: Server;
  let proxy: TargetProxy;
  let ca: string;

  beforeEach(async () => {
    const pki = await makePki('test');
    ca = pki.ca;
    const tls = await pki.issue('127.0.0.1');
    server = fakeApiServer(tls);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const certificate = Buffer.from(ca).toString('base64');
    proxy = await startTargetProxy({
      kubeConfig: stringify({
        'current-context': 'x',
        clusters: [
          {
            name: 'x',
            cluster: { server: `https://127.0.0.1:${port}`, 'certificate-authority-data': certificate },
          },
        ],
        users: [{ name: 'x', user: { token: 'the harness’s own' } }],
        contexts: [{ name: 'x', context: { cluster: 'x', user: 'x' } }],
      }),
      tls,
      hosts: ['127.0.0.1'],
    });
  });

  afterEach(async () => {
    await proxy.close();
    server.closeAllConnections();
    server.close();
  });

  function send(method: string, path: string, headers: Record<string, string> = {}, body?: string) {
    const request = httpsRequest({
      ...proxy.addresses[0],
      ca,
      method,
      path,
      agent: false,
      headers: { authorization: `Bearer ${TOKEN}`, ...headers },
    });
    // A connection that is reset fails both the request and its answer.
    request.on('error', () => undefined);
    request.end(body);
    return request;
  }

  async function ask(method: string, path: string, body?: string) {
    const [response] = await once(send(method, path, {}, body), 'response');
    return { status: response.statusCode as number, headers: response.headers, body: await text(response) };
  }

  const records = () => proxy.records().records;
  const JOBS = '/apis/batch/v1/namespaces/a/jobs';

  it('puts containers into what is created, as a webhook would, and passes what is no JSON', async () => {
    proxy.setFaults([{ kind: 'inject-containers', resources: ['jobs'], containers: [{ name: 'mesh' }] }]);
    const job = { spec: { template: { spec: { containers: [{ name: 'agent' }] } } } };
    const sent = async (path: string, type: string, body: object): Promise<unknown> => {
      const request = send('POST', path, { 'content-type': type }, JSON.stringify(body));
      const [response] = await once(request, 'response');
      return JSON.parse((JSON.parse(await text(response)) as { body: string }).body);
    };
    expect(await sent(JOBS, 'application/json', job)).toEqual({
      spec: { template: { spec: { containers: [{ name: 'mesh' }, { name: 'agent' }] } } },
    });
    expect(await sent(JOBS, 'application/vnd.kubernetes.protobuf', job)).toEqual(job);
    expect(await sent('/api/v1/namespaces/a/configmaps', 'application/json', job)).toEqual(job);
    expect(records().map(({ fault }) => fault)).toEqual(['inject-containers', undefined, undefined]);
  });

  it('passes the target’s own credentials and bodies on, and records what was asked', async () => {
    const answer = await ask('POST', JOBS, '{"kind":"Job"}');
    expect(JSON.parse(answer.body)).toMatchObject({ authorization: `Bearer ${TOKEN}`, body: '{"kind":"Job"}' });
    expect((await ask('GET', '/api/v1/namespaces/a/secrets?labelSelector=x%3Dy')).status).toBe(403);
    expect(records()).toMatchObject([
      {
        user: 'system:serviceaccount:a:runner',
        verb: 'create',
        group: 'batch',
        version: 'v1',
        resource: 'jobs',
        namespace: 'a',
        code: 200,
        bytes: answer.body.length,
      },
      { verb: 'list', group: '', version: 'v1', resource: 'secrets', code: 403, labelSelector: 'x=y', message: 'no' },
    ]);
    expect(JSON.stringify(records())).not.toContain('c2ln');
  });

  it('passes upgrades on, both ways, and their refusals', async () => {
    const upgrade = { connection: 'Upgrade', upgrade: 'websocket' };
    const request = send('GET', '/api/v1/namespaces/a/pods/p/exec?command=true', upgrade);
    const [response, socket] = await once(request, 'upgrade');
    expect(response.statusCode).toBe(101);
    socket.write('ping');
    expect(String((await once(socket, 'data'))[0])).toBe('ping');
    socket.destroy();
    const [refusal] = await once(send('GET', '/api/v1/namespaces/a/pods/refused/exec', upgrade), 'response');
    expect(refusal.statusCode).toBe(403);
    expect(await text(refusal)).toBe('no');
    expect(records()).toMatchObject([
      { verb: 'get', resource: 'pods', subresource: 'exec', name: 'p', code: 101, upgrade: 'websocket', bytes: 4 },
      { code: 403 },
    ]);
    expect(records()[1]).not.toHaveProperty('upgrade');
  });

  it('answers 429 so often as asked, and only where asked', async () => {
    proxy.setFaults([{ kind: 'too-many-requests', resources: ['jobs'], times: 1, seconds: 7 }]);
    expect((await ask('GET', '/version')).status).toBe(200);
    const busy = await ask('GET', JOBS);
    expect(busy.status).toBe(429);
    expect(busy.headers['retry-after']).toBe('7');
    expect((await ask('GET', JOBS)).status).toBe(200);
    expect(records().map(({ fault }) => fault)).toEqual([undefined, 'too-many-requests', undefined]);
  });

  it('answers 500 for a time', async () => {
    proxy.setFaults([{ kind: 'server-error', verbs: ['list'], forSeconds: 0.2 }]);
    expect((await ask('GET', JOBS)).status).toBe(500);
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect((await ask('GET', JOBS)).status).toBe(200);
  });

  it('delays', async () => {
    proxy.setFaults([{ kind: 'latency', seconds: 0.2 }]);
    const begun = performance.now();
    expect((await ask('GET', JOBS)).status).toBe(200);
    expect(performance.now() - begun).toBeGreaterThan(190);
  });

  async function watch(query = '') {
    const [response] = await once(send('GET', `${JOBS}?watch=true${query}`), 'response');
    expect(String((await once(response, 'data'))[0])).toContain('ADDED');
    return response;
  }

  it('cuts an open watch, in the middle or as if it were whole', async () => {
    const first = await watch();
    proxy.setFaults([{ kind: 'cut-watch', times: 1 }]);
    await expect(text(first)).rejects.toThrow('aborted');
    const second = await watch();
    proxy.setFaults([{ kind: 'cut-watch', times: 1, clean: true }]);
    await expect(text(second)).resolves.toBe('');
    expect(records().map(({ fault }) => fault)).toEqual(['cut-watch', 'cut-watch']);
  });

  it('cuts the watches that are opened while the fault lasts', async () => {
    proxy.setFaults([{ kind: 'cut-watch', seconds: 0.05 }]);
    await expect(text(await watch())).rejects.toThrow('aborted');
  });

  it('says 410 in an open watch, to one that begins at a version, and to a list that continues', async () => {
    const open = await watch();
    proxy.setFaults([{ kind: 'expired', times: 1 }]);
    expect(JSON.parse(await text(open))).toMatchObject({ type: 'ERROR', object: { code: 410, reason: 'Expired' } });
    proxy.setFaults([{ kind: 'expired' }]);
    const again = await ask('GET', `${JOBS}?watch=true&resourceVersion=5`);
    expect(JSON.parse(again.body)).toMatchObject({ type: 'ERROR', object: { code: 410 } });
    expect((await ask('GET', `${JOBS}?limit=1&continue=abc`)).status).toBe(410);
    expect((await ask('GET', JOBS)).status).toBe(200);
  });

  it('cuts a log in the middle', async () => {
    const log = '/api/v1/namespaces/a/pods/p/log?follow=true';
    proxy.setFaults([{ kind: 'cut-log', bytes: 5, times: 2, clean: true }]);
    expect((await ask('GET', log)).body).toBe('one\nt');
    proxy.setFaults([{ kind: 'cut-log', bytes: 5, times: 1 }]);
    await expect(ask('GET', log)).rejects.toThrow('aborted');
    proxy.setFaults([{ kind: 'cut-log', within: 'two', times: 1, clean: true }]);
    expect((await ask('GET', log)).body).toBe('one\nt');
    expect((await ask('GET', log)).body).toBe('one\ntwo\nthree\n');
  });

  it('says again what it said first, to who reads the same', async () => {
    const answersOf = async (method: string, path: string): Promise<number> =>
      JSON.parse((await ask(method, path)).body).answers;
    proxy.setFaults([{ kind: 'stale', resources: ['jobs'] }]);
    const first = await answersOf('GET', JOBS);
    expect(await answersOf('GET', `${JOBS}/one`)).toBe(first + 1);
    expect(await answersOf('POST', JOBS)).toBe(first + 2);
    expect(await answersOf('GET', '/api/v1/namespaces/a/pods')).toBe(first + 3);
    expect(await answersOf('GET', JOBS)).toBe(first);
    expect(await answersOf('GET', `${JOBS}/one`)).toBe(first + 1);
    proxy.setFaults([]);
    expect(await answersOf('GET', JOBS)).toBe(first + 4);
    expect(records().flatMap(({ fault, name }) => (fault === undefined ? [] : [[fault, name]]))).toEqual([
      ['stale', undefined],
      ['stale', 'one'],
    ]);
  });

  it('is gone for a while: open connections are reset, new ones are refused', async () => {
    const open = await watch();
    proxy.setFaults([{ kind: 'outage', forSeconds: 0.3 }]);
    await expect(text(open)).rejects.toThrow();
    await expect(ask('GET', JOBS)).rejects.toThrow(/ECONNREFUSED/);
    await new Promise((resolve) => setTimeout(resolve, 350));
    expect((await ask('GET', JOBS)).status).toBe(200);
    expect(records().map(({ fault }) => fault)).toEqual(['outage', undefined]);
  });

  it('is there again when the fault is taken back', async () => {
    proxy.setFaults([{ kind: 'outage' }]);
    await expect(ask('GET', JOBS)).rejects.toThrow(/ECONNREFUSED/);
    proxy.setFaults([]);
    expect((await ask('GET', JOBS)).status).toBe(200);
  });

  it('resets so many new connections', async () => {
    proxy.setFaults([{ kind: 'outage', times: 1 }]);
    await expect(ask('GET', JOBS)).rejects.toThrow(/ECONNRESET|socket/);
    expect((await ask('GET', JOBS)).status).toBe(200);
  });

  it('does not take a broken answer for a whole one', async () => {
    const open = await watch();
    server.closeAllConnections();
    await expect(text(open)).rejects.toThrow('aborted');
  });
});
