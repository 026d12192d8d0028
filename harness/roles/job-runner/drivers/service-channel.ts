import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { setTimeout as delay } from 'node:timers/promises';
import { linesOf } from '../../../../fixtures/workloads/lib/lines.ts';
import { HarnessError } from '../../../core/errors.ts';

/** Between two tries while the Service cannot be reached: nothing reports when it can. */
const AGAIN_MS = 250;

/** Statuses of a Service without a Ready pod, and of what stands before it. */
const UNAVAILABLE = [502, 503, 504];

interface Answer {
  status: number;
  body: ReadableStream | null;
  text(): Promise<string>;
}

export interface ServiceChannelOptions {
  /** Calls the Service. */
  call(path: string, init: { method?: string; body?: string; signal?: AbortSignal }): Promise<Answer>;
  /** Given each line that the runner reports. */
  take(line: string): void;
  /** How long work is offered to a runner that cannot be reached. */
  patienceSeconds: number;
}

/** The way to a runner that reports and takes work by HTTP (fixtures/workloads/job-runner/README.md). */
export class ServiceChannel {
  readonly #options: ServiceChannelOptions;
  readonly #closed = new AbortController();
  #last = 0;
  #listening: Promise<void> | undefined;

  constructor(options: ServiceChannelOptions) {
    this.#options = options;
  }

  /**
   * Reads everything that it reports, from the first line on and each once, over broken connections. May be called
   * again.
   */
  listen(): void {
    this.#listening ??= this.#listen();
  }

  async #listen(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      try {
        const response = await this.#options.call(`/events?after=${this.#last}`, { signal });
        if (response.status === 200 && response.body !== null) {
          for await (const line of linesOf(Readable.fromWeb(response.body))) {
            this.#take(line);
          }
        } else {
          await response.text();
        }
      } catch {
        // It is gone, or not yet there: lines that were missed come again by their number.
      }
      await delay(AGAIN_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  #take(line: string): void {
    const { number = this.#last + 1 } = JSON.parse(line) as { number?: number };
    this.#last = Math.max(this.#last, number);
    this.#options.take(line);
  }

  /**
   * Hands a line to the runner, again and again while the Service is unavailable.
   *
   * @param isGone true when there is no runner any more: what it is sent then is lost, as it is to a process
   * @throws HarnessError where the Service refuses it, or is unavailable for too long
   */
  async send(line: object, isGone: () => boolean): Promise<void> {
    const deadline = Date.now() + this.#options.patienceSeconds * 1000;
    for (;;) {
      const response = await this.#options.call('/requests', { method: 'POST', body: JSON.stringify(line) });
      const answer = await response.text();
      if (response.status < 400 || isGone()) {
        return;
      }
      if (!UNAVAILABLE.includes(response.status) || Date.now() > deadline) {
        throw new HarnessError(`the runner’s Service answered ${response.status}: ${answer.slice(0, 200)}`);
      }
      await delay(AGAIN_MS);
    }
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#listening;
  }
}
