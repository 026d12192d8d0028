import type { ClusterTrust, ProviderDescription } from '../../../oauth/provider.ts';

/**
 * Aliases of the two identity providers of a realm that stand for the cluster: one authenticates clients, one takes
 * assertions.
 */
export const CLIENT_ALIAS = 'cluster';
export const GRANT_ALIAS = 'cluster-grant';

/** A part of Keycloak's realm representation (JSON of its Admin REST API). */
export type RealmRepresentation = Record<string, unknown> & { identityProviders: Record<string, unknown>[] };

/**
 * How a realm is configured to trust an issuer: what the cluster's discovery says, unless there are keys of another
 * source.
 */
export type RealmTrust = Pick<ClusterTrust, 'issuer' | 'jwksUri' | 'algorithms'> & {
  /**
   * False where the issuer may be out of reach: the
   * `kubernetes` provider would ask it for its discovery, so that `oidc` stands in its place.
   */
  byDiscovery?: boolean;
  /** The keys themselves, a JWK Set as JSON text, in place of `jwksUri`. */
  jwks?: string;
};

/**
 * A whole realm. It trusts the cluster by its issuer, discovery and keys, over TLS, never by a copied key:
 * - "Kubernetes service accounts trust relationship provider" for client authentication by projected token;
 * - "JWT Authorization Grant" with reuse allowed and an age limit of an hour, since a pod has one token for most of its
 *   life.
 *
 * It has an elliptic-curve key and one client scope of its own: Keycloak makes its RSA keys and ten scopes only where
 * none are given, which takes longer than all the rest.
 */
export function realmOf(realm: string, provider: ProviderDescription, trust: RealmTrust): RealmRepresentation {
  const [algorithm, ...others] = trust.algorithms ?? [];
  const keys =
    trust.jwks === undefined
      ? { useJwksUrl: 'true', jwksUrl: trust.jwksUri }
      : { useJwksUrl: 'false', publicKeySignatureVerifier: trust.jwks };
  return {
    realm,
    enabled: true,
    accessTokenLifespan: provider.accessTokenLifetimeSeconds,
    defaultSignatureAlgorithm: 'ES256',
    components: {
      'org.keycloak.keys.KeyProvider': [
        {
          name: 'signing',
          providerId: 'ecdsa-generated',
          config: { priority: ['100'], enabled: ['true'], active: ['true'], ecdsaEllipticCurveKey: ['P-256'] },
        },
      ],
    },
    clientScopes: [
      workloadScope(provider.accessTokenAudience),
      ...(provider.foreignScopes ?? []).map((name) => ({ name, protocol: 'openid-connect' })),
    ],
    defaultDefaultClientScopes: ['workload'],
    identityProviders: [
      trust.byDiscovery === false
        ? {
            alias: CLIENT_ALIAS,
            providerId: 'oidc',
            enabled: true,
            config: {
              issuer: trust.issuer,
              ...keys,
              validateSignature: 'true',
              clientId: CLIENT_ALIAS,
              supportsClientAssertions: 'true',
              supportsClientAssertionReuse: 'true',
              fedClientAssertionMaxExp: '3600',
            },
          }
        : { alias: CLIENT_ALIAS, providerId: 'kubernetes', enabled: true, config: { issuer: trust.issuer } },
      {
        alias: GRANT_ALIAS,
        providerId: 'jwt-authorization-grant',
        enabled: true,
        config: {
          issuer: trust.issuer,
          ...keys,
          jwtAuthorizationGrantAssertionReuseAllowed: 'true',
          jwtAuthorizationGrantMaxAllowedAssertionExpiration: '3600',
          ...(algorithm === undefined || others.length > 0
            ? {}
            : { jwtAuthorizationGrantAssertionSignatureAlg: algorithm }),
        },
      },
    ],
  };
}

/** What access tokens carry: `sub`, and `aud` for the resource server. */
function workloadScope(audience: string): Record<string, unknown> {
  const inAccessTokens = { 'access.token.claim': 'true', 'introspection.token.claim': 'true' };
  return {
    name: 'workload',
    protocol: 'openid-connect',
    protocolMappers: [
      { name: 'sub', protocol: 'openid-connect', protocolMapper: 'oidc-sub-mapper', config: inAccessTokens },
      {
        name: 'audience',
        protocol: 'openid-connect',
        protocolMapper: 'oidc-audience-mapper',
        config: { ...inAccessTokens, 'included.custom.audience': audience },
      },
    ],
  };
}

/** A client that authenticates itself by the projected token of one ServiceAccount, and has no secret. */
export function clientOf(clientId: string, subject: string): Record<string, unknown> {
  return {
    clientId,
    enabled: true,
    publicClient: false,
    standardFlowEnabled: false,
    serviceAccountsEnabled: true,
    clientAuthenticatorType: 'federated-jwt',
    attributes: {
      'jwt.credential.issuer': CLIENT_ALIAS,
      'jwt.credential.sub': subject,
      'oauth2.jwt.authorization.grant.enabled': 'true',
      'oauth2.jwt.authorization.grant.idp': GRANT_ALIAS,
    },
  };
}

/** The user as whom the JWT authorization grant lets a ServiceAccount in: found by the link, never made on the way. */
export function userOf(username: string, subject: string): Record<string, unknown> {
  return {
    username,
    enabled: true,
    federatedIdentities: [{ identityProvider: GRANT_ALIAS, userId: subject, userName: subject }],
  };
}
