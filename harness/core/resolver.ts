import { createSecureContext, getCACertificates } from 'node:tls';
import { Agent, buildConnector, type Dispatcher, type RequestInit, type Response, fetch as undiciFetch } from 'undici';

/**
 * Where a name leads from the place of the harness. `host` and `port` are of a published port on loopback, or of a
 * gateway.
 */
export interface Route {
  host: string;
  port: number;
}

/**
 * The plain data of a {@link Resolver}; it may be sent to another process. Keys are `host:port` as written in a URL.
 */
export interface ResolverData {
  routes: Record<string, Route>;
  /** Certificates, PEM, that this run trusts besides nothing else: the run's own CA. */
  ca: string;
  /** Further certificates, PEM, for servers that the run did not start; `system` stands for those of the system. */
  alsoTrusts?: ('system' | (string & {}))[];
}

/** TCP and TLS together: a server of this very process may be short of time, too. */
const CONNECT_DEADLINE_MS = 30_000;

/**
 * The harness's own name resolution: a run's servers are known by names that no DNS server knows (see
 * {@link ./names.ts}); the resolver leads them to published ports and keeps the name for TLS and for the Host header. A
 * name that has no route is resolved as usual.
 */
export class Resolver {
  readonly #data: ResolverData;
  readonly dispatcher: Dispatcher;

  constructor(data: ResolverData) {
    this.#data = { ...data, routes: { ...data.routes } };
    const further = (data.alsoTrusts ?? []).flatMap((part) =>
      part === 'system' ? getCACertificates('default') : [part],
    );
    // Made once: the certificates are parsed for each connection otherwise.
    const secureContext = createSecureContext({ ca: [data.ca, ...further] });
    const connect = buildConnector({ secureContext, timeout: CONNECT_DEADLINE_MS });
    this.dispatcher = new Agent({
      // A pooled connection would hide a server that was replaced behind the same name (a provider restarted in
      // mid-run).
      keepAliveTimeout: 1_000,
      connect: (options, callback) => {
        const port = options.port || (options.protocol === 'https:' ? '443' : '80');
        const route = this.#data.routes[`${options.hostname}:${port}`];
        if (route === undefined) {
          connect(options, callback);
          return;
        }
        connect(
          {
            ...options,
            hostname: route.host,
            host: `${route.host}:${route.port}`,
            port: String(route.port),
            servername: options.servername || options.hostname,
          },
          callback,
        );
      },
    });
  }

  /** Leads `hostAndPort` (for example `keycloak.conformance.test:8443`) to `route` from now on. */
  add(hostAndPort: string, route: Route): void {
    this.#data.routes[hostAndPort] = route;
  }

  /** Takes over every route of another resolver's data; its own routes of the same name are kept. */
  adopt(data: ResolverData): void {
    this.#data.routes = { ...data.routes, ...this.#data.routes };
  }

  /** A copy that can be sent to another process. */
  toData(): ResolverData {
    return { ...this.#data, routes: { ...this.#data.routes } };
  }

  /** `fetch` of the Fetch standard with this resolver's names and the run's CA. Rejects as `fetch` does. */
  readonly fetch = (url: string | URL, init: RequestInit = {}): Promise<Response> =>
    undiciFetch(url, { ...init, dispatcher: this.dispatcher });

  async close(): Promise<void> {
    await this.dispatcher.destroy();
  }
}
