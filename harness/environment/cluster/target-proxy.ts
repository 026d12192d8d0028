import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ApiRecord, type AskedFor, askedFor, messageOf, userOf } from '../../kubernetes/api-record.ts';
import type { ApiFault } from '../../rpc/target-access.ts';
import { type EndToEndHeaders, endToEnd, headerLines } from './target-proxy/headers.ts';
import { upstreamOf } from './target-proxy/upstream.ts';
import { ApiFaults, EXPIRED_MESSAGE, logCutter, statusBody } from './target-proxy-faults.ts';

/**
 * The API server as a target sees it: a proxy that passes the target's own credentials on, records every request, and can be told to
 * fail as API servers and networks do. It speaks HTTP/1.1, so that upgrades (exec, attach, port-forward) pass, too.
 */
export interface TargetProxy {
  /** One address a place to listen at, in the order of `hosts`. */
  addresses: { host: string; port: number }[];
  records(): { records: ApiRecord[]; dropped: number };
  /** Replaces the faults; an empty list ends them all. */
  setFaults(faults: ApiFault[]): void;
  close(): Promise<void>;
}

export interface TargetProxyOptions {
  /** Kubeconfig, YAML; of it the cluster counts, never the credentials. */
  kubeConfig: string;
  /** Server certificate for the addresses, PEM. */
  tls: { cert: string; key: string };
  /** Addresses to listen at; each gets a free port. */
  hosts: string[];
  /** How many requests are kept; the rest is counted. */
  keep?: number;
}

/** Enough for a day's work of a job runner; what a target can make the harness hold has a bound. */
const KEPT_RECORDS = 100_000;

/** Longer bodies are no refusals of an API server. */
const LONGEST_REFUSAL = 16_384;

/** Reads that `stale` is about. */
const READ_VERBS = new Set(['get', 'list']);

/** An answer as it was given, whole. */
interface Answer {
  code: number;
  headers: EndToEndHeaders;
  body: string | Buffer;
}

/** A request under way. */
interface Exchange {
  asked: AskedFor;
  record: ApiRecord;
  begun: number;
  done: boolean;
}

/** An answer that is being passed on and that a fault may end: a watch. */
interface OpenWatch {
  exchange: Exchange;
  end(fault: ApiFault): void;
}

/** As an API server that is gone: a reset, and no orderly end. Only of the connection itself, below TLS. */
function reset(socket: Socket): void {
  if (socket.destroyed) {
    return;
  }
  socket.resetAndDestroy();
}

function keepMessage(record: ApiRecord, body: Buffer[] | undefined): void {
  const message = body === undefined ? undefined : messageOf(Buffer.concat(body).toString('utf8'));
  if (message !== undefined) {
    record.message = message;
  }
}

