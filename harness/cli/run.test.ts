import { expect, test, vi } from 'vitest';
import { DEFAULT_OPTIONS } from '../run/session.ts';
import { whileAttached } from './run.ts';

const session = (cluster: 'k3s' | 'kubeconfig') => ({
  options: { ...DEFAULT_OPTIONS, cluster },
  stop: vi.fn(async () => undefined),
});

test('what the preflight made on a live cluster is removed when the suites cannot be started', async () => {
  const live = session('kubeconfig');
  const broken = whileAttached(live, () => Promise.reject(new Error('no Vitest here')));
  await expect(broken).rejects.toThrow('no Vitest here');
  expect(live.stop).toHaveBeenCalledTimes(1);
});

test('what was begun is removed by a signal', async () => {
  const live = session('kubeconfig');
  const exit = vi.spyOn(process, 'exit').mockImplementation((() => undefined) as never);
  await whileAttached(live, async () => {
    process.emit('SIGTERM', 'SIGTERM');
    await vi.waitFor(() => expect(exit).toHaveBeenCalledWith(143));
  });
  expect(live.stop).toHaveBeenCalledTimes(1);
  expect(process.listenerCount('SIGTERM'), 'listeners afterwards').toBe(0);
  exit.mockRestore();
});

test('suites that ran have stopped everything themselves, and so has a cluster of the harness’s own', async () => {
  const live = session('kubeconfig');
  expect(await whileAttached(live, async () => 'verdict')).toBe('verdict');
  expect(live.stop).not.toHaveBeenCalled();
  const own = session('k3s');
  await expect(whileAttached(own, () => Promise.reject(new Error('x')))).rejects.toThrow('x');
  expect(own.stop).not.toHaveBeenCalled();
});
