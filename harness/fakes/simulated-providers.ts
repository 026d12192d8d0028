import type { Manner, PlayedProvider } from '../../fixtures/workloads/observer/played.ts';

/** A provider that the observer plays, as the client under test is to be configured for it. */
export interface PlayedSetup {
  name: PlayedName;
  issuer: string;
  clientId: string;
  scopes: string[];
  authFlow: 'jwt_bearer' | 'token_exchange';
  /** `audience` of a token exchange; absent: none is to be sent. */
  tokenExchangeAudience?: string;
  /** The token file that the client is to read for it. */
  tokenPath: string;
  /** True where one request of the client shall take no longer than its short time limit, if it can be configured. */
  impatient?: true;
}

/** Hosts, all of which must lead the client to the observer. They may be names of anything, as long as they differ. */
export interface PlayedHosts {
  /** Of most issuers. */
  played: string;
  /** Of the issuer that shares its origin with another one. */
  tenants: string;
  /** Its certificate is of a CA that nobody trusts. */
  stranger: string;
  /** No issuer: where redirects lead. */
  elsewhere: string;
}

/** The hosts in a cluster of the harness's, or any other: pods know them by hostAliases. */
export const PLAYED_HOSTS: PlayedHosts = {
  played: 'played.conformance.test',
  tenants: 'tenants.conformance.test',
  stranger: 'stranger.conformance.test',
  elsewhere: 'elsewhere.conformance.test',
};

/** Seconds that an access token lives where its end is what is waited for. */
export const SHORT_LIFE_SECONDS = 3;

/** Long enough for calls that are made at the same time to arrive, also on a busy machine. */
const HOLD_MS = 1_500;

const TOKEN_EXCHANGE_AUDIENCE = 'models';

interface Played {
  host?: keyof PlayedHosts;
  manner?: Manner | ((given: { issuer: string; elsewhere: string; holdMs: number }) => Manner);
  client?: Partial<Pick<PlayedSetup, 'authFlow' | 'tokenExchangeAudience' | 'impatient'>>;
}

/** Each for one thing that a client has to stand; `plain` is the control. */
const PLAYED = {
  plain: {},
  'other-issuer': { manner: { metadataIssuer: 'https://other.conformance.test/realms/other' } },
  'other-slash': { manner: ({ issuer }) => ({ metadataIssuer: `${issuer}/` }) },
  tenant: { host: 'tenants', manner: { neighbour: true } },
  'redirecting-endpoint': { manner: ({ elsewhere }) => ({ tokenRedirect: `${elsewhere}/token` }) },
  'redirecting-server': { manner: ({ elsewhere }) => ({ resourceRedirect: `${elsewhere}/v1/models` }) },
  stranger: { host: 'stranger' },
  revoking: {},
  // A client may have asked for a token when it started: it must not be good any more.
  slow: { manner: ({ holdMs }) => ({ holdMs, lifeSeconds: SHORT_LIFE_SECONDS }) },
  exchange: { client: { authFlow: 'token_exchange' } },
  'exchange-audience': {
    client: { authFlow: 'token_exchange', tokenExchangeAudience: TOKEN_EXCHANGE_AUDIENCE },
  },
  refusing: { manner: { refuses: true } },
  'no-expiry': { manner: { withoutExpiresIn: true, lifeSeconds: SHORT_LIFE_SECONDS } },
  swapped: { manner: { lifeSeconds: SHORT_LIFE_SECONDS } },
  outage: { manner: { lifeSeconds: SHORT_LIFE_SECONDS }, client: { impatient: true } },
  // For the session in which the client is started anew with the cache that it left.
  cached: {},
  'cached-elsewhere': {},
} satisfies Record<string, Played>;

export type PlayedName = keyof typeof PLAYED;

const ENTRIES = Object.entries(PLAYED) as [PlayedName, Played][];

/**
 * What the observer has to play.
 *
 * @param options.holdMs how long the slow one takes for a token request
 */
export function playedProviders(options: { hosts: PlayedHosts; port: number; holdMs?: number }): PlayedProvider[] {
  const { hosts, port, holdMs = HOLD_MS } = options;
  const elsewhere = `https://${hosts.elsewhere}:${port}`;
  return ENTRIES.map(([name, { host, manner = {} }]) => {
    const issuer = issuerOf(hosts, port, name, host);
    return { name, issuer, manner: typeof manner === 'function' ? manner({ issuer, elsewhere, holdMs }) : manner };
  });
}

/**
 * What the client has to be configured with.
 *
 * @param options.tokenPath a token file of the client's
 * @param options.swappedPath a path that nobody else writes, in a folder of its own
 */
export function playedSetups(options: {
  hosts: PlayedHosts;
  port: number;
  tokenPath: string;
  swappedPath: string;
}): PlayedSetup[] {
  const { hosts, port, tokenPath, swappedPath } = options;
  return ENTRIES.map(([name, { host, client }]) => ({
    name,
    issuer: issuerOf(hosts, port, name, host),
    clientId: 'played-client',
    scopes: ['openid'],
    authFlow: 'jwt_bearer',
    tokenPath: name === 'swapped' ? swappedPath : tokenPath,
    ...client,
  }));
}

function issuerOf(hosts: PlayedHosts, port: number, name: string, host: keyof PlayedHosts = 'played'): string {
  return `https://${hosts[host]}:${port}/realms/${name}`;
}
