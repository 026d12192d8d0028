import type { KubeConfig, V1Pod } from '@kubernetes/client-node';
import { DeadlineExceeded, HarnessError, NotTestable } from '../core/errors.ts';
import { assertRoomFor, describePod, isReady, lackedByPod } from './pod-status.ts';
import { type WatchEvent, type WatchOptions, watchUntil } from './watch.ts';

export type PodWatchOptions = Pick<WatchOptions<V1Pod>, 'what' | 'deadlineSeconds'>;

/** Watches pods by their names. */
export class PodWatch {
  readonly #kubeConfig: KubeConfig;
  readonly #images: string[];
  readonly #signal: AbortSignal | undefined;

  /** @param images of the harness's own pods, which it lacks where they cannot be pulled */
  constructor(kubeConfig: KubeConfig, images: string[], signal: AbortSignal | undefined) {
    this.#kubeConfig = kubeConfig;
    this.#images = images;
    this.#signal = signal;
  }

  /**
   * Watches one pod until `accept` answers something.
   *
   * @throws HarnessError where the pod cannot run for something that the harness lacks here, or where its node had no
   *   room for it; DeadlineExceeded otherwise
   */
  async until<R>(
    namespace: string,
    name: string,
    accept: (event: WatchEvent<V1Pod>) => R | undefined,
    options: PodWatchOptions,
  ): Promise<R> {
    let last: V1Pod | undefined;
    try {
      return await watchUntil<V1Pod, NonNullable<R>>(
        this.#kubeConfig,
        `/api/v1/namespaces/${namespace}/pods`,
        (event) => {
          last = event.object;
          assertRoomFor(last);
          return accept(event) ?? undefined;
        },
        {
          ...options,
          fieldSelector: `metadata.name=${name}`,
          describe: describePod,
          ...(this.#signal === undefined ? {} : { signal: this.#signal }),
        },
      );
    } catch (error) {
      const lacked =
        error instanceof DeadlineExceeded && last !== undefined ? lackedByPod(last, this.#images) : undefined;
      throw lacked === undefined ? error : new HarnessError(`pod ${namespace}/${name} cannot run: ${lacked}`);
    }
  }

  /** Waits until a pod of the harness's own is Ready. @throws NotTestable when it fails for good or not in time */
  async ready(namespace: string, name: string, deadlineSeconds = 60): Promise<V1Pod> {
    const accept = ({ type, object }: WatchEvent<V1Pod>): V1Pod | undefined => {
      if (type === 'DELETED' || object.status?.phase === 'Failed' || object.status?.phase === 'Succeeded') {
        throw new NotTestable(`pod ${namespace}/${name} ended before it was Ready: ${describePod(object)}`);
      }
      return isReady(object) ? object : undefined;
    };
    try {
      const what = `pod ${namespace}/${name} to be Ready`;
      return await this.until(namespace, name, accept, { what, deadlineSeconds });
    } catch (error) {
      throw error instanceof DeadlineExceeded ? new NotTestable(error.message) : error;
    }
  }
}
