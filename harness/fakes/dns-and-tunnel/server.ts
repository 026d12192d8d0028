import { type FakeAnswer, type FakeRequest, FakeService, type RecordedRequest } from '../fake-service.ts';
import type { ServiceFault } from '../service-faults.ts';
import { type DnsRecord, type DnsRecordInput, type EdgeChange, type EdgeIds, Refusal, Zone } from './zone.ts';

/** The path of the API's base URL, which is fixed in its clients. */
const BASE_PATH = '/client/v4';

/**
 * The API's default and the most that this fake gives in one page: so that an operator that reads one page alone is
 * seen.
 */
const DEFAULT_PER_PAGE = 100;
const MAXIMUM_PER_PAGE = 5_000;

/** What a request may be about. */
type EdgeSubject = 'records' | 'tunnel';

/** One request, as it was made. Nothing of its credential is kept. */
export interface EdgeRequest extends RecordedRequest {
  /** Without host and base path, with the query. */
  path: string;
  /** True where it had the right bearer token; absent where a fault answered it. */
  authorized?: boolean;
  /** Code of the API's error, where it refused. */
  code?: number;
}

export interface FakeOptions {
  ids: EdgeIds;
  /** The bearer token that is accepted. */
  token: string;
  /** PEM; without it the fake speaks plain HTTP. */
  tls?: { cert: string; key: string };
  /** Address to listen at; default: loopback. */
  host?: string;
  /** Default: a free one. */
  port?: number;
}

interface Result {
  result: unknown;
  info?: object;
}

/**
 * A stateful fake of a DNS and tunnel API (Cloudflare API v4): records, a tunnel's configuration as one document,
 * pages, refusals as the real one words them, faults on demand, and a log of every request. It decides nothing about a
 * target.
 */
export class DnsAndTunnelFake implements AsyncDisposable {
  readonly zone: Zone;
  /** The bearer token that is accepted. */
  readonly token: string;
  #service: FakeService<EdgeSubject> | undefined;
  /** What its answers said, beside what every fake records. */
  readonly #said = new Map<RecordedRequest, Pick<EdgeRequest, 'authorized' | 'code'>>();
  readonly #listeners = new Set<(change: EdgeChange) => void>();

  private constructor({ ids, token }: FakeOptions) {
    this.zone = new Zone(ids, (change) => {
      for (const listener of this.#listeners) {
        listener(change);
      }
    });
    this.token = token;
  }

  /** @throws Error where the address is taken */
  static async start(options: FakeOptions): Promise<DnsAndTunnelFake> {
    const { ids: _, token: __, ...rest } = options;
    const fake = new DnsAndTunnelFake(options);
    fake.#service = await FakeService.start<EdgeSubject>({
      ...rest,
      subjectOf,
      errorBody: (status, message) =>
        refusal(
          status === 429
            ? new Refusal(429, 971, 'Please wait and consider throttling your request speed')
            : new Refusal(status, 10001, message),
        ),
      answer: (request) => fake.#answer(request),
    });
    return fake;
  }

  get #running(): FakeService<EdgeSubject> {
    if (this.#service === undefined) {
      throw new Error('the fake was not started');
    }
    return this.#service;
  }

  /** Every request so far. */
  get requests(): EdgeRequest[] {
    return this.#running.requests.map((record) => ({
      ...record,
      path: record.path.startsWith(`${BASE_PATH}/`) ? record.path.slice(BASE_PATH.length) : record.path,
      ...this.#said.get(record),
    }));
  }

  /** Where it listens, for example `http://127.0.0.1:40123`: what stands for `https://api.cloudflare.com`. */
  get url(): string {
    return this.#running.url;
  }

  /** Replaces the faults; an empty list ends them. */
  setFaults(faults: ServiceFault<EdgeSubject>[]): void {
    this.#running.setFaults(faults);
  }

  /** Calls `listener` at each change. @returns ends that */
  onChange(listener: (change: EdgeChange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(): Promise<void> {
    return this.#running.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #answer({ method, path, headers, body, record }: FakeRequest): FakeAnswer {
    const url = new URL(path, 'http://localhost');
    const known = url.pathname.startsWith(`${BASE_PATH}/`) ? url.pathname.slice(BASE_PATH.length) : undefined;
    const authorized = headers.authorization === `Bearer ${this.token}`;
    try {
      if (!authorized) {
        throw new Refusal(403, 10000, 'Authentication error');
      }
      const { result, info } = this.#route(method, known, url.searchParams, parsed(body));
      this.#said.set(record, { authorized });
      const rest = info === undefined ? {} : { result_info: info };
      return { status: 200, body: { success: true, errors: [], messages: [], result, ...rest } };
    } catch (error) {
      const refused = error instanceof Refusal ? error : new Refusal(500, 10001, (error as Error).message);
      this.#said.set(record, { authorized, code: refused.code });
      return { status: refused.status, body: refusal(refused) };
    }
  }

  #route(method: string, path: string | undefined, query: URLSearchParams, body: unknown): Result {
    const { zone, account, tunnel, domain } = this.zone.ids;
    const [, kind, owner, ...rest] = (path ?? '').split('/');
    if (kind === 'zones' && owner === undefined && method === 'GET') {
      return { result: [zoneResult(zone, account, domain)], info: pageInfo(1, DEFAULT_PER_PAGE, 1, 1) };
    }
    if (kind === 'zones' && owner === zone) {
      return this.#routeZone(method, rest, query, body as DnsRecordInput);
    }
    if (kind === 'accounts' && owner === account && rest[0] === 'cfd_tunnel' && rest[1] === tunnel) {
      return this.#routeTunnel(method, rest.slice(2), body as { config?: unknown } | undefined);
    }
    throw noRoute(path);
  }

  #routeZone(method: string, [kind, id]: string[], query: URLSearchParams, body: DnsRecordInput): Result {
    const { zone, account, domain } = this.zone.ids;
    if (kind === undefined && method === 'GET') {
      return { result: zoneResult(zone, account, domain) };
    }
    if (kind !== 'dns_records') {
      throw noRoute(kind);
    }
    if (id === undefined) {
      if (method === 'POST') {
        return { result: this.zone.create(body ?? {}) };
      }
      if (method === 'GET') {
        return page(this.zone.records().filter(filterOf(query)), query);
      }
    } else {
      if (method === 'GET') {
        return { result: this.zone.record(id) };
      }
      if (method === 'DELETE') {
        return { result: { id: this.zone.remove(id).id } };
      }
      if (method === 'PUT' || method === 'PATCH') {
        return { result: this.zone.update(id, body ?? {}) };
      }
    }
    throw new Refusal(405, 10405, `Method ${method} not allowed`);
  }

  #routeTunnel(method: string, [kind]: string[], body: { config?: unknown } | undefined): Result {
    const { account, tunnel } = this.zone.ids;
    if (kind === undefined && method === 'GET') {
      return { result: { id: tunnel, account_tag: account, name: 'conformance', status: 'healthy' } };
    }
    if (kind === 'configurations' && (method === 'GET' || method === 'PUT')) {
      const config = method === 'PUT' ? this.zone.replaceConfiguration(body?.config) : this.zone.configuration();
      return {
        result: { tunnel_id: tunnel, account_id: account, version: this.zone.version, source: 'cloudflare', config },
      };
    }
    throw noRoute(kind);
  }
}

