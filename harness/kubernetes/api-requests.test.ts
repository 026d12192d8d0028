import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { apiRequests } from './api-requests.ts';

let server: Server;
let seen: string[];
let kubeConfig: KubeConfig;

beforeEach(async () => {
  seen = [];
  server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.authorization ?? 'anonymous'}`);
    response.end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  kubeConfig = new KubeConfig();
  kubeConfig.loadFromClusterAndUser(
    {
      name: 'c',
      server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      skipTLSVerify: true,
    },
    { name: 'harness', token: 'of-this-test' },
  );
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

test('requests carry the credentials of the kubeconfig, or none, and go through the proxies of Services and pods', async () => {
  const requests = apiRequests(kubeConfig);
  await requests.request('/version');
  await requests.requestWithoutCredentials('/version', { method: 'POST', body: '{}' });
  await requests.serviceFetch('agents', 'models', 80, '/v1');
  await requests.podFetch('agents', 'probe', 8080, '/healthz');
  expect(seen).toEqual([
    'GET /version Bearer of-this-test',
    'POST /version anonymous',
    'GET /api/v1/namespaces/agents/services/models:80/proxy/v1 Bearer of-this-test',
    'GET /api/v1/namespaces/agents/pods/probe:8080/proxy/healthz Bearer of-this-test',
  ]);
});

test('a kubeconfig without a current context is a harness error', () => {
  expect(() => apiRequests(new KubeConfig())).toThrow('no current context');
});
