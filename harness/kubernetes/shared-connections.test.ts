import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makePki } from '../core/pki.ts';
import { SharedConnections } from './shared-connections.ts';

let server: Server;
let connections = 0;
let cluster: { name: string; server: string; caData: string; caFile?: string };

const base64 = (text: string): string => Buffer.from(text).toString('base64');

beforeEach(async () => {
  const pki = await makePki('test');
  const { cert, key } = await pki.issue('localhost', { ips: ['127.0.0.1'] });
  connections = 0;
  server = createServer({ cert, key }, (_, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ kind: 'Namespace', apiVersion: 'v1', metadata: { name: 'one' } }));
  });
  server.on('secureConnection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  cluster = { name: 'c', server: `https://127.0.0.1:${port}`, caData: base64(pki.ca) };
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const REQUESTS = 6;

/** Makes some requests, one after another. @returns how many connections they took */
async function readRepeatedly(config: KubeConfig, user: object = {}): Promise<number> {
  config.loadFromClusterAndUser({ ...cluster, skipTLSVerify: false }, { name: 'harness', token: 't', ...user });
  const core = config.makeApiClient(CoreV1Api);
  for (let count = 0; count < REQUESTS; count += 1) {
    await core.readNamespace({ name: 'one' });
  }
  return connections;
}

test('requests one after another share connections; by itself the client opens one for each', async () => {
  // A connection is not used again at once, so that a second one is opened.
  expect(await readRepeatedly(new SharedConnections())).toBeLessThanOrEqual(2);
  connections = 0;
  const why = 'where this fails, SharedConnections is not needed any more';
  expect(await readRepeatedly(new KubeConfig()), why).toBe(REQUESTS);
});

test('requests at the same time have a connection each', async () => {
  const config = new SharedConnections();
  config.loadFromClusterAndUser({ ...cluster, skipTLSVerify: false }, { name: 'harness', token: 't' });
  const core = config.makeApiClient(CoreV1Api);
  await Promise.all([core.readNamespace({ name: 'one' }), core.readNamespace({ name: 'one' })]);
  expect(connections).toBe(2);
});

test('credentials of a plugin may change: its requests share nothing', async () => {
  const token = { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status: { token: 't' } };
  const exec = {
    apiVersion: token.apiVersion,
    command: process.execPath,
    args: ['--eval', `console.log(${JSON.stringify(JSON.stringify(token))})`],
  };
  expect(await readRepeatedly(new SharedConnections(), { exec })).toBe(REQUESTS);
});
