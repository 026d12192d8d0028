/** Something that changes by events, and those who wait until it is as they want it. */
export class Changes {
  readonly #listeners = new Set<() => void>();

  /** Reports that something has changed: everybody who waits looks again. */
  notify(): void {
    for (const listener of this.#listeners) {
      listener();
    }
  }

  /**
   * Waits until `accept` gives something other than undefined: it is asked now and at each change.
   *
   * @returns undefined when the deadline has passed: what that means is for the caller to decide
   * @throws what `accept` throws, or the signal's reason
   */
  async until<R>(accept: () => R | undefined, deadlineSeconds: number, signal: AbortSignal): Promise<R | undefined> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<R | undefined>();
    const look = (): void => {
      try {
        const value = accept();
        if (value !== undefined) {
          resolve(value);
        }
      } catch (error) {
        reject(error);
      }
    };
    const abort = (): void => reject(signal.reason);
    const timer = setTimeout(() => resolve(undefined), Math.max(0, deadlineSeconds) * 1000);
    signal.addEventListener('abort', abort, { once: true });
    this.#listeners.add(look);
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#listeners.delete(look);
      signal.removeEventListener('abort', abort);
    }
  }
}
