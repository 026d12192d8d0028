import { once } from 'node:events';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type Frame, WebSocketBackend } from './websocket-backend.ts';

async function start() {
  const received = Promise.withResolvers<Frame>();
  const failed = Promise.withResolvers<Error>();
  let connections = 0;
  const backend = await WebSocketBackend.start({
    onConnect: () => {
      connections += 1;
    },
    onFrame: received.resolve,
    onError: failed.resolve,
  });
  return { backend, received: received.promise, failed: failed.promise, connections: () => connections };
}

test('frames go both ways, and those from before the worker dialled are delivered first', async () => {
  const { backend, received, connections } = await start();
  await using _ = backend;
  backend.send({ type: 'assignment', data: { task: 'early' } });
  const worker = new WebSocket(backend.webSocketUrl('/worker/ws?worker_id=w'));
  const [first] = await once(worker, 'message');
  expect(JSON.parse(String(first))).toEqual({ type: 'assignment', data: { task: 'early' } });
  expect(connections()).toBe(1);
  worker.send(JSON.stringify({ type: 'claimed', data: { task: 'early' } }));
  expect(await received).toEqual({ type: 'claimed', data: { task: 'early' } });
  expect(backend.frames.map(({ direction, frame }) => `${direction} ${frame.type}`)).toEqual([
    'sent assignment',
    'received claimed',
  ]);
  expect(backend.requests).toMatchObject([{ path: '/worker/ws?worker_id=w', status: 101 }]);
});

test('a worker that dials is refused on demand', async () => {
  const { backend } = await start();
  await using _ = backend;
  backend.setFaults([
    { kind: 'too-many-requests', times: 1, seconds: 3 },
    { kind: 'outage', times: 1 },
  ]);
  const dial = async (): Promise<string> => {
    const [error] = await once(new WebSocket(backend.webSocketUrl('/')), 'error');
    return (error as Error).message;
  };
  expect(await dial()).toContain('429');
  expect(await dial()).toMatch(/hang up|ECONNRESET/);
  await once(new WebSocket(backend.webSocketUrl('/')), 'open');
  expect(backend.requests.map(({ status }) => status)).toEqual([429, 0, 101]);
});

test('what is no frame is an error, and no end', async () => {
  const { backend, failed } = await start();
  await using _ = backend;
  const worker = new WebSocket(backend.webSocketUrl('/'));
  await once(worker, 'open');
  worker.send('hello');
  expect((await failed).message).toContain('not JSON');
  expect(worker.readyState).toBe(worker.OPEN);
});
