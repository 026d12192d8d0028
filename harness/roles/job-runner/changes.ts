/** Wakes those who wait for what a scenario sees, at each change of it. */
export class Changes {
  readonly #listeners = new Set<() => void>();
  readonly #signal: AbortSignal;

  /** @param signal aborts every wait, with its reason */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Something was seen: everybody looks again. */
  notify(): void {
    for (const listener of this.#listeners) {
      listener();
    }
  }

  /**
   * Waits until `look` finds something.
   *
   * @param look is called at once and at each change; undefined: not yet
   * @returns undefined where it has found nothing within the deadline
   */
  async find<R>(look: () => R | undefined, deadlineSeconds: number): Promise<R | undefined> {
    this.#signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<R | undefined>();
    const listener = (): void => {
      try {
        const found = look();
        if (found !== undefined) {
          resolve(found);
        }
      } catch (error) {
        reject(error);
      }
    };
    const timer = setTimeout(() => resolve(undefined), Math.max(0, deadlineSeconds) * 1000);
    const aborted = (): void => reject(this.#signal.reason);
    this.#signal.addEventListener('abort', aborted, { once: true });
    this.#listeners.add(listener);
    listener();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#listeners.delete(listener);
      this.#signal.removeEventListener('abort', aborted);
    }
  }

  /** Waits until a condition is met. @returns false where it was not met within the deadline */
  async until(isMet: () => boolean, deadlineSeconds: number): Promise<boolean> {
    return (await this.find(() => isMet() || undefined, deadlineSeconds)) === true;
  }

  /** Looks on for what must not happen: that nothing was seen for so long is the evidence. */
  async watchFor(seconds: number): Promise<void> {
    await this.find(() => undefined, seconds);
  }
}
