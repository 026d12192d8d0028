import { availableParallelism } from 'node:os';
import type { StepReporter } from '../engine/progress.ts';

/** Work that making one image takes where no registry has it, processor seconds (fixtures/images/effort.yaml). */
export type Piece = {
  /** Of the image, or of the base that it lies on. */
  readonly name: string;
  /** Compilers: as many processors as there are. NaN where nobody knows, as with `build`. */
  readonly compile: number;
  /** The rest: one processor after the other. */
  readonly build: number;
};

/**
 * How long pieces of work take that are done side by side.
 *
 * @param chains the pieces of each image, its base's first; a base that several lie on is made once
 * @returns seconds: what the processors have to do in all, or the longest chain, whichever is more; NaN where nobody
 *   knows of one piece
 */
export function forecast(chains: readonly (readonly Piece[])[], processors: number = availableParallelism()): number {
  const lengthOf = (pieces: Iterable<Piece>) =>
    [...pieces].reduce((sum, { compile, build }) => sum + compile / processors + build, 0);
  const once = new Map(chains.flat().map((piece) => [piece.name, piece]));
  const work = [...once.values()].reduce((sum, { compile, build }) => sum + compile + build, 0);
  return Math.max(work / processors, ...chains.map(lengthOf), 0);
}

/** `about 8 min`, `about 40 s`. */
export function roughly(seconds: number): string {
  return seconds < 90
    ? `about ${Math.max(10, Math.ceil(seconds / 10) * 10)} s`
    : `about ${Math.ceil(seconds / 60)} min`;
}

/** Says what set-up has before it, how long that takes, and with each image that is there what is left. */
export class Overview {
  readonly #left: Map<string, readonly Piece[]>;
  readonly #total: number;
  readonly #report: StepReporter;
  readonly #now: () => number;
  readonly #begin: number;

  /**
   * @param missing the pieces of each image that is not there, by the image's name
   * @param now clock in milliseconds, for tests
   */
  constructor(
    missing: ReadonlyMap<string, readonly Piece[]>,
    report: StepReporter,
    now: () => number = () => performance.now(),
  ) {
    this.#left = new Map(missing);
    this.#total = missing.size;
    this.#report = report;
    this.#now = now;
    this.#begin = now();
  }

  /** The first line. */
  begin(): void {
    if (this.#total === 0) {
      return;
    }
    const processors = availableParallelism();
    const seconds = forecast([...this.#left.values()], processors);
    const time = seconds > 0 ? `; ${roughly(seconds)} on ${processors} processors where no registry has them` : '';
    const names = [...this.#left.keys()].join(', ');
    this.#report.note(
      `${this.#total} to get: ${names}${time}. A set-up that is broken off continues where it stopped.`,
    );
  }

  /** An image is there. */
  ready(name: string): void {
    this.#left.delete(name);
    const seconds = forecast([...this.#left.values()]) - (this.#now() - this.#begin) / 1000;
    const rest =
      this.#left.size === 0
        ? 'all are there'
        : `${this.#left.size} left: ${[...this.#left.keys()].join(', ')}${seconds > 0 ? `; ${roughly(seconds)}` : ''}`;
    this.#report.note(`${name} is there, ${this.#total - this.#left.size} of ${this.#total}; ${rest}`);
  }
}
