import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { redactData } from '../core/redact.ts';
import { FakeService, type RecordedRequest } from './fake-service.ts';
import type { ServiceFault } from './service-faults.ts';

/** One message of the protocol: JSON with a type. */
export interface Frame {
  type: string;
  data?: Record<string, unknown>;
}

/** A frame that was sent or received; signatures of tokens are cut off. */
export interface RecordedFrame {
  /** In milliseconds since the epoch. */
  at: number;
  direction: 'sent' | 'received';
  frame: Frame;
}

export interface WebSocketBackendOptions {
  /** Called when a worker has connected, before any frame goes to it. */
  onConnect(): void;
  onFrame(frame: Frame): void;
  /** Called where a connection fails, or a worker sends what is no frame. */
  onError(error: Error): void;
}

/** What a worker can make the harness hold has a bound. */
const KEPT_FRAMES = 10_000;

/**
 * The backend of a worker that is given work on a WebSocket: the worker dials, at any path, and both sides send frames.
 * Faults happen to the dialling; plain requests are answered by an empty object.
 */
export class WebSocketBackend implements AsyncDisposable {
  readonly frames: RecordedFrame[] = [];
  readonly #options: WebSocketBackendOptions;
  readonly #service: FakeService;
  readonly #sockets = new WebSocketServer({ noServer: true });
  /** Frames for the worker that connects next. */
  readonly #waiting: Frame[] = [];
  #connected: WebSocket | undefined;

  private constructor(options: WebSocketBackendOptions, service: FakeService) {
    this.#options = options;
    this.#service = service;
    service.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#upgrade(request, socket, head).catch(() => socket.destroy());
    });
    this.#sockets.on('connection', (socket) => this.#connect(socket));
  }

  /** Listens at loopback, by plain HTTP. */
  static async start(options: WebSocketBackendOptions): Promise<WebSocketBackend> {
    return new WebSocketBackend(options, await FakeService.start({ answer: () => ({ status: 200, body: {} }) }));
  }

  get url(): string {
    return this.#service.url;
  }

  /** @param path for example `/api/v1/worker/ws` */
  webSocketUrl(path: string): string {
    return `${this.url.replace(/^http/, 'ws')}${path}`;
  }

  /** Requests, those for upgrades among them (status 101). */
  get requests(): readonly RecordedRequest[] {
    return this.#service.requests;
  }

  /** Replaces the faults; an empty list ends them. */
  setFaults(faults: ServiceFault[]): void {
    this.#service.setFaults(faults);
  }

  /** Sends a frame to the worker that connected last; while none is connected, it waits for the next. */
  send(frame: Frame): void {
    const socket = this.#connected;
    if (socket === undefined || socket.readyState !== socket.OPEN) {
      this.#waiting.push(frame);
      return;
    }
    this.#record('sent', frame);
    socket.send(JSON.stringify(frame));
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) {
      socket.terminate();
    }
    await this.#service.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    const record = this.#service.record(request);
    const met = await this.#service.meetFaults(record);
    if (typeof met === 'object') {
      record.status = met.status;
      const headers = Object.entries(met.headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.end(`HTTP/1.1 ${met.status} refused\r\n${headers.join('')}content-length: 0\r\nconnection: close\r\n\r\n`);
      return;
    }
    if (met !== 'answer') {
      socket.destroy();
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      record.status = 101;
      this.#sockets.emit('connection', webSocket, request);
    });
  }

  #connect(socket: WebSocket): void {
    this.#connected = socket;
    socket.on('error', (error) => this.#options.onError(error));
    socket.on('message', (raw: Buffer) => this.#receive(raw.toString('utf8')));
    this.#options.onConnect();
    for (const frame of this.#waiting.splice(0)) {
      this.send(frame);
    }
  }

  #receive(text: string): void {
    let frame: Frame;
    try {
      frame = JSON.parse(text) as Frame;
    } catch (cause) {
      this.#options.onError(new Error(`the worker sent what is not JSON: ${(cause as Error).message}`, { cause }));
      return;
    }
    this.#record('received', frame);
    this.#options.onFrame(frame);
  }

  #record(direction: RecordedFrame['direction'], frame: Frame): void {
    if (this.frames.length < KEPT_FRAMES) {
      this.frames.push({ at: Date.now(), direction, frame: redactData(frame) });
    }
  }
}
