import { type CompactVerifyGetKey, exportJWK } from 'jose';
import Provider from 'oidc-provider';
import type { Fetch } from '../../../oauth/fetch.ts';
import { GRANT_TYPES } from '../../../oauth/provider.ts';
import { AccessTokens, makeAccessTokenKey, type SigningKey } from './access-tokens.ts';
import { type AssertionChecks, assertionVerifier, STRICT_CHECKS } from './assertion.ts';
import { type EmbeddedBehaviour, SCOPES, STRICT_BEHAVIOUR } from './behaviour.ts';
import { ClientRegistry, type RegisteredClient } from './clients.ts';
import { clusterKeys, staticKeys } from './cluster-keys.ts';
import type { EmbeddedProviderConfig } from './config.ts';
import { grantHandlers } from './grants.ts';
import { readTokenRequest } from './request-body.ts';
import { storageOf } from './storage.ts';
import { TokenRequest } from './token-request.ts';

export interface EmbeddedProvider {
  readonly provider: Provider;
  register(client: RegisteredClient): void;
}

export interface EmbeddedProviderOptions {
  /** Key of its access tokens, where it is not one of its own. */
  signingKey?: SigningKey;
  /** Replaces what is done with a verified assertion; for broken twins. */
  behaviour?: EmbeddedBehaviour;
  /** Replaces the steps of verification; for broken twins. Without it the assertion is verified strictly. */
  checks?: AssertionChecks;
  /** Notified of what is not the client's fault: keys that cannot be fetched, an error inside. */
  onTrouble?(message: string): void;
}

/**
 * A provider of access tokens for Kubernetes ServiceAccounts, on panva's `oidc-provider`: the JWT authorization grant
 * (RFC 7523 section 2.1), token exchange (RFC 8693) and client authentication by assertion (RFC 7523 section 2.2), each
 * with a projected token.
 */
export async function createEmbeddedProvider(
  config: EmbeddedProviderConfig,
  fetch: Fetch,
  options: EmbeddedProviderOptions = {},
): Promise<EmbeddedProvider> {
  const { checks = STRICT_CHECKS, behaviour = STRICT_BEHAVIOUR, onTrouble = () => {} } = options;
  const { host, pathname } = new URL(config.issuer);
  const signingKey = options.signingKey ?? (await makeAccessTokenKey(`${pathname.slice(1)}-1`));
  const clients = new ClientRegistry();
  const provider = new Provider(config.issuer, await providerConfiguration(config, { clients, behaviour, signingKey }));
  // Koa writes what it takes for an error (a client that hangs up) to the console.
  provider.silent = true;
  provider.on('server_error', (_ctx, error) => onTrouble(error.message));
  const verify = assertionVerifier(
    {
      issuer: config.clusterIssuer,
      audience: config.audience,
      algorithms: config.algorithms,
      keys: keysOf(config, fetch),
      fetch,
      clockToleranceSeconds: config.clockToleranceSeconds,
    },
    checks,
  );
  const handlers = grantHandlers(new AccessTokens(provider, config), [
    config.accessTokenAudience,
    // What an STS such as Google's is asked for is its own name, which the subject token names too.
    config.audience,
  ]);
  for (const grant of config.grants) {
    const { parameters, handle } = handlers[grant];
    provider.registerGrantType(
      GRANT_TYPES[grant],
      (ctx) => handle(ctx, new TokenRequest(ctx, { clients, behaviour, verify, onTrouble })),
      parameters,
    );
  }
  provider.use(readTokenRequest(host, clients, behaviour));
  return { provider, register: (client) => clients.register(client) };
}

interface ConfigurationParts {
  clients: ClientRegistry;
  behaviour: EmbeddedBehaviour;
  signingKey: SigningKey;
}

type Configuration = NonNullable<ConstructorParameters<typeof Provider>[1]>;

async function providerConfiguration(
  config: EmbeddedProviderConfig,
  { clients, behaviour, signingKey: { privateKey, kid } }: ConfigurationParts,
): Promise<Configuration> {
  const { introspectedBy } = config;
  return {
    adapter: storageOf(config, clients),
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid, alg: 'ES256', use: 'sig' }] },
    clientAuthMethods: introspectedBy === undefined ? ['none'] : ['none', 'client_secret_basic'],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    scopes: SCOPES,
    responseTypes: [],
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      introspection: {
        enabled: introspectedBy !== undefined,
        allowedPolicy: (_ctx, client) => client.clientId === introspectedBy?.clientId,
      },
    },
    routes: { token: '/token', jwks: '/jwks', introspection: '/introspect' },
    ttl: { AccessToken: config.accessTokenLifetimeSeconds },
    formats: {
      customizers: {
        jwt(_ctx, _token, { payload }) {
          behaviour.claims(payload);
        },
      },
    },
  };
}

function keysOf({ clusterIssuer, keys, keyCache }: EmbeddedProviderConfig, fetch: Fetch): CompactVerifyGetKey {
  if (keys !== undefined && 'jwks' in keys) {
    return staticKeys(keys.jwks);
  }
  return clusterKeys(clusterIssuer, fetch, {
    cache: keyCache,
    ...(keys === undefined ? {} : { keyUrl: keys.url }),
  });
}
