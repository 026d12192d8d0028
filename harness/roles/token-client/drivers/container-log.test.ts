import type { V1ContainerStatus, V1Pod } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import type { WatchEvent } from '../../../kubernetes/watch.ts';
import { ContainerLog, type LogCluster } from './container-log.ts';

/** A pod whose client ends when told to, with the logs that a kubelet keeps: of the last process and the one before. */
class EndingPod {
  #processes = ['written by 0'];
  #accept: ((event: WatchEvent<V1Pod>) => unknown) | undefined;
  watched = true;

  get cluster(): LogCluster {
    const core = {
      readNamespacedPod: async () => this.#pod,
      readNamespacedPodLog: async ({ previous = false }: { previous?: boolean }) =>
        this.#processes.at(previous ? -2 : -1) ?? '',
    };
    const watchPod = (_namespace: string, _name: string, accept: (event: WatchEvent<V1Pod>) => unknown) => {
      this.#accept = accept;
      accept({ type: 'ADDED', object: this.#pod });
      return new Promise<never>(() => undefined);
    };
    return { core, watchPod } as unknown as LogCluster;
  }

  /** The kubelet begins a new file. */
  rotate(): void {
    this.#processes[this.#processes.length - 1] = 'what came last';
  }

  end(): void {
    this.#processes.push(`written by ${this.#processes.length}`);
    if (this.watched) {
      this.#accept?.({ type: 'MODIFIED', object: this.#pod });
    }
  }

  get #pod(): V1Pod {
    const restartCount = this.#processes.length - 1;
    const status = {
      name: 'client',
      restartCount,
      containerID: `id-${restartCount}`,
      state: { running: {} },
      ...(restartCount === 0 ? {} : { lastState: { terminated: { containerID: `id-${restartCount - 1}` } } }),
    };
    return { status: { containerStatuses: [status as unknown as V1ContainerStatus] } };
  }
}

const CLIENT = { namespace: 'ns', name: 'pod', container: 'client' };
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('the output of every process is kept that ends while it is followed', async () => {
  const pod = new EndingPod();
  const log = new ContainerLog(pod.cluster, CLIENT).follow();
  for (let ends = 0; ends < 3; ends += 1) {
    pod.end();
    await settled();
  }
  expect(await log.read()).toEqual({ text: 'written by 0\nwritten by 1\nwritten by 2\nwritten by 3', lost: 0 });
});

test('what ended unseen is counted as lost, but for the last process that the kubelet keeps', async () => {
  const pod = new EndingPod();
  const log = new ContainerLog(pod.cluster, CLIENT).follow();
  await settled();
  pod.watched = false;
  pod.end();
  pod.end();
  pod.end();
  expect(await log.read()).toEqual({ text: 'written by 2\nwritten by 3', lost: 2 });
});

test('a process that ends while another one’s log is read has no part in it', async () => {
  const pod = new EndingPod();
  const log = new ContainerLog(pod.cluster, CLIENT).follow();
  pod.end();
  pod.end();
  expect(await log.read()).toEqual({ text: 'written by 1\nwritten by 2', lost: 1 });
});

test('a process that ended before it is followed stands for none that is lost later', async () => {
  const pod = new EndingPod();
  pod.end();
  const log = new ContainerLog(pod.cluster, CLIENT).follow();
  await settled();
  pod.watched = false;
  pod.end();
  pod.end();
  expect(await log.read()).toEqual({ text: 'written by 0\nwritten by 2\nwritten by 3', lost: 1 });
});

test('a log whose file was replaced meanwhile has lost its beginning', async () => {
  const pod = new EndingPod();
  const log = new ContainerLog(pod.cluster, CLIENT).follow();
  await log.look();
  pod.rotate();
  expect(await log.read()).toEqual({ text: 'what came last', lost: 1 });
});

test('the same of a process that ended', async () => {
  const pod = new EndingPod();
  const log = new ContainerLog(pod.cluster, CLIENT).follow();
  await log.look();
  pod.rotate();
  pod.end();
  await settled();
  expect(await log.read()).toEqual({ text: 'written by 1', lost: 1 });
});
