import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import type { V1Pod } from '@kubernetes/client-node';
import { linesOf } from '../../../../fixtures/workloads/lib/lines.ts';
import { HarnessError } from '../../../core/errors.ts';
import { residentBytes } from '../../../core/process-group.ts';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import { isReady } from '../../../kubernetes/pod-status.ts';
import { Recorder } from '../../../kubernetes/recorder.ts';
import type { RunnerExit } from '../driver.ts';
import { OWN_LABEL } from '../manifests.ts';

/** Seconds for its pods to be gone. */
const REMOVAL_SECONDS = 60;

/** The one pod of a workload that is a runner, and the runner's container in it. */
export interface PodOfWorkload {
  cluster: ClusterHandle;
  namespace: string;
  container: string;
  /** Path of the workload's object. */
  path: string;
}

/** What comes of it. */
export interface WorkloadPodListener {
  /** The pod is Ready; may be called again. */
  onReady(): void;
  /** The container ended, or its pod was deleted: once, when its log was read to the end. */
  onExit(exit: RunnerExit): void;
  /** A line of the container's own output. */
  onLog(line: string): void;
}

/** How the container ended, in a pod as it was seen once: in its present state, or before it was started again. */
export function endOfContainer(pod: V1Pod, container: string): { exitCode: number } | undefined {
  const status = pod.status?.containerStatuses?.find(({ name }) => name === container);
  return status?.state?.terminated ?? status?.lastState?.terminated;
}

/** Watches the pod of a workload: a runner that is deployed is as much a process as one on this host, and ends once. */
export class WorkloadPod {
  readonly exited: Promise<RunnerExit>;
  readonly #at: PodOfWorkload;
  readonly #listener: WorkloadPodListener;
  readonly #exit = Promise.withResolvers<RunnerExit>();
  readonly #closed = new AbortController();
  #recorder: Recorder<V1Pod> | undefined;
  #pod: V1Pod | undefined;
  #following: Promise<void> | undefined;
  #hasExited = false;

  private constructor(at: PodOfWorkload, listener: WorkloadPodListener) {
    this.#at = at;
    this.#listener = listener;
    this.exited = this.#exit.promise;
  }

  /** Opens the watch, before the workload is created. */
  static async watch(at: PodOfWorkload, listener: WorkloadPodListener): Promise<WorkloadPod> {
    const watched = new WorkloadPod(at, listener);
    watched.#recorder = await Recorder.open<V1Pod>(at.cluster, `/api/v1/namespaces/${at.namespace}/pods`, {
      labelSelector: `${OWN_LABEL}=true`,
      onEvent: ({ type, object }) => watched.#take(type, object),
    });
    return watched;
  }

  get hasExited(): boolean {
    return this.#hasExited;
  }

  #take(type: string, pod: V1Pod): void {
    const { container } = this.#at;
    this.#pod = type === 'DELETED' ? undefined : pod;
    const ended = endOfContainer(pod, container);
    const runs = pod.status?.containerStatuses?.some(({ name, state }) => name === container && state?.running);
    if (runs === true || ended !== undefined) {
      this.#following ??= this.#follow(pod.metadata?.name ?? '').catch(() => undefined);
    }
    if (ended !== undefined || type === 'DELETED') {
      const exit = { at: Date.now(), code: ended?.exitCode ?? null, signal: null };
      if (!this.#hasExited) {
        this.#hasExited = true;
        this.#exit.resolve(exit);
        void Promise.resolve(this.#following).then(() => this.#listener.onExit(exit));
      }
    } else if (isReady(pod)) {
      this.#listener.onReady();
    }
  }

  /** Its output, from one container's beginning to its end. */
  async #follow(pod: string): Promise<void> {
    const { cluster, namespace, container } = this.#at;
    const path = `/api/v1/namespaces/${namespace}/pods/${pod}/log?container=${container}&follow=true`;
    const response = await cluster.request(path, { signal: this.#closed.signal });
    if (response.status !== 200 || response.body === null) {
      this.#listener.onLog(await response.text());
      return;
    }
    for await (const line of linesOf(Readable.fromWeb(response.body as ReadableStream))) {
      this.#listener.onLog(line);
    }
  }

  /** Resident memory of its first process in bytes; undefined where it has none, or it cannot be asked. */
  async memoryBytes(): Promise<number | undefined> {
    const { cluster, namespace, container } = this.#at;
    const name = this.#pod?.metadata?.name;
    if (name === undefined) {
      return undefined;
    }
    const { stdout } = await cluster.exec(namespace, name, container, ['cat', '/proc/1/status']);
    return residentBytes(stdout);
  }

  /**
   * Deletes the workload, so that nothing starts a pod again, and then the pod.
   *
   * @param graceSeconds instead of the pod's own
   */
  async end(graceSeconds?: number): Promise<void> {
    const { cluster, namespace, path } = this.#at;
    const response = await cluster.request(`${path}?propagationPolicy=Background`, { method: 'DELETE' });
    const answer = await response.text();
    if (response.status !== 200 && response.status !== 404) {
      throw new HarnessError(`${path} was not deleted: ${response.status}: ${answer.slice(0, 200)}`);
    }
    const name = this.#pod?.metadata?.name;
    if (name !== undefined) {
      const query = graceSeconds === undefined ? '' : `?gracePeriodSeconds=${graceSeconds}`;
      const pod = await cluster.request(`/api/v1/namespaces/${namespace}/pods/${name}${query}`, { method: 'DELETE' });
      await pod.text();
    }
  }

  /** Ends it at once, and waits until its pods are gone: what is there after that goes with the namespace. */
  async stop(): Promise<void> {
    await this.end(0);
    const recorder = this.#recorder;
    const areGone = (): true | undefined =>
      [...(recorder?.latest().values() ?? [])].every(({ type }) => type === 'DELETED') || undefined;
    await recorder
      ?.until(areGone, { what: 'the runner’s pods to be gone', deadlineSeconds: REMOVAL_SECONDS })
      .catch(() => undefined);
    this.#closed.abort();
    await recorder?.close();
    await this.#following;
    this.#exit.resolve({ at: Date.now(), code: null, signal: 'SIGKILL' });
  }
}
