import { expect, test } from 'vitest';
import { CalledManager } from './called-manager.ts';
import type { Call, SessionManagerClient } from './driver.ts';
import type { Death, ManagerProcess } from './drivers/process.ts';
import type { HttpTarget } from './target.ts';

const target = { file: 'target.yaml', startSeconds: 5, start: { ready: '/healthz' } } as unknown as HttpTarget;
const death: Death = { at: 1, how: 'ended with code 1', lastOutput: ['out of memory'] };

/** A process that writes one line, and dies when it is told to. */
function fakeProcess(line: string, isReady = true): ManagerProcess & { die(): void } {
  let died: Death | undefined;
  const { promise: exited, resolve } = Promise.withResolvers<Death>();
  return {
    get death() {
      return died;
    },
    exited,
    output: [line],
    outputLost: 0,
    lastSeen: 'it answered 404',
    ready: async () => isReady,
    stop: async () => undefined,
    die() {
      died = death;
      resolve(death);
    },
  };
}

/** A client whose calls come to what `answer` says. */
function clientOf(answer: () => Partial<Call>): SessionManagerClient {
  return { call: async (name: string) => ({ name, ...answer() }) } as unknown as SessionManagerClient;
}

test('a process that dies under a call is told with it, and the next call finds another', async () => {
  const processes = [fakeProcess('first'), fakeProcess('second')];
  const [first] = processes;
  let started = 0;
  const client = clientOf(() => {
    if (started > 1) {
      return { status: 200 };
    }
    first?.die();
    return { silence: 'it closed the connection' };
  });
  const manager = new CalledManager(target, client, () => {
    started += 1;
    return processes[started - 1] ?? fakeProcess('none');
  });
  expect(await manager.start()).toBe(true);
  const call = await manager.call('testConnection', { namespace: 'n' });
  expect([call.died, call.lastOutput]).toEqual(['its process ended with code 1', ['out of memory']]);
  expect(manager.deaths).toEqual([death]);
  expect(await manager.call('testConnection', { namespace: 'n' })).toMatchObject({ status: 200 });
  expect(started).toBe(2);
  expect(manager.calls).toHaveLength(2);
  expect(manager.output()).toEqual(['first', 'second']);
});

test('an end that comes after the answer is not lost: it is told with the call before it', async () => {
  const processes = [fakeProcess('first'), fakeProcess('second'), fakeProcess('third')];
  let started = 0;
  const manager = new CalledManager(
    target,
    clientOf(() => ({ status: 200 })),
    () => processes[started++] ?? fakeProcess('none'),
  );
  await manager.start();
  const before = await manager.call('testConnection', { namespace: 'n' });
  processes[0]?.die();
  const after = await manager.call('testConnection', { namespace: 'n' });
  expect([before.died, after.died]).toEqual([expect.stringContaining('ended with code 1'), undefined]);
  expect(manager.deaths).toEqual([death]);
  setTimeout(() => processes[1]?.die(), 20);
  await manager.settle();
  expect(after.died).toContain('ended with code 1');
  await manager.settle();
  expect(manager.deaths).toEqual([death, death]);
});

test('why it cannot be called: it is not ready in time, or has ended', async () => {
  const silent = fakeProcess('loading', false);
  const manager = new CalledManager(
    target,
    clientOf(() => ({})),
    () => silent,
  );
  expect(() => manager.whyNotReady()).toThrow('was not started');
  expect(await manager.start()).toBe(false);
  expect(manager.whyNotReady()).toMatch(
    /^GET \/healthz .* was not answered 2xx within 35 s \(it answered 404\): .*\. It printed:\n {4}loading$/,
  );
  silent.die();
  expect(manager.whyNotReady()).toMatch(/^its process ended with code 1 \(start.command of target.yaml\)/);
});
