import type KeycloakAdminClient from '@keycloak/keycloak-admin-client';
import { NetworkError } from '@keycloak/keycloak-admin-client';
import { expect, test } from 'vitest';
import type { ClusterTrust, ProviderDescription } from '../../../oauth/provider.ts';
import { KEYCLOAK_TWINS } from '../faults/keycloak-twins.ts';
import { startIdentityProvider } from '../index.ts';
import { makeTestIssuer } from '../test-issuer.ts';
import { administer } from './administer.ts';
import { clientOf, GRANT_ALIAS, realmOf, userOf } from './realm.ts';
import { SubjectPolicies } from './subject-policies.ts';

const trust: ClusterTrust = { issuer: 'https://c.test', jwksUri: 'https://c.test/openid/v1/jwks', ca: 'PEM' };
const provider: ProviderDescription = {
  name: 'production',
  issuer: 'https://k.test/realms/production',
  audience: 'https://k.test/realms/production',
  tokenEndpoint: 'https://k.test/realms/production/protocol/openid-connect/token',
  grants: [],
  accessTokenAudience: 'inference-production',
  accessTokenLifetimeSeconds: 12,
};
const grantOf = (realm: ReturnType<typeof realmOf>): unknown =>
  realm.identityProviders.find(({ alias }) => alias === GRANT_ALIAS)?.config;

test('the realm trusts the cluster by its issuer and keys, and nothing in it is a secret or a copied key', () => {
  const realm = realmOf('production', provider, trust);
  expect(grantOf(realm)).toMatchObject({
    issuer: trust.issuer,
    useJwksUrl: 'true',
    jwksUrl: trust.jwksUri,
    jwtAuthorizationGrantAssertionReuseAllowed: 'true',
    jwtAuthorizationGrantMaxAllowedAssertionExpiration: '3600',
  });
  expect(realm.accessTokenLifespan).toBe(12);
  const all = JSON.stringify([realm, clientOf('ns.agent', 'system:serviceaccount:ns:agent'), userOf('ns.agent', 's')]);
  expect(all).not.toMatch(/secret|password|publicKey|PEM/i);
  expect(all).toContain('inference-production');
});

test('the algorithm of assertions is set where it is known, and left open where there are several', () => {
  const setting = 'jwtAuthorizationGrantAssertionSignatureAlg';
  expect(grantOf(realmOf('r', provider, { ...trust, algorithms: ['ES256'] }))).toHaveProperty(setting, 'ES256');
  expect(grantOf(realmOf('r', provider, { ...trust, algorithms: ['ES256', 'RS256'] }))).not.toHaveProperty(setting);
  expect(grantOf(realmOf('r', provider, trust))).not.toHaveProperty(setting);
});

test('the twin of the defaults differs from the reference in the two settings alone', () => {
  const [reference, twin] = [realmOf('r', provider, trust), realmOf('r', provider, trust)];
  KEYCLOAK_TWINS['jwt-grant-defaults']?.realm?.(twin, trust, provider.audience);
  const missing = Object.keys(grantOf(reference) as object).filter((key) => !(key in (grantOf(twin) as object)));
  expect(missing).toEqual([
    'jwtAuthorizationGrantAssertionReuseAllowed',
    'jwtAuthorizationGrantMaxAllowedAssertionExpiration',
  ]);
});

test("what the Admin API answered is reported without the administrator's token", async () => {
  const response = new Response('{}', { status: 409 });
  const refused = new NetworkError('Realm production already exists', { response, responseData: {} });
  const error = await administer('make realm production', Promise.reject(refused)).catch((thrown: unknown) => thrown);
  expect(error).toEqual(new Error('Keycloak, make realm production: 409 Realm production already exists'));
  expect((error as Error).cause).toBeUndefined();
});

test('each client is tied to its subject; those that come while policies are written are written together, profiles first', async () => {
  type Named = { name: string; profiles?: string[] };
  const written: string[] = [];
  const note =
    (kind: 'profiles' | 'policies') =>
    async (document: Partial<Record<'profiles' | 'policies', Named[]>>): Promise<void> => {
      written.push(`${kind}: ${document[kind]?.map(({ name, profiles = [name] }) => profiles.join()).join(', ')}`);
    };
  const admin = { clientPolicies: { createProfiles: note('profiles'), updatePolicy: note('policies') } };
  const policies = new SubjectPolicies(admin as unknown as KeycloakAdminClient, 'production');
  const first = policies.tie('a');
  await Promise.resolve();
  await Promise.all([first, policies.tie('b'), policies.tie('c')]);
  expect(written).toEqual([
    'profiles: only a',
    'policies: only a',
    'profiles: only a, only b, only c',
    'policies: only a, only b, only c',
  ]);
});

test('a realm that is given keys asks the issuer for nothing', () => {
  const byUrl = JSON.stringify(realmOf('r', provider, { ...trust, byDiscovery: false }).identityProviders);
  expect(byUrl).not.toContain('"kubernetes"');
  expect(byUrl.match(/"jwksUrl":"https:\/\/c\.test\/openid\/v1\/jwks"/g)).toHaveLength(2);
  const given = JSON.stringify(realmOf('r', provider, { ...trust, byDiscovery: false, jwks: '{}' }).identityProviders);
  expect(given).not.toContain('jwksUrl"');
  expect(given.match(/"publicKeySignatureVerifier":"\{\}"/g)).toHaveLength(2);
});

test.for([
  ['embedded', 'there is no variant "nowhere"; there are audience-unchecked, api-audience-accepted'],
  ['keycloak', 'there is no variant "nowhere"; there are jwt-grant-defaults, legacy-token-exchange'],
  ['oauth2-mock-server', 'there is no variant "nowhere"; it has none'],
] as const)('%s names the variants that it has', async ([kind, message]) => {
  const { context } = await makeTestIssuer();
  await expect(startIdentityProvider(kind, 'nowhere', context)).rejects.toThrow(message);
});

test('Keycloak without an engine says what it needs', async () => {
  const { context } = await makeTestIssuer();
  await expect(startIdentityProvider('keycloak', undefined, context)).rejects.toThrow('needs a container engine');
});
