import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { V1SelfSubjectAccessReview } from '@kubernetes/client-node';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ClusterHandle, createClusterHandle } from '../kubernetes/cluster-handle.ts';
import { mayMakeQuotas, whileNoPodsAreMade } from './quotas.ts';

let server: Server;
/** What happened, in its order. */
let seen: string[];
let forbidden: string[];
/** The watch that is open. */
let watch: PromiseWithResolvers<ServerResponse>;

beforeEach(async () => {
  seen = [];
  forbidden = [];
  watch = Promise.withResolvers();
  server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://api');
    const answer = (code: number, body: object): void => {
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    if (pathname.endsWith('/selfsubjectaccessreviews')) {
      const { spec } = (await json(request)) as V1SelfSubjectAccessReview;
      return answer(201, { status: { allowed: !forbidden.includes(spec.resourceAttributes?.verb ?? '') } });
    }
    if (pathname === '/api/v1') {
      const resources = [{ name: 'resourcequotas', kind: 'ResourceQuota', namespaced: true, verbs: [] }];
      return answer(200, { kind: 'APIResourceList', groupVersion: 'v1', resources });
    }
    if (searchParams.get('watch') === 'true') {
      response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
      return watch.resolve(response);
    }
    seen.push(`${request.method} ${pathname.split('/').at(-1)}`);
    return answer(request.method === 'POST' ? 201 : 200, { kind: 'ResourceQuota', apiVersion: 'v1', metadata: {} });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  server.close();
  server.closeAllConnections();
});

function liveCluster(): ClusterHandle {
  const { port } = server.address() as AddressInfo;
  const kubeConfig = JSON.stringify({
    'current-context': 'x',
    clusters: [{ name: 'x', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'x', user: { token: 't' } }],
    contexts: [{ name: 'x', context: { cluster: 'x', user: 'x' } }],
  });
  return createClusterHandle({
    kind: 'kubeconfig',
    kubeConfig,
    issuer: '',
    apiAudiences: [],
    owned: false,
    workloadImage: 'image',
    resolver: { routes: {}, ca: '' },
  });
}

const act = async (): Promise<void> => {
  seen.push('act');
};

test('on a live cluster nothing is done before the quota is in force, and it is gone afterwards', async () => {
  const done = whileNoPodsAreMade(liveCluster(), 'n', act);
  const events = await watch.promise;
  const quota = { metadata: { name: 'conformance-no-room' } };
  events.write(`${JSON.stringify({ type: 'ADDED', object: quota })}\n`);
  seen.push('the quota is made');
  const status = { hard: { pods: '0' }, used: { pods: '0' } };
  events.write(`${JSON.stringify({ type: 'MODIFIED', object: { ...quota, status } })}\n`);
  expect(await done).toBe(true);
  expect(seen).toEqual(['POST resourcequotas', 'the quota is made', 'act', 'DELETE conformance-no-room']);
});

test.each(['create', 'watch', 'delete'])('who may not %s quotas makes none, and does not act', async (verb) => {
  forbidden = [verb];
  expect(await mayMakeQuotas(liveCluster(), 'n')).toBe(false);
  expect(await whileNoPodsAreMade(liveCluster(), 'n', act)).toBe(false);
  expect(seen).toEqual([]);
});
