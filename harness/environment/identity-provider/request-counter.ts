/** Which endpoint of a provider a path is, of those that the providers of the harness have. */
const ENDPOINTS: [string, RegExp][] = [
  ['admin API', /^\/admin\/|^\/realms\/master\//],
  ['introspection', /\/introspect$/],
  ['token endpoint', /\/token$/],
  ['discovery', /\/\.well-known\//],
  ['key set', /\/(certs|jwks)$/],
];

/** Counts the requests that a server was sent, by whomever, for the report. */
export class RequestCounter {
  readonly #counts = new Map<string, number>();

  /** @param url path, perhaps with a query */
  count(url: string): void {
    const [path = ''] = url.split('?');
    const endpoint = ENDPOINTS.find(([, pattern]) => pattern.test(path))?.[0] ?? 'other';
    this.#counts.set(endpoint, (this.#counts.get(endpoint) ?? 0) + 1);
  }

  get counts(): Record<string, number> {
    return Object.fromEntries([...this.#counts].sort(([one], [other]) => one.localeCompare(other)));
  }
}
