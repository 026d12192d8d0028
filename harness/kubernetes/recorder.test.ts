import { setImmediate } from 'node:timers/promises';
import type { V1Pod } from '@kubernetes/client-node';
import { Response } from 'undici';
import { expect, test, vi } from 'vitest';
import { DeadlineExceeded, HarnessError } from '../core/errors.ts';
import { Recorder } from './recorder.ts';

function event(type: string, name: string, resourceVersion: string): string {
  return `${JSON.stringify({ type, object: { metadata: { name, resourceVersion } } })}\n`;
}

/** An API server that answers watches by what is given, one after the other; the last one stays open. */
function fakeCluster(...watches: string[]): { asked: URLSearchParams[]; request: (path: string) => Promise<Response> } {
  const asked: URLSearchParams[] = [];
  return {
    asked,
    async request(path) {
      const parameters = new URL(path, 'http://api.test').searchParams;
      if (!parameters.has('watch')) {
        return Response.json({ metadata: { resourceVersion: '10' } });
      }
      asked.push(parameters);
      const text = watches[asked.length - 1];
      return text === undefined ? new Response(new ReadableStream({})) : new Response(text);
    },
  };
}

const FIRST = event('ADDED', 'a', '11') + event('MODIFIED', 'a', '12');

test('a watch that the server closes is taken up where it was: nothing is lost and nothing is seen twice', async () => {
  const cluster = fakeCluster(FIRST + event('BOOKMARK', '', '20'), event('DELETED', 'a', '21'));
  const recorder = await Recorder.open<V1Pod>(cluster, '/api/v1/pods', { labelSelector: 'a=b' });
  const last = await recorder.until((events) => events.find(({ type }) => type === 'DELETED'), {
    what: 'a to be gone',
    deadlineSeconds: 5,
  });
  expect(last.object.metadata?.name).toBe('a');
  expect(recorder.events.map(({ type }) => type)).toEqual(['ADDED', 'MODIFIED', 'DELETED']);
  expect(cluster.asked.slice(0, 2).map((parameters) => parameters.get('resourceVersion'))).toEqual(['10', '20']);
  expect(cluster.asked[0]?.get('labelSelector')).toBe('a=b');
});

test.each([
  ['a custom resource', '/apis/agents.example.com/v1/namespaces/a/sessions', '12'],
  ['a built-in kind', '/apis/batch/v1/namespaces/a/jobs', '10'],
])('the watch of %s begins at a version that its cache has', async (_, path, from) => {
  const asked: URLSearchParams[] = [];
  const cluster = {
    async request(whole: string): Promise<Response> {
      const parameters = new URL(whole, 'http://api.test').searchParams;
      asked.push(parameters);
      if (parameters.has('watch')) {
        return new Response(new ReadableStream({}));
      }
      // The store is at 10; the cache began at 12.
      const resourceVersion = parameters.has('limit') || !parameters.has('resourceVersionMatch') ? '10' : '12';
      return Response.json({ metadata: { resourceVersion } });
    },
  };
  await Recorder.open(cluster, path, { labelSelector: 'a=b' });
  await setImmediate();
  expect(asked.at(-1)?.get('resourceVersion')).toBe(from);
  expect(asked.every((parameters) => parameters.get('labelSelector') === 'a=b')).toBe(true);
});

test('a cache that is being filled is waited for, as long as it says', async () => {
  const asked: string[] = [];
  const open = (retryAfter?: string): Promise<unknown> => {
    const cluster = {
      async request(whole: string): Promise<Response> {
        asked.push(whole);
        const headers = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
        return whole.includes('NotOlderThan') && asked.length < 4
          ? Response.json({ message: 'storage is (re)initializing' }, { status: 429, headers })
          : Response.json({ metadata: { resourceVersion: '10' } });
      },
    };
    return Recorder.open(cluster, '/apis/agents.example.com/v1/sessions');
  };
  await open('0');
  expect(asked.filter((path) => path.includes('NotOlderThan'))).toHaveLength(3);
  for (const never of [undefined, '600']) {
    asked.length = 0;
    await expect(open(never)).rejects.toThrow('was answered 429: storage is (re)initializing');
  }
});

test('a wait that fails reports what was seen last', async () => {
  const recorder = await Recorder.open<V1Pod>(fakeCluster(FIRST), '/api/v1/pods', { describe: () => 'as it was' });
  const waited = recorder.until(() => undefined, { what: 'nothing', deadlineSeconds: 0.2 });
  await expect(waited).rejects.toThrow(DeadlineExceeded);
  await expect(waited).rejects.toThrow('MODIFIED a: as it was');
});

test.each([
  ['a watch that has lost events', event('ERROR', '', '')],
  ['an answer that is no event', 'gone away\n'],
])('%s is a harness error, never a verdict', async (_, text) => {
  const recorder = await Recorder.open<V1Pod>(fakeCluster(text), '/api/v1/pods');
  await expect(recorder.until(() => undefined, { what: 'nothing', deadlineSeconds: 5 })).rejects.toThrow(HarnessError);
});

/** A body that gives a text and then breaks off, as a connection that is reset does. */
function brokenOff(text: string): ReadableStream {
  return new ReadableStream({
    async start(controller) {
      controller.enqueue(Buffer.from(text));
      // What has arrived is read before the connection breaks.
      await setImmediate();
      await setImmediate();
      controller.error(new TypeError('terminated'));
    },
  });
}

test('a connection that breaks off is taken up where it was', async () => {
  const bodies: (ReadableStream | string)[] = [brokenOff(FIRST), event('DELETED', 'a', '21')];
  const asked: (string | null)[] = [];
  const cluster = {
    async request(path: string): Promise<Response> {
      const parameters = new URL(path, 'http://api.test').searchParams;
      if (!parameters.has('watch')) {
        return Response.json({ metadata: { resourceVersion: '10' } });
      }
      asked.push(parameters.get('resourceVersion'));
      return new Response(bodies.shift() ?? new ReadableStream({}));
    },
  };
  const recorder = await Recorder.open<V1Pod>(cluster, '/api/v1/pods');
  await vi.waitFor(() => expect(recorder.events.map(({ type }) => type)).toEqual(['ADDED', 'MODIFIED', 'DELETED']));
  expect(asked.slice(0, 2)).toEqual(['10', '12']);
});

test.each([
  ['has lost events', (): Response => new Response(event('ERROR', '', ''))],
  ['breaks off again and again', (): Response => new Response(brokenOff(''))],
])('whoever closes a watch that %s is told: what was not seen may have been there', async (_, watch) => {
  const request = async (path: string): Promise<Response> =>
    path.includes('watch=true') ? watch() : Response.json({ metadata: { resourceVersion: '10' } });
  const recorder = await Recorder.open<V1Pod>({ request }, '/api/v1/pods');
  await expect(recorder.until(() => undefined, { what: 'nothing', deadlineSeconds: 5 })).rejects.toThrow('broke');
  await expect(recorder.close()).rejects.toThrow('the watch of /api/v1/pods broke');
});
