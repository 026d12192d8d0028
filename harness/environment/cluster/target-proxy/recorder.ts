import type { IncomingMessage } from 'node:http';
import { type ApiRecord, type AskedFor, askedFor, messageOf, userOf } from '../../../kubernetes/api-record.ts';
import type { ApiFault } from '../../../rpc/target-access.ts';

/** One request and what became of it; its record is filled in while it is under way. */
export class Exchange {
  readonly asked: AskedFor;
  readonly record: ApiRecord;
  readonly #begun = performance.now();
  #isDone = false;

  constructor(request: IncomingMessage) {
    this.asked = askedFor(request.method ?? 'GET', request.url ?? '/');
    this.record = {
      at: new Date().toISOString(),
      user: userOf(request.headers.authorization),
      ...this.asked,
      code: 0,
      durationMs: 0,
      bytes: 0,
    };
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  /** Ends the measured duration; a second call changes nothing. */
  finish(): void {
    if (!this.#isDone) {
      this.#isDone = true;
      this.record.durationMs = this.#elapsedMs();
    }
  }

  /** Adds to the length of the answer's body; returns the length so far. */
  count(bytes: number): number {
    this.record.bytes = (this.record.bytes ?? 0) + bytes;
    return this.record.bytes;
  }

  /** Names the fault that answered the request or cut its answer. */
  blame(fault: ApiFault): void {
    this.record.fault = fault.kind;
  }

  /** Keeps the message of a refusal, where its body is a `Status` (meta/v1). */
  keepMessage(body: readonly Buffer[]): void {
    const message = messageOf(Buffer.concat(body).toString('utf8'));
    if (message !== undefined) {
      this.record.message = message;
    }
  }

  /** The record as it stands; the duration of a request that is under way is the time until now. */
  snapshot(): ApiRecord {
    return { ...this.record, durationMs: this.#isDone ? this.record.durationMs : this.#elapsedMs() };
  }

  #elapsedMs(): number {
    return Math.round(performance.now() - this.#begun);
  }
}

/** Keeps the first requests that arrive, up to a limit, and counts the rest. */
export class RequestRecorder {
  readonly #limit: number;
  readonly #exchanges: Exchange[] = [];
  #dropped = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Begins the record of a request that has arrived. */
  begin(request: IncomingMessage): Exchange {
    const exchange = new Exchange(request);
    if (this.#exchanges.length < this.#limit) {
      this.#exchanges.push(exchange);
    } else {
      this.#dropped += 1;
    }
    return exchange;
  }

  /** The requests without a complete answer yet. */
  underWay(): Exchange[] {
    return this.#exchanges.filter(({ isDone }) => !isDone);
  }

  records(): { records: ApiRecord[]; dropped: number } {
    return { records: this.#exchanges.map((exchange) => exchange.snapshot()), dropped: this.#dropped };
  }
}
