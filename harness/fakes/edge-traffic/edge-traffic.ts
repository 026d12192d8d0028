/**
 * The way of a request to a session, with real requests all along: the edge resolves the host in the zone and sends it
 * by the tunnel's rules; the ingress matches the routes and runs their middlewares, whose authentication asks another
 * server; behind it are the router and the sign-in page.
 */
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { ruleFor, type Zone } from '../dns-and-tunnel/zone.ts';
import { compileRule } from './match.ts';

/** As much of an IngressRoute (traefik.io/v1alpha1) as the ingress reads. */
export interface IngressRoute {
  metadata: { name: string; namespace: string };
  spec: {
    routes?: {
      match: string;
      priority?: number;
      middlewares?: { name: string; namespace?: string }[];
      services?: { name: string; namespace?: string; port?: number | string }[];
    }[];
  };
}

/** As much of a Middleware (traefik.io/v1alpha1): a chain of others, or an authentication that asks a server. */
export interface Middleware {
  metadata: { name: string; namespace: string };
  spec: {
    chain?: { middlewares: { name: string; namespace?: string }[] };
    forwardAuth?: { address: string };
  };
}

/** A Service of the cluster, `NAMESPACE/NAME`. */
export type ServiceName = string;

export interface TrafficOptions {
  zone: Zone;
  /** What the cluster holds at the moment of a request. */
  routes: () => IngressRoute[];
  middlewares: () => Middleware[];
  /** Who is who among the Services. */
  services: { ingress: ServiceName; router: ServiceName; signIn: ServiceName; authentication: ServiceName };
}

/** Where a request came to. */
export interface Arrival {
  /** HTTP status that the caller got. */
  status: number;
  /** The Services that it passed, in their order. */
  passed: ('ingress' | 'authentication' | 'router' | 'sign-in')[];
  /** Why it went no further, where it did not arrive. */
  why?: string;
}

/** Sent by a user who is signed in; nothing but this reference authentication knows it. */
const SESSION_COOKIE = 'conformance-session=signed-in';
const TRACE = 'x-conformance-trace';
const WHY = 'x-conformance-why';

/** Starts the servers of that way; requests are made by {@link request}. */
export class EdgeTraffic implements AsyncDisposable {
  readonly #options: TrafficOptions;
  readonly #servers: Server[] = [];
  /** Address of each Service on this host. */
  readonly #addresses = new Map<ServiceName, number>();
  #edge = 0;

  private constructor(options: TrafficOptions) {
    this.#options = options;
  }

