import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { redact } from './redact.ts';

/** The last lines that a program wrote, for the message of an error; signatures of tokens are cut off. */
export class LogTail {
  readonly #lines: string[] = [];
  readonly #limit: number;

  /** @param limit lines that are kept */
  constructor(limit: number) {
    this.#limit = limit;
  }

  add(line: string): void {
    this.#lines.push(redact(line));
    if (this.#lines.length > this.#limit) {
      this.#lines.shift();
    }
  }

  /** Adds every line of a stream; for `withLogConsumer` of testcontainers. */
  readonly consume = (stream: Readable): void => {
    createInterface({ input: stream }).on('line', (line) => this.add(line));
  };

  /** The last lines, at most so many. */
  last(count = this.#limit): string {
    return this.#lines.length === 0 ? '(it wrote nothing)' : this.#lines.slice(-count).join('\n');
  }

  toString(): string {
    return this.last();
  }
}
