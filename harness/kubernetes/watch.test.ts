import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig, type V1Pod } from '@kubernetes/client-node';
import { afterEach, expect, test } from 'vitest';
import { DeadlineExceeded } from '../core/errors.ts';
import { watchUntil } from './watch.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** An API server that answers each watch by `serve`. */
async function apiServer(serve: (response: ServerResponse, connection: number, url: URL) => void): Promise<KubeConfig> {
  let connections = 0;
  server = createServer((request, response) => {
    connections += 1;
    serve(response, connections, new URL(request.url ?? '/', 'http://localhost'));
  });
  await new Promise<void>((resolve) => {
    server?.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const config = new KubeConfig();
  config.loadFromClusterAndUser({ name: 'c', server: `http://127.0.0.1:${port}`, skipTLSVerify: true }, { name: 'u' });
  return config;
}

const event = (type: string, phase: string): string =>
  `${JSON.stringify({ type, object: { metadata: { name: 'p' }, status: { phase } } })}\n`;

const running = ({ object }: { object: V1Pod }): string | undefined =>
  object.status?.phase === 'Running' ? 'running' : undefined;

test('answers with the first event that is accepted, and passes the selectors on', async () => {
  let asked: URL | undefined;
  const config = await apiServer((response, _, url) => {
    asked = url;
    response.write(event('ADDED', 'Pending') + event('MODIFIED', 'Running'));
  });
  const options = { what: 'the pod', deadlineSeconds: 5, fieldSelector: 'metadata.name=p' };
  await expect(watchUntil(config, '/api/v1/pods', running, options)).resolves.toBe('running');
  expect(asked?.searchParams.get('fieldSelector')).toBe('metadata.name=p');
  expect(asked?.searchParams.get('watch')).toBe('true');
});

test('opens a watch again that the server closes', async () => {
  const config = await apiServer((response, connection) => {
    response.end(event('MODIFIED', connection === 1 ? 'Pending' : 'Running'));
  });
  await expect(watchUntil(config, '/api/v1/pods', running, { what: 'the pod', deadlineSeconds: 5 })).resolves.toBe(
    'running',
  );
});

test('opens a watch again that is cut in the middle of an event', async () => {
  const config = await apiServer((response, connection) => {
    if (connection > 1) {
      response.end(event('MODIFIED', 'Running'));
      return;
    }
    const pending = event('ADDED', 'Pending');
    response.write(pending + pending.slice(0, 20), () => response.destroy());
  });
  await expect(watchUntil(config, '/api/v1/pods', running, { what: 'the pod', deadlineSeconds: 5 })).resolves.toBe(
    'running',
  );
});

test('tells how often a watch was cut', async () => {
  const config = await apiServer((response, connection) => {
    response.write(event('ADDED', 'Pending'), () => (connection < 3 ? response.destroy() : undefined));
  });
  const wait = watchUntil(config, '/api/v1/pods', running, { what: 'the pod to run', deadlineSeconds: 0.5 });
  await expect(wait).rejects.toThrow(/Pending.*; the watch was cut 2 times/);
});

test('ends at its deadline and reports what it last saw', async () => {
  const config = await apiServer((response) => {
    response.write(event('ADDED', 'Pending'));
  });
  const wait = watchUntil(config, '/api/v1/pods', running, { what: 'the pod to run', deadlineSeconds: 0.3 });
  await expect(wait).rejects.toThrow(DeadlineExceeded);
  await expect(wait).rejects.toThrow(/waited 0\.\d s for the pod to run; last seen: ADDED p: .*Pending/);
});

test('a refusal of the API server is no deadline', async () => {
  const config = await apiServer((response) => {
    response.writeHead(403).end('{}');
  });
  const wait = watchUntil(config, '/api/v1/pods', running, { what: 'the pod', deadlineSeconds: 5 });
  await expect(wait).rejects.not.toThrow(DeadlineExceeded);
});

test('what `accept` throws passes unchanged; a run that is aborted ends the wait', async () => {
  const config = await apiServer((response) => {
    response.write(event('ADDED', 'Failed'));
  });
  const failing = (): never => {
    throw new Error('the pod failed');
  };
  await expect(watchUntil(config, '/p', failing, { what: 'x', deadlineSeconds: 5 })).rejects.toThrow('the pod failed');
  const aborted = new AbortController();
  const wait = watchUntil(config, '/p', running, { what: 'x', deadlineSeconds: 5, signal: aborted.signal });
  aborted.abort(new Error('aborted'));
  await expect(wait).rejects.toThrow('aborted');
});
