import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { type ServiceFault, ServiceFaults } from '../service-faults.ts';
import { type DnsRecord, type DnsRecordInput, type EdgeChange, type EdgeIds, Refusal, Zone } from './zone.ts';

/** The path of the API's base URL, which is fixed in its clients. */
const BASE_PATH = '/client/v4';

/** Longer bodies are no requests of an operator's. */
const LONGEST_BODY = 4 * 1024 * 1024;

/**
 * The API's default and the most that this fake gives in one page: so that an operator that reads one page alone is
 * seen.
 */
const DEFAULT_PER_PAGE = 100;
const MAXIMUM_PER_PAGE = 5_000;

/** What a request may be about. */
type EdgeSubject = 'records' | 'tunnel';

/** One request, as it was made. Nothing of its credential is kept. */
export interface EdgeRequest {
  /** When it came, in milliseconds since the epoch. */
  at: number;
  method: string;
  /** Without host and base path, with the query. */
  path: string;
  /** True where it had the right bearer token. */
  authorized: boolean;
  /** JSON body; absent where there was none. */
  body?: unknown;
  /** HTTP status of the answer; 0: none was given. */
  status: number;
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
  readonly requests: EdgeRequest[] = [];
  /** The bearer token that is accepted. */
  readonly token: string;
  readonly #server: Server;
  readonly #isTls: boolean;
  readonly #faults = new ServiceFaults<EdgeSubject>();
  readonly #listeners = new Set<(change: EdgeChange) => void>();

  private constructor({ ids, token, tls }: FakeOptions) {
    this.zone = new Zone(ids, (change) => {
      for (const listener of this.#listeners) {
        listener(change);
      }
    });
    this.token = token;
    this.#isTls = tls !== undefined;
    const handle = (request: IncomingMessage, response: ServerResponse): void => void this.#handle(request, response);
    this.#server = tls === undefined ? createServer(handle) : createTlsServer(tls, handle);
  }

  /** @throws Error where the address is taken */
  static async start(options: FakeOptions): Promise<DnsAndTunnelFake> {
    const fake = new DnsAndTunnelFake(options);
    await new Promise<void>((resolve, reject) => {
      fake.#server.once('error', reject);
      fake.#server.listen({ host: options.host ?? '127.0.0.1', port: options.port ?? 0 }, resolve);
    });
    return fake;
  }

  /** Where it listens, for example `http://127.0.0.1:40123`: what stands for `https://api.cloudflare.com`. */
  get url(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return `${this.#isTls ? 'https' : 'http'}://${address.includes(':') ? `[${address}]` : address}:${port}`;
  }

  /** Replaces the faults; an empty list ends them. */
  setFaults(faults: ServiceFault<EdgeSubject>[]): void {
    this.#faults.set(faults);
  }

  /** Calls `listener` at each change. @returns ends that */
  onChange(listener: (change: EdgeChange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const path = url.pathname.startsWith(`${BASE_PATH}/`) ? url.pathname.slice(BASE_PATH.length) : undefined;
    const record: EdgeRequest = {
      at: Date.now(),
      method: request.method ?? 'GET',
      path: `${path ?? url.pathname}${url.search}`,
      authorized: request.headers.authorization === `Bearer ${this.token}`,
      status: 0,
    };
    this.requests.push(record);
    const answer = (status: number, body: unknown, headers: Record<string, string> = {}): void => {
      record.status = status;
      const isText = typeof body === 'string';
      response.writeHead(status, { 'content-type': isText ? 'text/html' : 'application/json', ...headers });
      response.end(isText ? body : JSON.stringify(body));
    };
    const refuse = ({ status, code, message }: Refusal, headers?: Record<string, string>): void => {
      record.code = code;
      answer(status, { success: false, errors: [{ code, message }], messages: [], result: null }, headers);
    };
    try {
      const body = await readJson(request);
      if (body !== undefined) {
        record.body = body;
      }
      const faults = this.#faults.take(record.method, subjectOf(path));
      for (const fault of faults) {
        if (fault.kind === 'latency') {
          await delay((fault.seconds ?? 1) * 1000);
        } else if (fault.kind === 'too-many-requests') {
          refuse(new Refusal(429, 971, 'Please wait and consider throttling your request speed'), {
            'retry-after': String(fault.seconds ?? 1),
          });
          return;
        } else if (fault.kind === 'server-error') {
          refuse(new Refusal(500, 10001, 'Internal error'));
          return;
        } else if (fault.kind === 'bad-gateway') {
          answer(502, '<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>');
          return;
        } else if (fault.kind === 'outage') {
          request.socket.destroy();
          return;
        }
      }
      if (!record.authorized) {
        refuse(new Refusal(403, 10000, 'Authentication error'));
        return;
      }
      const { result, info } = this.#route(record.method, path, url.searchParams, body);
      if (faults.some(({ kind }) => kind === 'lost-answer')) {
        request.socket.destroy();
        return;
      }
      answer(200, {
        success: true,
        errors: [],
        messages: [],
        result,
        ...(info === undefined ? {} : { result_info: info }),
      });
    } catch (error) {
      refuse(error instanceof Refusal ? error : new Refusal(500, 10001, (error as Error).message));
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

function subjectOf(path: string | undefined): EdgeSubject | undefined {
  if (path?.includes('/dns_records') === true) {
    return 'records';
  }
  return path?.includes('/cfd_tunnel/') === true ? 'tunnel' : undefined;
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  if (Number(request.headers['content-length'] ?? 0) > LONGEST_BODY) {
    throw new Refusal(413, 10413, 'The request is too large');
  }
  const body = await text(request);
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