/** Starts the proxy. */
export async function startTargetProxy(options: TargetProxyOptions): Promise<TargetProxy> {
  const { kubeConfig, tls, hosts, keep = KEPT_RECORDS } = options;
  const upstream = await upstreamOf(kubeConfig);
  const faults = new ApiFaults();
  const exchanges: Exchange[] = [];
  const watches = new Set<OpenWatch>();
  const sockets = new Set<Socket>();
  let dropped = 0;
  /** First answers under `stale`, by address and form. */
  let remembered = new Map<string, Answer>();

  const begin = (request: IncomingMessage): Exchange => {
    const asked = askedFor(request.method ?? 'GET', request.url ?? '/');
    const record: ApiRecord = {
      at: new Date().toISOString(),
      user: userOf(request.headers.authorization),
      ...asked,
      code: 0,
      durationMs: 0,
      bytes: 0,
    };
    const exchange = { asked, record, begun: performance.now(), done: false };
    if (exchanges.length < keep) {
      exchanges.push(exchange);
    } else {
      dropped += 1;
    }
    return exchange;
  };
  const finish = (exchange: Exchange): void => {
    if (!exchange.done) {
      exchange.done = true;
      exchange.record.durationMs = Math.round(performance.now() - exchange.begun);
    }
  };

  /** The answer of a fault; undefined where the request goes to the API server. */
  const faulty = (exchange: Exchange, url: URL): Answer | undefined => {
    const { asked, record } = exchange;
    const answer = (fault: ApiFault, code: number, body: string, headers = {}): Answer => {
      record.fault = fault.kind;
      return { code, body, headers: { 'content-type': 'application/json', ...headers } };
    };
    const busy = faults.take(['too-many-requests'], asked);
    if (busy !== undefined) {
      const seconds = busy.seconds ?? 1;
      const body = statusBody(429, 'TooManyRequests', 'too many requests, please try again later');
      return answer(busy, 429, body, { 'retry-after': String(seconds) });
    }
    const broken = faults.take(['server-error'], asked);
    if (broken !== undefined) {
      return answer(
        broken,
        500,
        statusBody(500, 'InternalError', 'Internal error occurred: etcdserver: leader changed'),
      );
    }
    const version = url.searchParams.get('resourceVersion') ?? '';
    const old = version !== '' && version !== '0';
    if (asked.verb === 'watch' && old) {
      const expired = faults.take(['expired'], asked);
      if (expired !== undefined) {
        const object = statusBody(410, 'Expired', EXPIRED_MESSAGE);
        return answer(expired, 200, `{"type":"ERROR","object":${object}}\n`);
      }
    }
    const exact = url.searchParams.get('resourceVersionMatch') === 'Exact' && old;
    if (asked.verb === 'list' && (exact || url.searchParams.has('continue'))) {
      const expired = faults.take(['expired'], asked);
      if (expired !== undefined) {
        return answer(expired, 410, statusBody(410, 'Expired', 'The provided continue parameter is too old.'));
      }
    }
    return undefined;
  };

  /** Under `stale`: the first answer to the same question, or where the one that comes is to be kept; undefined without that fault. */
  const memoryOf = (
    { asked, record }: Exchange,
    { url = '', headers: { accept = '' } }: IncomingMessage,
  ): Answer | ((answer: Answer) => void) | undefined => {
    if (!READ_VERBS.has(asked.verb) || asked.subresource !== undefined) return undefined;
    const fault = faults.take(['stale'], asked);
    if (fault === undefined) return undefined;
    const memory = remembered;
    const key = `${accept} ${url}`;
    const known = memory.get(key);
    if (known === undefined) {
      return (answer) => {
        if (answer.code === 200) memory.set(key, answer);
      };
    }
    record.fault = fault.kind;
    return known;
  };

  const late = async (exchange: Exchange): Promise<void> => {
    const latency = faults.take(['latency'], exchange.asked);
    if (latency !== undefined) {
      exchange.record.fault = latency.kind;
      await new Promise((resolve) => setTimeout(resolve, (latency.seconds ?? 1) * 1000));
    }
  };

  /** Passes the body of an answer on; a watch and a log may be ended on the way. */
  const pass = (exchange: Exchange, from: IncomingMessage, to: ServerResponse, keep?: (body: Buffer) => void): void => {
    const { asked, record } = exchange;
    const whole: Buffer[] = [];
    let stopped = false;
    const stop = (fault: ApiFault): void => {
      stopped = true;
      record.fault = fault.kind;
      from.destroy();
      if (fault.clean === true || fault.kind === 'expired') {
        to.end();
      } else {
        // Without its last chunk: the client knows that this was not the end.
        to.destroy();
      }
    };
    let atLineEnd = true;
    const watch: OpenWatch = {
      exchange,
      end(fault) {
        watches.delete(watch);
        if (fault.kind === 'expired' && atLineEnd) {
          to.write(`{"type":"ERROR","object":${statusBody(410, 'Expired', EXPIRED_MESSAGE)}}\n`);
        }
        stop(fault);
      },
    };
    let timer: NodeJS.Timeout | undefined;
    if (asked.verb === 'watch' && record.code === 200) {
      const cut = faults.take(['cut-watch'], asked);
      if (cut === undefined) {
        watches.add(watch);
      } else {
        timer = setTimeout(() => watch.end(cut), (cut.seconds ?? 1) * 1000);
      }
    }
    const cutLog = asked.subresource === 'log' && record.code === 200 ? faults.take(['cut-log'], asked) : undefined;
    const refusal: Buffer[] | undefined = record.code === 401 || record.code === 403 ? [] : undefined;
    const cutIn = cutLog === undefined ? undefined : logCutter(cutLog);
    from.on('data', (chunk: Buffer) => {
      const cutAt = stopped ? undefined : cutIn?.(chunk);
      // What comes after an end counts for nothing.
      const part = stopped ? chunk.subarray(0, 0) : chunk.subarray(0, cutAt);
      record.bytes = (record.bytes ?? 0) + part.length;
      atLineEnd = part.at(-1) === 0x0a;
      if (refusal !== undefined && record.bytes <= LONGEST_REFUSAL) {
        refusal.push(part);
      }
      if (stopped) {
        return;
      }
      if (keep !== undefined) whole.push(part);
      if (cutLog !== undefined && cutAt !== undefined) {
        stopped = true;
        to.write(part, () => stop(cutLog));
      } else if (!to.write(part)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
    });
    from.on('end', () => {
      keepMessage(record, refusal);
      if (stopped) return;
      keep?.(Buffer.concat(whole));
      to.end();
    });
    // What broke behind us breaks before us: a cut answer must not look whole.
    from.on('error', () => {
      if (!stopped) to.destroy();
    });
    to.on('close', () => {
      clearTimeout(timer);
      watches.delete(watch);
      from.destroy();
      finish(exchange);
    });
  };

  const open = (request: IncomingMessage, headers: EndToEndHeaders) =>
    upstream.open({ method: request.method ?? 'GET', path: request.url ?? '/', headers });

  const forward = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const exchange = begin(request);
    response.on('close', () => finish(exchange));
    await late(exchange);
    if (response.destroyed) {
      return;
    }
    const memory = memoryOf(exchange, request);
    const given =
      faulty(exchange, new URL(request.url ?? '/', 'http://api')) ?? (typeof memory === 'object' ? memory : undefined);
    if (given !== undefined) {
      request.resume();
      exchange.record.code = given.code;
      exchange.record.bytes = Buffer.byteLength(given.body);
      response.writeHead(given.code, given.headers).end(given.body);
      return;
    }
    const outgoing = open(request, endToEnd(request.headers));
    outgoing.on('response', (answer) => {
      const code = answer.statusCode ?? 502;
      const headers = endToEnd(answer.headers);
      exchange.record.code = answer.statusCode ?? 0;
      response.writeHead(code, headers);
      response.flushHeaders();
      const keep = typeof memory === 'function' ? (body: Buffer) => memory({ code, headers, body }) : undefined;
      pass(exchange, answer, response, keep);
    });
    outgoing.on('error', () => response.destroy());
    response.on('close', () => outgoing.destroy());
    request.pipe(outgoing);
  };

  const upgrade = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const exchange = begin(request);
    socket.on('close', () => finish(exchange));
    await late(exchange);
    const raw = (code: number, message: string, headers: string[], body = ''): void => {
      socket.write(`HTTP/1.1 ${code} ${message}\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n${body}`);
    };
    const given = faulty(exchange, new URL(request.url ?? '/', 'http://api'));
    if (given !== undefined) {
      exchange.record.code = given.code;
      const fields = { ...given.headers, connection: 'close', 'content-length': Buffer.byteLength(given.body) };
      const lines = headerLines(fields);
      raw(given.code, 'refused', lines, String(given.body));
      socket.end();
      return;
    }
    const protocol = request.headers.upgrade ?? '';
    const outgoing = open(request, { ...endToEnd(request.headers), connection: 'Upgrade', upgrade: protocol });
    const rawLines = (answer: IncomingMessage): string[] => {
      const lines: string[] = [];
      for (let index = 0; index + 1 < answer.rawHeaders.length; index += 2) {
        lines.push(`${answer.rawHeaders[index]}: ${answer.rawHeaders[index + 1]}`);
      }
      return lines;
    };
    const count = (chunk: Buffer): void => {
      exchange.record.bytes = (exchange.record.bytes ?? 0) + chunk.length;
    };
    outgoing.on('upgrade', (answer, back, backHead) => {
      exchange.record.code = answer.statusCode ?? 0;
      exchange.record.upgrade = protocol;
      raw(answer.statusCode ?? 101, answer.statusMessage ?? '', rawLines(answer));
      socket.write(backHead);
      count(backHead);
      back.write(head);
      back.on('data', count);
      back.pipe(socket).pipe(back);
      back.on('error', () => socket.destroy());
      back.on('close', () => socket.destroy());
      socket.on('close', () => back.destroy());
    });
    outgoing.on('response', (answer) => {
      exchange.record.code = answer.statusCode ?? 0;
      // Its length is what the body says: the connection ends with it.
      const headers = headerLines(endToEnd(answer.headers));
      raw(answer.statusCode ?? 502, answer.statusMessage ?? '', [...headers, 'connection: close']);
      const refusal: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => {
        count(chunk);
        refusal.push(chunk);
      });
      answer.on('end', () => keepMessage(exchange.record, refusal));
      answer.pipe(socket);
    });
    outgoing.on('error', () => socket.destroy());
    outgoing.end();
  };

  const serve = async (host: string): Promise<{ server: Server; port: number }> => {
    const server = createServer({ ...tls, ALPNProtocols: ['http/1.1'] }, (request, response) => {
      forward(request, response).catch(() => response.destroy());
    });
    // A watch is silent for minutes, and an upload may be slow: the API server has its own limits.
    server.requestTimeout = 0;
    // An idle connection that is closed under the next request would look like an API server that is gone.
    server.keepAliveTimeout = 0;
    server.on('connection', (socket: Socket) => {
      // Whoever is gone for so many connections alone resets what comes, before any handshake.
      if (faults.take(['outage']) !== undefined) {
        reset(socket);
        return;
      }
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    });
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => socket.destroy());
      upgrade(request, socket, head).catch(() => socket.destroy());
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, host, resolve);
    });
    return { server, port: (server.address() as AddressInfo).port };
  };
  const servers = await Promise.all(hosts.map(serve));

  let returning: NodeJS.Timeout | undefined;
  /** Nobody listens any more, as where an API server's process is gone: connections are refused until it is back. */
  const goAway = (forSeconds: number | undefined): void => {
    for (const { server } of servers) server.close();
    if (forSeconds !== undefined) returning = setTimeout(comeBack, forSeconds * 1000);
  };
  const comeBack = (): void => {
    clearTimeout(returning);
    for (const [index, { server, port }] of servers.entries()) {
      if (!server.listening) server.listen(port, hosts[index]);
    }
  };

  return {
    addresses: servers.map(({ port }, index) => ({ host: hosts[index] ?? '', port })),
    records: () => ({
      records: exchanges.map(({ record, begun, done }) => ({
        ...record,
        durationMs: done ? record.durationMs : Math.round(performance.now() - begun),
      })),
      dropped,
    }),
    setFaults(list) {
      comeBack();
      remembered = new Map();
      faults.set(list, (fault) => {
        if (fault.kind === 'outage') {
          if (fault.times === undefined) goAway(fault.forSeconds);
          for (const exchange of exchanges) {
            if (!exchange.done) {
              exchange.record.fault = fault.kind;
            }
          }
          for (const socket of sockets) {
            reset(socket);
          }
        }
        if (fault.kind === 'cut-watch' || fault.kind === 'expired') {
          for (const watch of watches) {
            if (faults.take([fault.kind], watch.exchange.asked, fault) !== undefined) {
              watch.end(fault);
            }
          }
        }
      });
    },
    async close() {
      faults.clear();
      clearTimeout(returning);
      await Promise.all(
        servers.map(
          ({ server }) =>
            new Promise((resolve) => {
              server.close(resolve);
              server.closeAllConnections();
              for (const socket of sockets) {
                socket.destroy();
              }
            }),
        ),
      );
      upstream.close();
    },
  };
}
