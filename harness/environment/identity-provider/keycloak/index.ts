import { HOSTS, IDENTITY_PROVIDER_PORT } from '../../../core/names.ts';
import type {
  GrantDeclaration,
  ProviderDescription,
  Registration,
  StartedIdentityProvider,
} from '../../../oauth/provider.ts';
import { subjectOf } from '../../../oauth/provider.ts';
import {
  clientIdOf,
  DEFAULT_ACCESS_TOKEN_LIFETIME_SECONDS,
  DEFAULT_PROVIDERS,
  type IdentityProviderContext,
} from '../context.ts';
import type { KeycloakTwin } from '../faults/keycloak-twins.ts';
import { clientOf, type RealmTrust, realmOf, userOf } from './realm.ts';
import { administer, KEYS_LIFESPAN_SECONDS, type KeycloakServerOptions } from './servers.ts';
import { SubjectPolicies } from './subject-policies.ts';

const GRANTS: GrantDeclaration[] = [
  { grant: 'client-assertion', clientAuthentication: 'subject-token' },
  { grant: 'jwt-bearer', clientAuthentication: 'subject-token' },
];

/** Seconds that a fetch of keys may take. */
const FETCH_SECONDS = 5;

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
  const realmName = (name: string): string => `${twin.realmPrefix ?? ''}${name}`;
  const describe = (name: string): ProviderDescription => {
    const issuer = `https://${HOSTS.keycloak}:${IDENTITY_PROVIDER_PORT}/realms/${realmName(name)}`;
    return {
      name,
      issuer,
      // Keycloak's `kubernetes` provider takes the realm's issuer and nothing else.
      audience: issuer,
      tokenEndpoint: `${issuer}/protocol/openid-connect/token`,
      grants: twin.grants ?? GRANTS,
      accessTokenAudience: `inference-${name}`,
      accessTokenLifetimeSeconds: context.accessTokenLifetimeSeconds ?? DEFAULT_ACCESS_TOKEN_LIFETIME_SECONDS,
      foreignScopes: ['inference-admin'],
      withdrawnKeySeconds: KEYS_LIFESPAN_SECONDS + FETCH_SECONDS,
    };
  };
  const providers = (context.providers ?? DEFAULT_PROVIDERS).map(describe);
  const policies = new Map<string, SubjectPolicies>();

  const server = await context.keycloakServers.acquire(context, kind);
  const stop = (): Promise<void> => context.keycloakServers.release(kind);
  const add = async (provider: ProviderDescription, trust: RealmTrust): Promise<void> => {
    const name = realmName(provider.name);
    const realm = realmOf(name, provider, trust);
    twin.realm?.(realm, trust, provider.audience);
    await administer(`make realm ${name}`, server.admin.realms.create(realm));
    if (twin.finish !== undefined) await administer(`finish realm ${name}`, twin.finish(server.admin, name));
    await requireDiscovery(context, provider);
    policies.set(provider.name, new SubjectPolicies(server.admin, name));
  };
  let version: string;
  try {
    context.resolver.add(`${HOSTS.keycloak}:${IDENTITY_PROVIDER_PORT}`, server.route);
    await Promise.all(providers.map((provider) => add(provider, context.trust)));
    version = await server.version();
  } catch (cause) {
    await server.assertAlive().finally(stop);
    throw new Error(`Keycloak could not be set up: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }

  let trusted = 0;
  const registrations = new Map<string, Promise<Registration>>();
  const register = async (provider: string, workload: Parameters<typeof clientIdOf>[0]): Promise<Registration> => {
    const realm = realmName(provider);
    const clientId = clientIdOf(workload);
    const subject = subjectOf(workload);
    await Promise.all([
      administer(`register client ${clientId}`, server.admin.clients.create({ realm, ...clientOf(clientId, subject) })),
      administer(`register user ${clientId}`, server.admin.users.create({ realm, ...userOf(clientId, subject) })),
      ...(twin.untied === true ? [] : [policies.get(provider)?.tie(subject)]),
    ]);
    return { clientId };
  };

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
    register(provider, workload) {
      if (!policies.has(provider)) {
        return Promise.reject(
          new Error(`Keycloak: there is no provider "${provider}"; there are ${[...policies.keys()].join(', ')}`),
        );
      }
      if (twin.clientId !== undefined) return Promise.resolve({ clientId: twin.clientId });
      const key = `${provider} ${subjectOf(workload)}`;
      const registration = registrations.get(key) ?? register(provider, workload);
      registrations.set(key, registration);
      return registration;
    },
    async trusting({ issuer, algorithms, keys }) {
      trusted += 1;
      const provider = describe(`additional-issuer-${trusted}`);
      await add(provider, {
        issuer,
        algorithms,
        byDiscovery: keys === undefined,
        jwksUri: keys !== undefined && 'url' in keys ? keys.url : `${issuer}/openid/v1/jwks`,
        ...(keys !== undefined && 'jwks' in keys ? { jwks: keys.jwks } : {}),
      });
      return provider;
    },
    requests: () => server.requests(),
    assertAlive: () => server.assertAlive(),
    stop,
  };
}

const DISCOVERY_DEADLINE_MS = 30_000;

async function requireDiscovery(context: IdentityProviderContext, { issuer }: ProviderDescription): Promise<void> {
  const url = `${issuer}/.well-known/openid-configuration`;
  const response = await context.resolver.fetch(url, { signal: AbortSignal.timeout(DISCOVERY_DEADLINE_MS) });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`GET ${url} answered ${response.status}`);
  const discovery = JSON.parse(text) as { issuer?: unknown };
  if (discovery.issuer !== issuer) throw new Error(`GET ${url} names the issuer ${JSON.stringify(discovery.issuer)}`);
}
