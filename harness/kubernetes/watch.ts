import { type KubeConfig, type KubernetesObject, Watch } from '@kubernetes/client-node';
import { DeadlineExceeded } from '../core/errors.ts';

/** One event of a watch (Kubernetes API concepts, "Efficient detection of changes"). */
export interface WatchEvent<T> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: T;
}

export interface WatchOptions<T> {
  /** What is waited for, in words, for example `pod agent to be Ready`. */
  what: string;
  deadlineSeconds: number;
  fieldSelector?: string;
  labelSelector?: string;
  /** How an object is described in the message of a wait that failed; default: its status as JSON. */
  describe?: (object: T) => string;
  signal?: AbortSignal;
}

/**
 * Whether an answer that had begun was cut: its connection was closed under it, by an API server that restarts or by a
 * proxy or load balancer on the way. `fetch` has no code for it (Fetch standard, "terminated").
 */
function isCut(error: unknown): boolean {
  return error instanceof TypeError && error.message === 'terminated';
}

function describeStatus(object: KubernetesObject & { status?: unknown }): string {
  return `${object.metadata?.name}: ${JSON.stringify(object.status ?? {}).slice(0, 600)}`;
}

/**
 * Watches `path` (for example `/api/v1/namespaces/default/pods`) from its present state on until `accept` answers
 * something else than undefined, and gives that back. A watch that the server closes (they all end after some minutes),
 * or that is cut on the way, is opened again.
 *
 * @throws DeadlineExceeded with what was seen last; HarnessError-like errors of the API server as they come
 */
export async function watchUntil<T extends KubernetesObject, R>(
  kubeConfig: KubeConfig,
  path: string,
  accept: (event: WatchEvent<T>) => R | undefined,
  options: WatchOptions<T>,
): Promise<R> {
  const started = Date.now();
  const deadline = started + options.deadlineSeconds * 1000;
  let lastSeen = 'nothing';
  let cuts = 0;
  for (;;) {
    const remaining = deadline - Date.now();
    if (remaining <= 0) {
      const cut = cuts === 0 ? '' : `; the watch was cut ${cuts} times`;
      throw new DeadlineExceeded(options.what, (Date.now() - started) / 1000, lastSeen + cut);
    }
    const result = await watchOnce<T, R>(kubeConfig, path, accept, options, remaining, (text) => {
      lastSeen = text;
    });
    if (result.found) {
      return result.value;
    }
    cuts += result.cut ? 1 : 0;
  }
}

type Found<R> = { found: true; value: R } | { found: false; cut: boolean };

async function watchOnce<T extends KubernetesObject, R>(
  kubeConfig: KubeConfig,
  path: string,
  accept: (event: WatchEvent<T>) => R | undefined,
  options: WatchOptions<T>,
  remainingMs: number,
  seen: (text: string) => void,
): Promise<Found<R>> {
  const { promise, resolve, reject } = Promise.withResolvers<Found<R>>();
  // It may be rejected while the watch is still being opened, before anybody waits for it.
  promise.catch(() => undefined);
  const timer = setTimeout(() => resolve({ found: false, cut: false }), remainingMs);
  const aborted = (): void => reject(options.signal?.reason);
  options.signal?.addEventListener('abort', aborted, { once: true });
  const controller = await new Watch(kubeConfig).watch(
    path,
    {
      fieldSelector: options.fieldSelector,
      labelSelector: options.labelSelector,
      timeoutSeconds: Math.ceil(remainingMs / 1000),
    },
    (type: string, object: T) => {
      if (type === 'ERROR') {
        seen(`the watch answered ${JSON.stringify(object)}`);
        return;
      }
      seen(`${type} ${(options.describe ?? describeStatus)(object)}`);
      try {
        const value = accept({ type: type as WatchEvent<T>['type'], object });
        if (value !== undefined) {
          resolve({ found: true, value });
        }
      } catch (error) {
        reject(error);
      }
    },
    (error: unknown) => {
      // Closed by the server or idle for too long: the caller opens it again until the deadline.
      const closed = error === null || error === undefined || (error as Error).name === 'TimeoutError';
      if (closed || (error as Error).name === 'AbortError' || isCut(error)) {
        resolve({ found: false, cut: isCut(error) });
      } else {
        reject(error);
      }
    },
  );
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', aborted);
    controller.abort();
  }
}