function noRoute(path: string | undefined): Refusal {
  return new Refusal(404, 7003, `Could not route to ${path}, perhaps your object identifier is invalid?`);
}

function zoneResult(id: string, account: string, domain: string): object {
  return {
    id,
    name: domain,
    status: 'active',
    paused: false,
    type: 'full',
    account: { id: account, name: 'conformance' },
  };
}

function subjectOf(path: string): EdgeSubject | undefined {
  if (path.includes('/dns_records')) {
    return 'records';
  }
  return path.includes('/cfd_tunnel/') ? 'tunnel' : undefined;
}

/** The body of an answer that refuses. */
function refusal({ code, message }: Refusal): object {
  return { success: false, errors: [{ code, message }], messages: [], result: null };
}

function parsed(body: string): unknown {
  if (body === '') {
    return undefined;
  }
  try {
    return JSON.parse(body) as unknown;
  } catch {
    throw new Refusal(400, 9207, 'Request body is invalid.');
  }
}

const FIELDS = ['name', 'content', 'comment', 'type'] as const;

/**
 * The filters of a list: `FIELD`, `FIELD.exact`, `.contains`, `.startswith`, `.endswith`, `comment.present`,
 * `comment.absent`, `match`.
 */
function filterOf(query: URLSearchParams): (record: DnsRecord) => boolean {
  const conditions: ((record: DnsRecord) => boolean)[] = [];
  for (const [key, raw] of query) {
    const [field = '', operator = 'exact'] = key.split('.');
    const name = FIELDS.find((known) => known === field);
    if (name === undefined) {
      continue;
    }
    const wanted = raw.toLowerCase();
    const of = (record: DnsRecord): string => (record[name] ?? '').toLowerCase();
    if (operator === 'exact') {
      conditions.push((record) => of(record) === wanted);
    } else if (operator === 'contains') {
      conditions.push((record) => of(record).includes(wanted));
    } else if (operator === 'startswith') {
      conditions.push((record) => of(record).startsWith(wanted));
    } else if (operator === 'endswith') {
      conditions.push((record) => of(record).endsWith(wanted));
    } else if (operator === 'present' || operator === 'absent') {
      conditions.push((record) => (of(record) === '') === (operator === 'absent'));
    } else {
      throw new Refusal(400, 9021, `Unknown filter ${key}`);
    }
  }
  const any = query.get('match') === 'any' && conditions.length > 0;
  return (record) => (any ? conditions.some((holds) => holds(record)) : conditions.every((holds) => holds(record)));
}

function page(records: DnsRecord[], query: URLSearchParams): Result {
  const number = positive(query.get('page'), 1);
  const perPage = Math.min(positive(query.get('per_page'), DEFAULT_PER_PAGE), MAXIMUM_PER_PAGE);
  const result = records.slice((number - 1) * perPage, number * perPage);
  return { result, info: pageInfo(number, perPage, result.length, records.length) };
}

function positive(value: string | null, fallback: number): number {
  const number = value === null ? fallback : Number(value);
  if (!Number.isInteger(number) || number < 1) {
    throw new Refusal(400, 9205, `Invalid page or per_page: ${value}`);
  }
  return number;
}

function pageInfo(number: number, perPage: number, count: number, total: number): object {
  return { page: number, per_page: perPage, count, total_count: total, total_pages: Math.ceil(total / perPage) };
}