  static async start(options: TrafficOptions): Promise<EdgeTraffic> {
    const traffic = new EdgeTraffic(options);
    const { ingress, router, signIn, authentication } = options.services;
    const arrive =
      (who: string) =>
      (request: IncomingMessage, response: ServerResponse): void => {
        response.writeHead(200, { [TRACE]: traceOf(request, who) }).end();
      };
    traffic.#addresses.set(router, await traffic.#serve(arrive('router')));
    traffic.#addresses.set(signIn, await traffic.#serve(arrive('sign-in')));
    traffic.#addresses.set(
      authentication,
      await traffic.#serve((request, response) => {
        response.writeHead(request.headers.cookie === SESSION_COOKIE ? 202 : 401).end();
      }),
    );
    traffic.#addresses.set(ingress, await traffic.#serve((request, response) => traffic.#route(request, response)));
    traffic.#edge = await traffic.#serve((request, response) => traffic.#tunnel(request, response));
    return traffic;
  }

  /** Makes a request as a browser does, of a user who is signed in or not. */
  async request(host: string, path: string, { signedIn }: { signedIn: boolean }): Promise<Arrival> {
    const answer = await send(this.#edge, { host, path, ...(signedIn ? { cookie: SESSION_COOKIE } : {}) });
    const passed = (answer.headers[TRACE] ?? '').split(' ').filter(Boolean) as Arrival['passed'];
    const why = answer.headers[WHY];
    return { status: answer.status, passed, ...(why === undefined ? {} : { why: decodeURIComponent(why) }) };
  }

  async close(): Promise<void> {
    await Promise.all(
      this.#servers.map((server) => {
        server.closeAllConnections();
        return new Promise((resolve) => server.close(resolve));
      }),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #serve(handle: (request: IncomingMessage, response: ServerResponse) => unknown): Promise<number> {
    const server = createServer((request, response) => {
      Promise.resolve(handle(request, response)).catch((error: Error) => refuse(response, 502, error.message));
    });
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  /** The provider's edge and the tunnel's end in the cluster. */
  async #tunnel(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { zone } = this.#options;
    const host = hostOf(request);
    const record = zone.records().find(({ name, type }) => name === host && type === 'CNAME');
    if (record === undefined) {
      refuse(response, 530, `no record for ${host}`);
      return;
    }
    if (record.content !== `${zone.ids.tunnel}.cfargotunnel.com`) {
      refuse(response, 530, `the record of ${host} leads to ${record.content}, and not to the tunnel`);
      return;
    }
    const rule = ruleFor(zone.configuration(), host, request.url ?? '/');
    const status = /^http_status:(\d+)$/.exec(rule?.service ?? '')?.[1];
    if (rule === undefined || status !== undefined) {
      refuse(response, Number(status ?? 404), `no tunnel rule for ${host} but the catch-all`);
      return;
    }
    const service = serviceOf(rule.service);
    const port = service === undefined ? undefined : this.#addresses.get(service);
    if (port === undefined) {
      refuse(response, 502, `the tunnel rule of ${host} leads to ${rule.service}, where nothing is`);
      return;
    }
    await pass(port, request, response);
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = { host: hostOf(request), path: (request.url ?? '/').replace(/\?.*/, '') };
    const trace = traceOf(request, 'ingress');
    const matching = this.#options
      .routes()
      .flatMap(({ metadata, spec }) => (spec.routes ?? []).map((route) => ({ ...route, metadata })))
      .filter(({ match }) => compileRule(match)(asked))
      // Without a priority the longer rule goes first (Traefik, "Priority").
      .toSorted((one, other) => (other.priority ?? other.match.length) - (one.priority ?? one.match.length));
    const [route] = matching;
    if (route === undefined) {
      refuse(response, 404, `no route for ${asked.host}${asked.path}`, trace);
      return;
    }
    const { namespace } = route.metadata;
    let passed = trace;
    for (const middleware of route.middlewares ?? []) {
      for (const { spec, metadata } of this.#chain(middleware, namespace)) {
        if (spec === undefined) {
          refuse(response, 404, `there is no middleware ${metadata.namespace}/${metadata.name}`, passed);
          return;
        }
        if (spec.forwardAuth !== undefined) {
          const service = serviceOf(spec.forwardAuth.address) ?? '';
          const port = this.#addresses.get(service);
          passed = `${passed} authentication`;
          if (port === undefined) {
            refuse(response, 500, `the authentication ${spec.forwardAuth.address} cannot be reached`, passed);
            return;
          }
          const { cookie } = request.headers;
          const { status } = await send(port, { ...asked, ...(cookie === undefined ? {} : { cookie }) });
          if (status >= 300) {
            refuse(response, status, 'the authentication refuses it', passed);
            return;
          }
        }
      }
    }
    const [service] = route.services ?? [];
    const port = this.#addresses.get(`${service?.namespace ?? namespace}/${service?.name}`);
    if (port === undefined) {
      refuse(response, 503, `there is no Service ${service?.namespace ?? namespace}/${service?.name}`, passed);
      return;
    }
    await pass(port, request, response, passed);
  }

  /** The middlewares that a name stands for, chains taken apart; one that is missing has no `spec`. */
  #chain(
    { name, namespace }: { name: string; namespace?: string },
    own: string,
    depth = 0,
  ): { metadata: Middleware['metadata']; spec?: Middleware['spec'] }[] {
    const metadata = { name, namespace: namespace ?? own };
    const found = this.#options
      .middlewares()
      .find((one) => one.metadata.name === name && one.metadata.namespace === metadata.namespace);
    if (found === undefined || depth > 5) {
      return [{ metadata }];
    }
    const { chain } = found.spec;
    return chain === undefined
      ? [found]
      : chain.middlewares.flatMap((one) => this.#chain(one, metadata.namespace, depth + 1));
  }
}

/** The Service that a URL names, by its DNS name in the cluster (Kubernetes, "DNS for Services and Pods"). */
export function serviceOf(url: string): ServiceName | undefined {
  const [name, namespace] = (URL.parse(url)?.hostname ?? '').split('.');
  return name === undefined || name === '' || namespace === undefined ? undefined : `${namespace}/${name}`;
}

function hostOf(request: IncomingMessage): string {
  return (request.headers.host ?? '').replace(/:\d+$/, '').toLowerCase();
}

function traceOf(request: IncomingMessage, who: string): string {
  return [request.headers[TRACE], who].filter(Boolean).join(' ');
}

function refuse(response: ServerResponse, status: number, why: string, trace?: string): void {
  response.writeHead(status, { [WHY]: encodeURIComponent(why), ...(trace === undefined ? {} : { [TRACE]: trace }) });
  response.end();
}

async function pass(port: number, request: IncomingMessage, response: ServerResponse, trace?: string): Promise<void> {
  const { cookie } = request.headers;
  const answer = await send(port, {
    host: hostOf(request),
    path: request.url ?? '/',
    ...(cookie === undefined ? {} : { cookie }),
    ...(trace === undefined ? {} : { [TRACE]: trace }),
  });
  response.writeHead(
    answer.status,
    Object.fromEntries(
      [TRACE, WHY].flatMap((name) => (answer.headers[name] === undefined ? [] : [[name, answer.headers[name]]])),
    ),
  );
  response.end();
}

function send(
  port: number,
  { path, ...headers }: { host: string; path: string; [header: string]: string },
): Promise<{ status: number; headers: Record<string, string | undefined> }> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({ host: '127.0.0.1', port, path, headers, agent: false }, (response) => {
      text(response).then(
        () => resolve({ status: response.statusCode ?? 0, headers: response.headers as Record<string, string> }),
        reject,
      );
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}
