import { Changes } from '../../core/changes.ts';

/** Wakes those who wait for what a scenario sees, at each change of it. */
export class SeenChanges {
  readonly #seen = new Changes();
  readonly #signal: AbortSignal;

  /** @param signal aborts every wait, with its reason */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Something was seen: everybody looks again. */
  notify(): void {
    this.#seen.notify();
  }

  /**
   * Waits until `look` finds something.
   *
   * @param look is called at once and at each change; undefined: not yet
   * @returns undefined where it has found nothing within the deadline
   */
  find<R>(look: () => R | undefined, deadlineSeconds: number): Promise<R | undefined> {
    return this.#seen.until(look, deadlineSeconds, this.#signal);
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
