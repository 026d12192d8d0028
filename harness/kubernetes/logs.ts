import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { DeadlineExceeded, HarnessError } from '../core/errors.ts';
import type { ClusterHandle } from './cluster-handle.ts';

/** Query of `GET …/pods/NAME/log` (Kubernetes API reference, "read log of the specified Pod"). */
export interface LogQuery {
  /** Absent: of the only one. A cluster may add containers to a pod, and the API server then wants to know which. */
  container?: string;
  follow?: boolean;
  limitBytes?: number;
  tailLines?: number;
  timestamps?: boolean;
}

function logPath(namespace: string, pod: string, query: LogQuery): string {
  const parameters = Object.entries(query).map(([key, value]): [string, string] => [key, String(value)]);
  return `/api/v1/namespaces/${namespace}/pods/${pod}/log?${new URLSearchParams(parameters)}`;
}

/** The log of a pod as the API server gives it, byte for byte. */
export async function readLog(
  cluster: Pick<ClusterHandle, 'request'>,
  namespace: string,
  pod: string,
  query: LogQuery = {},
): Promise<{ status: number; body: Buffer }> {
  const response = await cluster.request(logPath(namespace, pod, query));
  return { status: response.status, body: Buffer.from(await response.arrayBuffer()) };
}

/** A log that is being followed: each line with the time at which the harness saw it. */
export class FollowedLog implements AsyncDisposable {
  readonly lines: { at: Date; text: string }[] = [];
  readonly #closed = new AbortController();
  readonly #listeners = new Set<() => void>();
  readonly #name: string;
  #ended = false;
  #broken: unknown;

  private constructor(name: string) {
    this.#name = name;
  }

  /** Follows the log of a container that has started. Errors go to whoever waits for a line. */
  static open(
    cluster: Pick<ClusterHandle, 'request'>,
    { namespace, pod, container }: { namespace: string; pod: string; container: string },
  ): FollowedLog {
    const log = new FollowedLog(`${namespace}/${pod}`);
    // Not awaited: a proxy may hold back the head of an answer until its first byte.
    void log
      .#follow(cluster, logPath(namespace, pod, { container, follow: true }))
      .catch((error: unknown) => {
        log.#broken = error;
      })
      .finally(() => {
        log.#ended = true;
        log.#notify();
      });
    return log;
  }

  async #follow(cluster: Pick<ClusterHandle, 'request'>, path: string): Promise<void> {
    const response = await cluster.request(path, { signal: this.#closed.signal });
    if (response.status !== 200 || response.body === null) {
      throw new HarnessError(`GET ${path} was answered ${response.status}: ${await response.text()}`);
    }
    for await (const text of createInterface(Readable.fromWeb(response.body))) {
      this.lines.push({ at: new Date(), text });
      this.#notify();
    }
  }

  #notify(): void {
    for (const listener of this.#listeners) {
      listener();
    }
  }

  /** Waits until a line satisfies `accept`. @throws DeadlineExceeded when none did, or the log ended before */
  async line(
    accept: (text: string) => boolean,
    options: { what: string; deadlineSeconds: number },
  ): Promise<{ at: Date; text: string }> {
    const started = Date.now();
    const { promise, resolve, reject } = Promise.withResolvers<{ at: Date; text: string }>();
    const settle = (): void => {
      const seconds = (Date.now() - started) / 1000;
      const tail = this.lines.slice(-3).map(({ text }) => text);
      const state = this.#ended ? 'the log has ended' : 'the log is open';
      reject(
        new DeadlineExceeded(
          `${options.what} in the log of ${this.#name}`,
          seconds,
          `${state}, ${this.lines.length} lines, ${JSON.stringify(tail)}`,
        ),
      );
    };
    const look = (): void => {
      const found = this.lines.find(({ text }) => accept(text));
      if (found !== undefined) {
        resolve(found);
      } else if (this.#broken !== undefined && !this.#closed.signal.aborted) {
        reject(new HarnessError(`the log of ${this.#name} broke`, { cause: this.#broken }));
      } else if (this.#ended) {
        settle();
      }
    };
    const timer = setTimeout(settle, options.deadlineSeconds * 1000);
    this.#listeners.add(look);
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#listeners.delete(look);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
  }
}
