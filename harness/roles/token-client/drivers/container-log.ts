import { ApiException, type V1ContainerStatus, type V1Pod } from '@kubernetes/client-node';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import type { WatchEvent } from '../../../kubernetes/watch.ts';

/** What is asked of a cluster. */
export type LogCluster = Pick<ClusterHandle, 'watchPod'> & {
  core: Pick<ClusterHandle['core'], 'readNamespacedPod' | 'readNamespacedPodLog'>;
};

/**
 * How much of the beginning of a log is remembered. A kubelet replaces the file of a log that has grown to its limit
 * (`containerLogMaxSize`, 10 MiB), and the API gives the newest file alone (Kubernetes, Logging Architecture): one that
 * begins otherwise than before has lost what came first.
 */
const HEAD_BYTES = 256;

/** Longest time, in seconds, for which the processes of one container are followed. */
const FOLLOWED_SECONDS = 3_600;

/**
 * What a container wrote, by all of its processes. The kubelet keeps the log of the process that runs and of the one
 * before it (Kubernetes, Logging Architecture): those of a container that ends again and again are gone after the next
 * restart. So each is read when the pod's status says that the process ended, from the first call of `follow` on.
 */
export class ContainerLog {
  readonly #cluster: LogCluster;
  readonly #log: { namespace: string; name: string; container: string };
  /** By the id of the container: the log of a process that ended. */
  readonly #ended = new Map<string, string>();
  /** By the id of the container: how its log begins. */
  readonly #heads = new Map<string, string>();
  #reading: Promise<void> = Promise.resolve();
  /** Of so many processes, which ended before the watch began, nothing is expected. */
  #goneBefore: number | undefined;
  #done = false;

  constructor(
    cluster: LogCluster,
    { namespace, name, container }: { namespace: string; name: string; container: string },
  ) {
    this.#cluster = cluster;
    this.#log = { namespace, name, container };
  }

  /** Keeps the log of every process that ends from now on, until {@link read} or until the pod is deleted. */
  follow(): this {
    const { namespace, name, container } = this.#log;
    const accept = ({ type, object }: WatchEvent<V1Pod>): true | undefined => {
      if (this.#done || type === 'DELETED') {
        return true;
      }
      const status = this.#statusOf(object);
      this.#goneBefore ??= endsOf(status) - (endedBefore(status) === undefined ? 0 : 1);
      this.#reading = this.#reading
        .then(() => this.#keep(object))
        .then(() => this.look())
        .catch(() => undefined);
      return undefined;
    };
    this.#cluster
      .watchPod(namespace, name, accept, {
        what: `an end of the container ${container} of pod ${namespace}/${name}`,
        deadlineSeconds: FOLLOWED_SECONDS,
      })
      // What a broken watch has missed is lost, and counted as such.
      .catch(() => undefined);
    return this;
  }

  /**
   * Remembers how the log of the process that runs begins, once it has begun: to be called while it is short. What
   * cannot be read now is not remembered.
   */
  async look(): Promise<void> {
    const id = await this.#runningId().catch(() => undefined);
    if (id === undefined || this.#heads.has(id)) {
      return;
    }
    const head = await this.#cluster.core
      .readNamespacedPodLog({ ...this.#log, limitBytes: HEAD_BYTES })
      .catch(() => undefined);
    // A cut within a character ends by a replacement character.
    const text = (head ?? '').replace(/\uFFFD+$/, '');
    if (text !== '' && (await this.#runningId().catch(() => undefined)) === id) {
      this.#heads.set(id, text);
    }
  }

  async #runningId(): Promise<string | undefined> {
    const status = this.#statusOf(await this.#cluster.core.readNamespacedPod(this.#log));
    return status?.state?.running === undefined ? undefined : status.containerID;
  }

  /**
   * Everything that is known, in the order of the processes. Ends the watch.
   *
   * @returns the text, and of how many processes the log is gone
   */
  async read(): Promise<{ text: string; lost: number }> {
    this.#done = true;
    await this.#reading;
    const pod = await this.#cluster.core.readNamespacedPod(this.#log);
    await this.#keep(pod);
    const last = await this.#cluster.core.readNamespacedPodLog(this.#log).catch((error: unknown) => {
      // A container that waits for its restart has no log yet.
      if (error instanceof ApiException && error.code === 400) {
        return '';
      }
      throw error;
    });
    const lost = endsOf(this.#statusOf(pod)) - (this.#goneBefore ?? 0) - this.#ended.size;
    const isCut = !this.#beginsAsBefore(this.#statusOf(pod)?.containerID, last ?? '');
    // The client of the API gives an empty log as undefined.
    return { text: [...this.#ended.values(), last ?? ''].join('\n'), lost: Math.max(0, lost) + (isCut ? 1 : 0) };
  }

  async #keep(pod: V1Pod): Promise<void> {
    const id = endedBefore(this.#statusOf(pod));
    if (id === undefined || this.#ended.has(id)) {
      return;
    }
    const text = await this.#cluster.core.readNamespacedPodLog({ ...this.#log, previous: true });
    // Another process may have ended meanwhile; then this is its log.
    const now = endedBefore(this.#statusOf(await this.#cluster.core.readNamespacedPod(this.#log)));
    if (now === id && this.#beginsAsBefore(id, text ?? '')) {
      this.#ended.set(id, text ?? '');
    }
  }

  #beginsAsBefore(id: string | undefined, text: string): boolean {
    return text.startsWith(this.#heads.get(id ?? '') ?? '');
  }

  #statusOf(pod: V1Pod): V1ContainerStatus | undefined {
    return pod.status?.containerStatuses?.find(({ name }) => name === this.#log.container);
  }
}

function endedBefore(status: V1ContainerStatus | undefined): string | undefined {
  return status?.lastState?.terminated?.containerID;
}

/** How often the container's process ended; one that waits for its restart has ended once more than it restarted. */
function endsOf(status: V1ContainerStatus | undefined): number {
  const waits = status?.state?.waiting !== undefined && endedBefore(status) !== undefined;
  return (status?.restartCount ?? 0) + (waits ? 1 : 0);
}
