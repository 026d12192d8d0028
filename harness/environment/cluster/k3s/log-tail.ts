import type { Readable } from 'node:stream';
import { redact } from '../../../core/redact.ts';

/** The last lines that a container wrote, for the message of an error; signatures of tokens are cut off. */
export class LogTail {
  readonly #lines: string[] = [];
  readonly #limit: number;

  /** @param limit lines that are kept */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** For `withLogConsumer` of testcontainers. */
  readonly consume = (stream: Readable): void => {
    stream.on('data', (line: Buffer | string) => {
      this.#lines.push(redact(line.toString().trimEnd()));
      if (this.#lines.length > this.#limit) {
        this.#lines.shift();
      }
    });
  };

  /** The last lines, at most so many. */
  last(count = this.#limit): string {
    return this.#lines.slice(-count).join('\n');
  }
}
