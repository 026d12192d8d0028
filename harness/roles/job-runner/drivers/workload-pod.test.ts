import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { V1Pod } from '@kubernetes/client-node';
import { fetch } from 'undici';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import { endOfContainer, WorkloadPod } from './workload-pod.ts';

let server: Server;
let base: string;
/** Requests that change something. */
const changes: string[] = [];
let send: (type: string, pod: object) => void;
const opened = Promise.withResolvers<void>();

const podOf = (container: object, conditions: object[] = []): object => ({
  metadata: { name: 'runner-1', resourceVersion: '2' },
  status: { conditions, containerStatuses: [{ name: 'runner', ...container }] },
});
const RUNNING = podOf({ state: { running: {} } });
const READY = podOf({ state: { running: {} } }, [{ type: 'Ready', status: 'True' }]);
const ENDED = podOf({ state: { terminated: { exitCode: 3 } } });

beforeEach(async () => {
  changes.length = 0;
  server = createServer((request, response) => {
    const url = request.url ?? '';
    if (request.method === 'DELETE') {
      changes.push(url);
      response.end('{}');
    } else if (url.includes('/log?')) {
      response.end('the config is wrong\ngood bye\n');
    } else if (url.includes('watch=true')) {
      response.flushHeaders();
      send = (type, object) => void response.write(`${JSON.stringify({ type, object })}\n`);
      opened.resolve();
    } else {
      response.end('{"metadata":{"resourceVersion":"1"}}');
    }
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

test('a pod is ready, ends once with its whole log, and goes with its workload', async () => {
  const cluster = {
    request: (path: string, init: object) => fetch(`${base}${path}`, init),
  } as unknown as ClusterHandle;
  const seen: string[] = [];
  const pod = await WorkloadPod.watch(
    { cluster, namespace: 'n', container: 'runner', path: '/apis/apps/v1/namespaces/n/deployments/runner' },
    {
      onReady: () => seen.push('ready'),
      onExit: ({ code }) => seen.push(`exit ${code}`),
      onLog: (line) => seen.push(line),
    },
  );
  await opened.promise;
  send('ADDED', RUNNING);
  send('MODIFIED', READY);
  await vi.waitFor(() => expect(seen).toContain('ready'));
  expect(pod.hasExited).toBe(false);
  send('MODIFIED', ENDED);
  send('MODIFIED', ENDED);
  expect(await pod.exited).toMatchObject({ code: 3, signal: null });
  await vi.waitFor(() => expect(seen).toContain('exit 3'));
  expect(seen.indexOf('good bye')).toBeLessThan(seen.indexOf('exit 3'));
  expect(seen.filter((line) => line === 'exit 3')).toHaveLength(1);
  const stopped = pod.stop();
  await vi.waitFor(() => expect(changes).toHaveLength(2));
  send('DELETED', ENDED);
  await stopped;
  expect(changes).toEqual([
    '/apis/apps/v1/namespaces/n/deployments/runner?propagationPolicy=Background',
    '/api/v1/namespaces/n/pods/runner-1?gracePeriodSeconds=0',
  ]);
});

test('a container that was started again has ended all the same', () => {
  const again = podOf({ state: { running: {} }, lastState: { terminated: { exitCode: 1 } } });
  expect(endOfContainer(again as V1Pod, 'runner')).toMatchObject({ exitCode: 1 });
  expect(endOfContainer(RUNNING as V1Pod, 'runner')).toBeUndefined();
  expect(endOfContainer(ENDED as V1Pod, 'other')).toBeUndefined();
});
