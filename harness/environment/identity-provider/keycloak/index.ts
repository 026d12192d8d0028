import { HOSTS, IDENTITY_PROVIDER_PORT } from '../../../core/names.ts';
import type { AdditionalIssuerTrust, StartedIdentityProvider } from '../../../oauth/provider.ts';
import { DEFAULT_PROVIDERS, type IdentityProviderContext } from '../context.ts';
import type { KeycloakTwin } from '../faults/keycloak-twins.ts';
import type { RealmTrust } from './realm.ts';
import { describeRealm, KEYS_LIFESPAN_SECONDS, KeycloakRealms } from './realms.ts';
import type { KeycloakServerOptions } from './start-arguments.ts';

/**
 * Starts Keycloak (or joins the run's) and makes one realm for each provider. Ready is: every realm answers with its
 * discovery document, over TLS, under the issuer that was asked for.
 */
export async function startKeycloak(
  context: IdentityProviderContext,
  twin: KeycloakTwin = {},
): Promise<StartedIdentityProvider> {
  const kind: KeycloakServerOptions = {
    image: twin.image ?? 'keycloak',
    keysLifespanSeconds: KEYS_LIFESPAN_SECONDS,
  };
  const describe = (name: string) => describeRealm(name, twin, context.accessTokenLifetimeSeconds);
  const providers = (context.providers ?? DEFAULT_PROVIDERS).map(describe);
  const server = await context.keycloakServers.acquire(context, kind);
  const stop = (): Promise<void> => context.keycloakServers.release(kind);
  const realms = new KeycloakRealms(server, context, twin);
  let version: string;
  try {
    context.resolver.add(`${HOSTS.keycloak}:${IDENTITY_PROVIDER_PORT}`, server.route);
    const { keysUrl } = server;
    const trust = keysUrl === undefined ? context.trust : { ...context.trust, byDiscovery: false, jwksUri: keysUrl };
    await Promise.all(providers.map((provider) => realms.add(provider, trust)));
    version = await server.version();
  } catch (cause) {
    await server.assertAlive().finally(stop);
    throw new Error(`Keycloak could not be set up: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
  let additional = 0;
  return {
    description: {
      kind: 'keycloak',
      version,
      providers,
      keySources: ['key-url', 'static-keys'],
      host: HOSTS.keycloak,
      port: IDENTITY_PROVIDER_PORT,
      upstream: server.upstream,
    },
    register: (provider, workload) => realms.register(provider, workload),
    async trusting(issuer) {
      additional += 1;
      const provider = describe(`additional-issuer-${additional}`);
      const { issuer: url, keys } = issuer;
      for (const served of [url, ...(keys !== undefined && 'url' in keys ? [keys.url] : [])]) {
        await server.reach?.(served);
      }
      await realms.add(provider, realmTrust(issuer));
      return provider;
    },
    ...(server.requests === undefined ? {} : { requests: server.requests }),
    assertAlive: () => server.assertAlive(),
    stop,
  };
}

function realmTrust({ issuer, algorithms, keys }: AdditionalIssuerTrust): RealmTrust {
  return {
    issuer,
    algorithms,
    byDiscovery: keys === undefined,
    jwksUri: keys !== undefined && 'url' in keys ? keys.url : `${issuer}/openid/v1/jwks`,
    ...(keys !== undefined && 'jwks' in keys ? { jwks: keys.jwks } : {}),
  };
}
