import type { Behavior, SimulatedProvider } from '../../fixtures/workloads/observer/simulated.ts';

/**
 * How a client turns its projected token into an access token: RFC 7523 section 2.1, RFC 8693, RFC 7523 section 2.2.
 */
export type AuthFlow = 'jwt_bearer' | 'token_exchange' | 'client_credentials';

/** A provider that the observer simulates, as the client under test is to be configured for it. */
export interface SimulatedSetup {
  name: SimulatedName;
  issuer: string;
  clientId: string;
  scopes: string[];
  authFlow: AuthFlow;
  /** `audience` of a token exchange; absent: none is to be sent. */
  tokenExchangeAudience?: string;
  /** The token file that the client is to read for it. */
  tokenPath: string;
  /** True where one request of the client shall take no longer than its short time limit, if it can be configured. */
  impatient?: true;
}

/** Hosts, all of which must lead the client to the observer. They may be names of anything, as long as they differ. */
export interface SimulatedHosts {
  /** Of most issuers. */
  simulated: string;
  /** Of the issuer that shares its origin with another one. */
  tenants: string;
  /** Its certificate is of a CA that nobody trusts. */
  untrusted: string;
  /** No issuer: where redirects lead. */
  elsewhere: string;
}

/** The hosts in a cluster of the harness's, or any other: pods know them by hostAliases. */
export const SIMULATED_HOSTS: SimulatedHosts = {
  simulated: 'simulated.conformance.test',
  tenants: 'tenants.conformance.test',
  untrusted: 'untrusted.conformance.test',
  elsewhere: 'elsewhere.conformance.test',
};

/** Seconds that an access token lives where its end is what is waited for. */
export const SHORT_LIFE_SECONDS = 3;

/** Long enough for calls that are made at the same time to arrive, also on a busy machine. */
const HOLD_MS = 1_500;

const TOKEN_EXCHANGE_AUDIENCE = 'models';

/** Those that have a token file of their own. */
const OWN_FILES: ReadonlySet<string> = new Set(['padded', 'emptied']);

interface Simulated {
  host?: keyof SimulatedHosts;
  behavior?: Behavior | ((given: { issuer: string; elsewhere: string; holdMs: number }) => Behavior);
  client?: Partial<Pick<SimulatedSetup, 'authFlow' | 'tokenExchangeAudience' | 'impatient'>>;
}

/** Each for one thing that a client has to stand; `plain` is the control. */
const SIMULATED = {
  plain: {},
  'other-issuer': { behavior: { metadataIssuer: 'https://other.conformance.test/realms/other' } },
  'other-slash': { behavior: ({ issuer }) => ({ metadataIssuer: `${issuer}/` }) },
  tenant: { host: 'tenants', behavior: { originIssuer: true } },
  'redirecting-endpoint': { behavior: ({ elsewhere }) => ({ tokenRedirect: `${elsewhere}/token` }) },
  'redirecting-server': { behavior: ({ elsewhere }) => ({ resourceRedirect: `${elsewhere}/v1/models` }) },
  untrusted: { host: 'untrusted' },
  revoking: {},
  // A client may have asked for a token when it started: it must not be good any more.
  slow: { behavior: ({ holdMs }) => ({ holdMs, lifeSeconds: SHORT_LIFE_SECONDS }) },
  exchange: { client: { authFlow: 'token_exchange' } },
  'exchange-audience': {
    client: { authFlow: 'token_exchange', tokenExchangeAudience: TOKEN_EXCHANGE_AUDIENCE },
  },
  'client-assertion': { client: { authFlow: 'client_credentials' } },
  refusing: { behavior: { refuses: true } },
  padded: {},
  // Its token file is made blank when its access token ends.
  emptied: { behavior: { lifeSeconds: SHORT_LIFE_SECONDS } },
  'no-expiry': { behavior: { withoutExpiresIn: true, lifeSeconds: SHORT_LIFE_SECONDS } },
  swapped: { behavior: { lifeSeconds: SHORT_LIFE_SECONDS } },
  outage: { behavior: { lifeSeconds: SHORT_LIFE_SECONDS }, client: { impatient: true } },
  // Their tokens are about to be renewed when they begin to refuse, fail, limit the rate, or answer nothing.
  'renewal-refused': {},
  'renewal-down': {},
  'renewal-limited': {},
  'renewal-silent': { client: { impatient: true } },
  hanging: { behavior: { lifeSeconds: SHORT_LIFE_SECONDS }, client: { impatient: true } },
  // For the session in which the client is started anew with the cache that it left.
  cached: {},
  'cached-elsewhere': {},
} satisfies Record<string, Simulated>;

export type SimulatedName = keyof typeof SIMULATED;

/** Those whose failures are asked of the client last, or of another instance of it: it may not survive them. */
export const FAILING: ReadonlySet<SimulatedName> = new Set([
  'outage',
  'renewal-refused',
  'renewal-down',
  'renewal-limited',
  'renewal-silent',
  'hanging',
]);

const ENTRIES = Object.entries(SIMULATED) as [SimulatedName, Simulated][];

/**
 * What the observer has to simulate.
 *
 * @param options.holdMs how long the slow one takes for a token request
 */
export function simulatedProviders(options: {
  hosts: SimulatedHosts;
  port: number;
  holdMs?: number;
}): SimulatedProvider[] {
  const { hosts, port, holdMs = HOLD_MS } = options;
  const elsewhere = `https://${hosts.elsewhere}:${port}`;
  return ENTRIES.map(([name, { host, behavior = {} }]) => {
    const issuer = issuerOf(hosts, port, name, host);
    return {
      name,
      issuer,
      behavior: typeof behavior === 'function' ? behavior({ issuer, elsewhere, holdMs }) : behavior,
    };
  });
}

/**
 * What the client has to be configured with.
 *
 * @param options.tokenPath a token file of the client's
 * @param options.swappedPath a path that nobody else writes, in a folder of its own
 */
export function simulatedSetups(options: {
  hosts: SimulatedHosts;
  port: number;
  tokenPath: string;
  swappedPath: string;
}): SimulatedSetup[] {
  const { hosts, port, tokenPath, swappedPath } = options;
  return ENTRIES.map(([name, { host, client }]) => ({
    name,
    issuer: issuerOf(hosts, port, name, host),
    clientId: 'simulated-client',
    scopes: ['openid'],
    authFlow: 'jwt_bearer',
    tokenPath: name === 'swapped' ? swappedPath : OWN_FILES.has(name) ? `${tokenPath}-${name}` : tokenPath,
    ...client,
  }));
}

function issuerOf(hosts: SimulatedHosts, port: number, name: string, host: keyof SimulatedHosts = 'simulated'): string {
  return `https://${hosts[host]}:${port}/realms/${name}`;
}
