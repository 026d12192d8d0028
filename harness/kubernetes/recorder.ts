import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { KubernetesObject } from '@kubernetes/client-node';
import { DeadlineExceeded, HarnessError } from '../core/errors.ts';
import type { ClusterHandle } from './cluster-handle.ts';
import type { WatchEvent } from './watch.ts';

/** One event, with the time at which the harness saw it. */
export interface RecordedEvent<T> extends WatchEvent<T> {
  at: Date;
}

export interface RecorderOptions<T> {
  labelSelector?: string;
  fieldSelector?: string;
  /** How an object is described in the message of a wait that failed; default: its status as JSON. */
  describe?: (object: T) => string;
  /** Called with each event as it comes. What it throws breaks the watch, if it is a HarnessError. */
  onEvent?: (event: RecordedEvent<T>) => void;
  signal?: AbortSignal;
}

/**
 * A watch is closed by the server after so many seconds, and taken up where it was: before undici gives up a silent
 * body.
 */
const WATCH_SECONDS = 240;

/**
 * What is in an API group with a domain can be a custom resource, whose definition was made a moment ago. The list that
 * asks for the newest state is then answered from the store, and the watch from a cache that may begin later ("too old
 * resource version"). So a second list asks for a version that the cache has: without a limit, which only the store
 * keeps (Kubernetes API concepts, "Resource versions").
 */
const CUSTOM_RESOURCES = /^\/apis\/[^/]+\.[^/]+\//;

/**
 * Every event of a collection from a moment on, none lost: what is deleted has been seen before it went. Opened before
 * the act that it is to witness (Kubernetes API concepts, "Efficient detection of changes").
 */
export class Recorder<T extends KubernetesObject> implements AsyncDisposable {
  readonly events: RecordedEvent<T>[] = [];
  readonly #closed = new AbortController();
  readonly #listeners = new Set<() => void>();
  readonly #options: RecorderOptions<T>;
  #broken: Error | undefined;
  #done: Promise<void> = Promise.resolve();

  private constructor(options: RecorderOptions<T>) {
    this.#options = options;
  }

