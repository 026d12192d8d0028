import { HarnessError } from '../core/errors.ts';

/**
 * The parts of an environment. Each starts when it is first asked for, once, and parts that do not need each other
 * start at the same time. A part that failed stays failed: nothing is tried again in silence.
 */
export class Parts {
  readonly #onProgress: (part: string, message: string) => void;
  readonly #started = new Map<string, Promise<unknown>>();
  readonly #stops: (() => Promise<unknown>)[] = [];
  #isStopping = false;

  constructor(onProgress: (part: string, message: string) => void) {
    this.#onProgress = onProgress;
  }

  /** @throws HarnessError for a part that was not started yet when the run is being stopped */
  once<T>(key: string, start: () => Promise<T>): Promise<T> {
    const existing = this.#started.get(key);
    if (existing !== undefined) {
      return existing as Promise<T>;
    }
    if (this.#isStopping) {
      return Promise.reject(new HarnessError(`${key} is asked for, but the run is being stopped`));
    }
    const begun = performance.now();
    const part = start().then((value) => {
      this.#onProgress(key, `ready after ${((performance.now() - begun) / 1000).toFixed(1)} s`);
      return value;
    });
    // Who asks gets the error; a part that nobody asks for again must not end the process.
    part.catch(() => undefined);
    this.#started.set(key, part);
    return part;
  }

  /** A part that was asked for before; undefined where nobody did. */
  started(key: string): Promise<unknown> | undefined {
    return this.#started.get(key);
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** Is called when the run stops, at the same time as all others. */
  onStop(stop: () => Promise<unknown>): void {
    this.#stops.push(stop);
  }

  /** Nothing starts from now on. @returns what could not be stopped */
  async stop(): Promise<unknown[]> {
    this.#isStopping = true;
    const results = await Promise.allSettled(this.#stops.map((stop) => stop()));
    return results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  }

  /** Waits until everything that was starting has started or failed, at most so many seconds. */
  async settled(seconds: number): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, seconds * 1000);
    await Promise.race([Promise.allSettled(this.#started.values()), late]);
    clearTimeout(timer);
  }
}
