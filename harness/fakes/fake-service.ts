import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { HarnessError } from '../core/errors.ts';
import { redact, redactData } from '../core/redact.ts';
import { type ServiceFault, ServiceFaults } from './service-faults.ts';

/** A request as a fake's handler sees it. */
export interface FakeRequest {
  method: string;
  /** With its query. */
  path: string;
  headers: IncomingHttpHeaders;
  /** Empty where there is none. */
  body: string;
  /** What is kept of it. */
  record: RecordedRequest;
}

/** The answer of a fake. */
export interface FakeAnswer {
  status: number;
  headers?: Record<string, string>;
  /** Text as it is, anything else as JSON. */
  body?: unknown;
}

/** One request, as it was made. No header is kept, so no credential either. */
export interface RecordedRequest {
  /** When it arrived, in milliseconds since the epoch. */
  at: number;
  method: string;
  /** With its query. */
  path: string;
  /** JSON, or text; absent where there was none. Signatures of tokens are cut off. */
  body?: unknown;
  /** HTTP status of the answer; 0 where none was given. */
  status: number;
  /** The faults that it met. */
  faults?: ServiceFault['kind'][];
}

/** @typeParam Subject kinds of things that requests of this service are about */
export interface FakeServiceOptions<Subject extends string = never> {
  /** Answers what no fault has answered. */
  answer(request: FakeRequest): FakeAnswer | Promise<FakeAnswer>;
  /** What a request is about, for faults of one subject alone. */
  subjectOf?(path: string): Subject | undefined;
  /** The body of a 429 or a 500 in the service's own words; default: `{"error": …}`. */
  errorBody?(status: number, message: string): unknown;
  /** PEM; without it the fake speaks plain HTTP. */
  tls?: { cert: string; key: string };
  /** Address to listen at; default: loopback. */
  host?: string;
  /** Default: a free one. */
  port?: number;
}

/** Longer bodies are refused with 413. */
const LONGEST_BODY = 4 * 1024 * 1024;

/** What a target can make the harness hold has a bound. */
const KEPT_REQUESTS = 10_000;

/**
 * An outside service that a target calls: it records each request, fails and delays on demand, and decides nothing
 * about a target.
 */
export class FakeService<Subject extends string = never> implements AsyncDisposable {
  readonly #kept: RecordedRequest[] = [];
  #dropped = 0;
  /** For upgrades, which a fake of another protocol answers. */
  readonly server: Server;
  readonly #options: FakeServiceOptions<Subject>;
  readonly #faults = new ServiceFaults<Subject>();

  private constructor(options: FakeServiceOptions<Subject>) {
    this.#options = options;
    const handle = (request: IncomingMessage, response: ServerResponse): void => {
      this.#handle(request, response).catch(() => response.destroy());
    };
    this.server = options.tls === undefined ? createServer(handle) : createTlsServer(options.tls, handle);
  }

  /** @throws Error where the address cannot be listened at */
  static async start<Subject extends string = never>(
    options: FakeServiceOptions<Subject>,
  ): Promise<FakeService<Subject>> {
    const fake = new FakeService(options);
    await new Promise<void>((resolve, reject) => {
      fake.server.once('error', reject);
      fake.server.listen({ host: options.host ?? '127.0.0.1', port: options.port ?? 0 }, resolve);
    });
    return fake;
  }

  /** @throws HarnessError where there were more than are kept: what is not among them may have been there */
  get requests(): RecordedRequest[] {
    if (this.#dropped > 0) {
      throw new HarnessError(`${this.#dropped} requests beyond the first ${KEPT_REQUESTS} were not kept`);
    }
    return this.#kept;
  }

  /** Where it listens, for example `http://127.0.0.1:40123`. */
  get url(): string {
    const { address, port } = this.server.address() as AddressInfo;
    const scheme = this.#options.tls === undefined ? 'http' : 'https';
    return `${scheme}://${address.includes(':') ? `[${address}]` : address}:${port}`;
  }

  /** Replaces the faults; an empty list ends them. */
  setFaults(faults: ServiceFault<Subject>[]): void {
    this.#faults.set(faults);
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Begins the record of a request; for an upgrade, the fake that answers it fills the status in. */
  record({ method = 'GET', url = '/' }: IncomingMessage): RecordedRequest {
    const record: RecordedRequest = { at: Date.now(), method, path: redact(url), status: 0 };
    if (this.#kept.length < KEPT_REQUESTS) {
      this.#kept.push(record);
    } else {
      this.#dropped += 1;
    }
    return record;
  }

  /**
   * Lets the faults in force happen to a request. @returns what is left to do with it: answer it, lose the answer, or
   * reset it
   */
  async meetFaults(record: RecordedRequest): Promise<FakeAnswer | 'answer' | 'lose-answer' | 'reset'> {
    const { errorBody = (_, error) => ({ error }), subjectOf } = this.#options;
    const faults = this.#faults.take(record.method, subjectOf?.(record.path));
    if (faults.length > 0) {
      record.faults = faults.map(({ kind }) => kind);
    }
    let result: FakeAnswer | 'answer' | 'lose-answer' | 'reset' = 'answer';
    for (const { kind, seconds = 1 } of faults) {
      if (kind === 'latency') {
        await delay(seconds * 1000);
      } else if (kind === 'too-many-requests') {
        const headers = { 'retry-after': String(seconds) };
        result = { status: 429, headers, body: errorBody(429, 'Too many requests') };
      } else if (kind === 'server-error') {
        result = { status: 500, body: errorBody(500, 'Internal error') };
      } else if (kind === 'bad-gateway') {
        result = {
          status: 502,
          headers: { 'content-type': 'text/html' },
          body: '<html><body>502 Bad Gateway</body></html>',
        };
      } else {
        result = kind === 'lost-answer' ? 'lose-answer' : 'reset';
      }
    }
    return result;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const record = this.record(request);
    const { method = 'GET', url = '/', headers } = request;
    if (Number(headers['content-length'] ?? 0) > LONGEST_BODY) {
      record.status = 413;
      response.writeHead(413, { connection: 'close' }).end();
      return;
    }
    const body = await text(request);
    if (body !== '') {
      record.body = readable(body);
    }
    const met = await this.meetFaults(record);
    if (met === 'reset') {
      request.socket.destroy();
      return;
    }
    const answer =
      typeof met === 'object' ? met : await this.#options.answer({ method, path: url, headers, body, record });
    if (met === 'lose-answer') {
      request.socket.destroy();
      return;
    }
    record.status = answer.status;
    send(response, answer);
  }
}

function send(response: ServerResponse, { status, headers, body }: FakeAnswer): void {
  const isText = typeof body === 'string';
  const type = { 'content-type': isText ? 'text/plain' : 'application/json' };
  response.writeHead(status, { ...(body === undefined ? {} : type), ...headers });
  response.end(body === undefined || isText ? body : JSON.stringify(body));
}

/** A body for the record: JSON where it is JSON, and no signature of a token in it. */
function readable(body: string): unknown {
  try {
    return redactData(JSON.parse(body) as unknown);
  } catch {
    return redact(body);
  }
}
