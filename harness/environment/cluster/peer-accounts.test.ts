import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HarnessError, NotTestable } from '../../core/errors.ts';
import { RUN_OBJECT_LABEL } from '../../core/names.ts';
import { liveClusterOf } from '../../kubernetes/cluster-data-builders.ts';
import type { StartedCluster } from './cluster.ts';
import { PeerAccounts } from './peer-accounts.ts';

interface Asked {
  method: string;
  path: string;
  body: { metadata?: { name?: string; labels?: Record<string, string> }; preconditions?: { uid?: string } };
}

let server: Server;
let asked: Asked[];
/** Status and message by method and path; else everything is made and deleted. */
let answers: Record<string, [number, string]>;

beforeEach(async () => {
  asked = [];
  answers = {};
  server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://api');
    const method = request.method ?? '';
    const answer = (code: number, body: object): void => {
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    if (searchParams.has('watch')) {
      const name = searchParams.get('fieldSelector')?.replace('metadata.name=', '');
      answer(200, { type: 'DELETED', object: { metadata: { name } } });
      return;
    }
    const body = method === 'GET' ? {} : ((await json(request)) as Asked['body']);
    asked.push({ method, path: pathname, body });
    const [status, message] = answers[`${method} ${pathname}`] ?? [method === 'POST' ? 201 : 200, ''];
    answer(
      status,
      status < 300 ? { metadata: { ...body.metadata, uid: `uid of ${body.metadata?.name}` } } : { message },
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
});

function accounts(given: string[] = []): PeerAccounts {
  const kubeconfig = {
    'current-context': 'b',
    clusters: [{ name: 'b', cluster: { server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` } }],
    users: [{ name: 'b', user: { token: 't' } }],
    contexts: [{ name: 'b', context: { cluster: 'b', user: 'b' } }],
  };
  const started = { data: liveClusterOf(JSON.stringify(kubeconfig)) } as StartedCluster;
  return new PeerAccounts(started, { runId: 'run', context: 'b', given });
}

const told = (): string[] => asked.map(({ method, path }) => `${method} ${path}`);

test('a namespace of the run is made once, with its label, and goes by its uid with what is in it', async () => {
  const peer = accounts();
  const namespace = 'kac-run-0-main';
  await Promise.all(['one', 'two', 'one'].map((serviceAccount) => peer.ensure({ namespace, serviceAccount })));
  expect(told()).toEqual([
    'POST /api/v1/namespaces',
    `POST /api/v1/namespaces/${namespace}/serviceaccounts`,
    `POST /api/v1/namespaces/${namespace}/serviceaccounts`,
  ]);
  for (const { body } of asked) {
    expect(body.metadata?.labels).toMatchObject({ [RUN_OBJECT_LABEL]: 'run' });
  }
  asked = [];
  await peer.removeAll();
  expect(asked).toEqual([
    {
      method: 'DELETE',
      path: `/api/v1/namespaces/${namespace}`,
      body: expect.objectContaining({ preconditions: { uid: `uid of ${namespace}` } }),
    },
  ]);
});

test('in a namespace that was given the ServiceAccount alone is made, and goes by its uid', async () => {
  const peer = accounts(['team']);
  await peer.ensure({ namespace: 'team', serviceAccount: 'one' });
  await peer.removeAll();
  expect(told()).toEqual([
    'POST /api/v1/namespaces/team/serviceaccounts',
    'DELETE /api/v1/namespaces/team/serviceaccounts/one',
  ]);
  expect(asked[1]?.body.preconditions).toEqual({ uid: 'uid of one' });
});

test('one that the provider knows already is not made: where it is missing, the message says how to make it', async () => {
  await accounts().ensure({ namespace: 'production', serviceAccount: 'agent' });
  expect(told()).toEqual(['GET /api/v1/namespaces/production/serviceaccounts/agent']);
  answers = { 'GET /api/v1/namespaces/production/serviceaccounts/agent': [404, 'not found'] };
  const missing = accounts().ensure({ namespace: 'production', serviceAccount: 'agent' });
  await expect(missing).rejects.toThrow(NotTestable);
  await expect(missing).rejects.toThrow(/kubectl --context b create serviceaccount agent --namespace production/);
});

test('what is refused is an error of the harness, with the cluster that refused it', async () => {
  answers = { 'POST /api/v1/namespaces': [403, 'User "x" cannot create resource "namespaces"'] };
  const refused = accounts().ensure({ namespace: 'kac-run-0-main', serviceAccount: 'one' });
  await expect(refused).rejects.toThrow(HarnessError);
  await expect(refused).rejects.toThrow(/second cluster \(context "b"\).*needs the right/);
});
