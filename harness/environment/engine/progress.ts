/** One thing that set-up is doing, reported while it is done. */
export type SetUpProgress = {
  /** What is worked on: `engine`, or an image as `image kubernetes-node`. */
  readonly part: string;
  /** What is being done, a short phrase. The same phrase again means the same step, further on. */
  readonly step: string;
  /** How far it is, for example `412 packages compiled`. Absent when the step has no measure. */
  readonly detail?: string;
  /** `begin` of a step, `advance` within it, `end` of it; `note` stands alone. */
  readonly phase: 'begin' | 'advance' | 'end' | 'note';
  /** Milliseconds since the step began. */
  readonly elapsedMs?: number;
};

/** Receives the progress of set-up; must not throw. */
export type OnProgress = (progress: SetUpProgress) => void;

/** A step without news reports at least that it goes on, milliseconds: linking a program takes half a minute. */
const PULSE = 10_000;

/** The steps of one part, with their times. */
export class StepReporter {
  readonly #part: string;
  readonly #onProgress: OnProgress;

  constructor(part: string, onProgress: OnProgress) {
    this.#part = part;
    this.#onProgress = onProgress;
  }

  /** Reports something that is not a step. */
  note(step: string): void {
    this.#onProgress({ part: this.#part, step, phase: 'note' });
  }

  /**
   * Runs one step and reports its begin, how it advances and its end with the time it took.
   * An error is passed on as it is; the step then has no end.
   */
  async step<T>(step: string, work: (advance: (detail: string) => void) => Promise<T>): Promise<T> {
    const begin = performance.now();
    let last: string | undefined;
    const report = (phase: 'advance' | 'end') => {
      const elapsedMs = performance.now() - begin;
      const detail = last === undefined ? {} : { detail: last };
      this.#onProgress({ part: this.#part, step, phase, elapsedMs, ...detail });
    };
    this.#onProgress({ part: this.#part, step, phase: 'begin' });
    const pulse = setInterval(() => report('advance'), PULSE);
    try {
      const result = await work((detail) => {
        last = detail;
        report('advance');
      });
      report('end');
      return result;
    } finally {
      clearInterval(pulse);
    }
  }
}