  /**
   * Opens a recorder of `path`, for example `/api/v1/namespaces/default/pods`. What happens after this is settled is
   * recorded; what was there before is not.
   */
  static async open<T extends KubernetesObject>(
    cluster: Pick<ClusterHandle, 'request'>,
    path: string,
    options: RecorderOptions<T> = {},
  ): Promise<Recorder<T>> {
    const recorder = new Recorder<T>(options);
    let version = await resourceVersion(cluster, `${path}?${query(options)}&limit=1`);
    if (CUSTOM_RESOURCES.test(path)) {
      version = await resourceVersion(
        cluster,
        `${path}?${query(options)}&resourceVersion=${version}&resourceVersionMatch=NotOlderThan`,
      );
    }
    recorder.#done = recorder.#record(cluster, path, version).catch((error: unknown) => {
      recorder.#broken = new HarnessError(`the watch of ${path} broke`, { cause: error });
      recorder.#notify();
    });
    return recorder;
  }

  #notify(): void {
    for (const listener of this.#listeners) {
      listener();
    }
  }

  #hasEnded(): boolean {
    return this.#closed.signal.aborted || this.#options.signal?.aborted === true;
  }

  async #record(cluster: Pick<ClusterHandle, 'request'>, path: string, from: string): Promise<void> {
    let version = from;
    /** The version at which the connection broke last. */
    let brokeAt: string | undefined;
    const { signal } = this.#closed;
    while (!this.#hasEnded()) {
      const asked = `${path}?${query(this.#options)}&watch=true&allowWatchBookmarks=true&timeoutSeconds=${WATCH_SECONDS}&resourceVersion=${version}`;
      try {
        const response = await cluster.request(asked, { signal });
        if (response.status !== 200 || response.body === null) {
          throw new HarnessError(`${asked} was answered ${response.status}`);
        }
        for await (const line of createInterface(Readable.fromWeb(response.body))) {
          const { type, object } = JSON.parse(line) as {
            type: WatchEvent<T>['type'] | 'BOOKMARK' | 'ERROR';
            object: T;
          };
          if (type === 'ERROR') {
            // Also 410 Gone: what happened in between cannot be had any more.
            throw new HarnessError(`the watch answered ${line}`);
          }
          version = object.metadata?.resourceVersion ?? version;
          if (type !== 'BOOKMARK') {
            const event = { at: new Date(), type, object };
            this.events.push(event);
            this.#options.onEvent?.(event);
            this.#notify();
          }
        }
      } catch (error) {
        if (this.#hasEnded()) {
          return;
        }
        // A connection that breaks loses nothing: from the last version on the server has it all (Kubernetes API
        // concepts, "Efficient detection of changes"). One that breaks twice at the same version does not come back.
        if (error instanceof HarnessError || error instanceof SyntaxError || brokeAt === version) {
          throw error;
        }
        brokeAt = version;
      }
    }
  }

  /** The last state of each object that was seen, by name; deleted ones too. */
  latest(): Map<string, RecordedEvent<T>> {
    return new Map(this.events.map((event) => [event.object.metadata?.name ?? '', event]));
  }

  /**
   * Waits until `accept` answers something else than undefined of what was recorded.
   *
   * @throws DeadlineExceeded with the last event; HarnessError where the watch broke
   */
  async until<R>(
    accept: (events: readonly RecordedEvent<T>[]) => R | undefined,
    options: { what: string; deadlineSeconds: number },
  ): Promise<R> {
    const started = Date.now();
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    const look = (): void => {
      if (this.#broken !== undefined) {
        reject(this.#broken);
        return;
      }
      try {
        const value = accept(this.events);
        if (value !== undefined) {
          resolve(value);
        }
      } catch (error) {
        reject(error);
      }
    };
    const timer = setTimeout(() => {
      reject(new DeadlineExceeded(options.what, (Date.now() - started) / 1000, this.#lastSeen()));
    }, options.deadlineSeconds * 1000);
    const aborted = (): void => reject(this.#options.signal?.reason);
    this.#options.signal?.addEventListener('abort', aborted, { once: true });
    this.#listeners.add(look);
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#options.signal?.removeEventListener('abort', aborted);
      this.#listeners.delete(look);
    }
  }

  #lastSeen(): string {
    const describe =
      this.#options.describe ??
      ((object: T & { status?: unknown }): string => JSON.stringify(object.status ?? {}).slice(0, 600));
    const states = [...this.latest()].map(([name, { type, object }]) => `${type} ${name}: ${describe(object)}`);
    return states.join('; ') || 'nothing';
  }

  /**
   * Ends the watch.
   *
   * @throws HarnessError where it broke before: what was not seen may have been there all the same, so that nothing can
   *   be said of it
   */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.#done;
    if (this.#broken !== undefined) {
      throw this.#broken;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function query({ labelSelector, fieldSelector }: RecorderOptions<never>): string {
  return new URLSearchParams({
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
  }).toString();
}

/** The cache of a definition that was made a moment ago is filled within that time. */
const CACHE_SECONDS = 30;

/**
 * The version of a collection at the moment of a list. A cache that is being filled has the list asked for again
 * (429 and `Retry-After`), and is waited for.
 */
async function resourceVersion(cluster: Pick<ClusterHandle, 'request'>, listed: string): Promise<string> {
  const deadline = Date.now() + CACHE_SECONDS * 1000;
  for (;;) {
    const response = await cluster.request(listed);
    const list = (await response.json()) as { metadata?: { resourceVersion?: string }; message?: string };
    const version = list.metadata?.resourceVersion;
    if (response.status === 200 && version !== undefined) {
      return version;
    }
    const pauseMs = 1000 * Number(response.headers.get('retry-after') ?? Number.NaN);
    if (response.status !== 429 || !(Date.now() + pauseMs <= deadline)) {
      throw new HarnessError(`GET ${listed} was answered ${response.status}: ${list.message}`);
    }
    await delay(pauseMs);
  }
}
