import { HOSTS, IDENTITY_PROVIDER_PORT } from '../../../core/names.ts';
import type { GrantDeclaration, ProviderDescription } from '../../../oauth/provider.ts';
import { KEY_CACHE } from './cluster-keys.ts';

/** What the embedded provider declares to serve. */
export const GRANTS: GrantDeclaration[] = [
  { grant: 'jwt-bearer', clientAuthentication: 'none' },
  { grant: 'jwt-bearer', clientAuthentication: 'subject-token' },
  { grant: 'token-exchange', clientAuthentication: 'none' },
  { grant: 'client-assertion', clientAuthentication: 'subject-token' },
];

/** Its audience is not its issuer, unlike Keycloak's: nobody may assume that it is (catalogue AI-01). */
export const EMBEDDED_AUDIENCE_PREFIX = 'conformance-';

/** A scope that it knows, and that no client is registered for. */
export const FOREIGN_SCOPE = 'inference-admin';

/** Seconds above the age of cached keys that a fetch may take. */
const FETCH_SECONDS = 5;

/** @param introspectionSecret given, its access tokens are opaque */
export function describeEmbedded(
  name: string,
  lifetimeSeconds: number,
  introspectionSecret?: string,
): ProviderDescription {
  const issuer = `https://${HOSTS.embedded}:${IDENTITY_PROVIDER_PORT}/${name}`;
  return {
    name,
    issuer,
    audience: `${EMBEDDED_AUDIENCE_PREFIX}${name}`,
    tokenEndpoint: `${issuer}/token`,
    grants: GRANTS,
    accessTokenAudience: `inference-${name}`,
    accessTokenLifetimeSeconds: lifetimeSeconds,
    foreignScopes: [FOREIGN_SCOPE],
    withdrawnKeySeconds: KEY_CACHE.maxAgeMs / 1_000 + FETCH_SECONDS,
    ...(introspectionSecret === undefined
      ? {}
      : {
          introspection: {
            endpoint: `${issuer}/introspect`,
            clientAuthentication: 'client-secret-basic',
            clientId: `inference-${name}`,
            clientSecret: introspectionSecret,
          },
        }),
  };
}
