import { FakeService, type RecordedRequest } from './fake-service.ts';
import type { ServiceFault } from './service-faults.ts';

/** What an issue or a run is while nobody has cancelled it. */
const STATUS_UNDER_WAY = { issues: 'in_progress', 'heartbeat-runs': 'running' } as const;

/**
 * The API of Paperclip, as far as an adapter asks it: `GET /api/issues/ID` and `GET /api/heartbeat-runs/ID` answer what
 * became of an issue or a run. Everything else is answered by an empty object.
 */
export class IssuesApi implements AsyncDisposable {
  readonly #cancelled: Set<string>;
  readonly #service: FakeService;

  private constructor(cancelled: Set<string>, service: FakeService) {
    this.#cancelled = cancelled;
    this.#service = service;
  }

  /** Listens at loopback, by plain HTTP. */
  static async start(): Promise<IssuesApi> {
    const cancelled = new Set<string>();
    const service = await FakeService.start({
      answer: ({ path }) => ({ status: 200, body: statusOf(path, cancelled) }),
    });
    return new IssuesApi(cancelled, service);
  }

  get url(): string {
    return this.#service.url;
  }

  get requests(): readonly RecordedRequest[] {
    return this.#service.requests;
  }

  /** From now on the issue, and the run, of this id is `cancelled`. */
  cancel(id: string): void {
    this.#cancelled.add(id);
  }

  /** Replaces the faults; an empty list ends them. */
  setFaults(faults: ServiceFault[]): void {
    this.#service.setFaults(faults);
  }

  close(): Promise<void> {
    return this.#service.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function statusOf(path: string, cancelled: ReadonlySet<string>): { id?: string; status?: string } {
  const [, kind, encoded = ''] = /^\/api\/(issues|heartbeat-runs)\/([^/?]*)/.exec(path) ?? [];
  if (kind === undefined) {
    return {};
  }
  const id = decoded(encoded);
  return { id, status: cancelled.has(id) ? 'cancelled' : STATUS_UNDER_WAY[kind as keyof typeof STATUS_UNDER_WAY] };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
