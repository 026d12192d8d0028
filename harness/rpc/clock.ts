import type { ClockSettings } from './protocol.ts';

/** Time as a requirement sees it. */
export interface Clock extends ClockSettings {
  /**
   * Waits until an instant that the contract itself names (a token's `exp`, for example): not a guess, and nothing
   * could be watched instead. Ends at once for an instant in the past; rejects when the run is broken off.
   *
   * @param why is shown as progress, with the time
   */
  until(instant: Date, why: string): Promise<void>;
}

/** A wait that a person would wonder about. */
const WORTH_TELLING_MS = 5_000;

export function createClock(
  settings: ClockSettings,
  progress: (message: string) => void,
  signal: AbortSignal | undefined,
): Clock {
  return {
    ...settings,
    until(instant, why) {
      const remaining = instant.getTime() - Date.now();
      if (remaining <= 0) {
        return Promise.resolve();
      }
      if (remaining >= WORTH_TELLING_MS) {
        progress(`waits until ${instant.toISOString().slice(11, 19)} (${Math.ceil(remaining / 1000)} s): ${why}`);
      }
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          signal?.removeEventListener('abort', broken);
          resolve();
        }, remaining);
        const broken = (): void => {
          clearTimeout(timer);
          reject(signal?.reason);
        };
        signal?.addEventListener('abort', broken, { once: true });
      });
    },
  };
}
