import { HOSTS, IDENTITY_PROVIDER_PORT } from '../../../core/names.ts';
import type { GrantDeclaration, ProviderDescription, Registration, WorkloadIdentity } from '../../../oauth/provider.ts';
import { subjectOf } from '../../../oauth/provider.ts';
import { clientIdOf, DEFAULT_ACCESS_TOKEN_LIFETIME_SECONDS, type IdentityProviderContext } from '../context.ts';
import type { KeycloakTwin } from '../faults/keycloak-twins.ts';
import { administer } from './administer.ts';
import { clientOf, type RealmTrust, realmOf, userOf } from './realm.ts';
import type { KeycloakServer } from './servers.ts';
import { SubjectPolicies } from './subject-policies.ts';

/**
 * How long Keycloak uses an issuer's keys as it has fetched them. By its defaults it is until a token names a key that
 * is not among them, so that one which was withdrawn stays good (catalogue AI-14; measured on 26.7.4).
 */
export const KEYS_LIFESPAN_SECONDS = 40;

/** Seconds that a fetch of keys may take. */
const FETCH_SECONDS = 5;

const DISCOVERY_DEADLINE_MS = 30_000;

const GRANTS: GrantDeclaration[] = [
  { grant: 'client-assertion', clientAuthentication: 'subject-token' },
  { grant: 'jwt-bearer', clientAuthentication: 'subject-token' },
];

/** Describes a provider that a realm will be. */
export function describeRealm(
  name: string,
  { realmPrefix = '', grants = GRANTS }: KeycloakTwin,
  lifetimeSeconds = DEFAULT_ACCESS_TOKEN_LIFETIME_SECONDS,
): ProviderDescription {
  const issuer = `https://${HOSTS.keycloak}:${IDENTITY_PROVIDER_PORT}/realms/${realmPrefix}${name}`;
  return {
    name,
    issuer,
    // Keycloak's `kubernetes` provider takes the realm's issuer and nothing else.
    audience: issuer,
    tokenEndpoint: `${issuer}/protocol/openid-connect/token`,
    grants,
    accessTokenAudience: `inference-${name}`,
    accessTokenLifetimeSeconds: lifetimeSeconds,
    foreignScopes: ['inference-admin'],
    withdrawnKeySeconds: KEYS_LIFESPAN_SECONDS + FETCH_SECONDS,
  };
}

/** The realms that one identity provider has on a server: a provider each. */
export class KeycloakRealms {
  readonly #server: KeycloakServer;
  readonly #context: IdentityProviderContext;
  readonly #twin: KeycloakTwin;
  readonly #policies = new Map<string, SubjectPolicies>();
  readonly #registrations = new Map<string, Promise<Registration>>();

  constructor(server: KeycloakServer, context: IdentityProviderContext, twin: KeycloakTwin) {
    this.#server = server;
    this.#context = context;
    this.#twin = twin;
  }

  /** Makes a realm; ready is, when it answers with its discovery document under the issuer that was asked for. */
  async add(provider: ProviderDescription, trust: RealmTrust): Promise<void> {
    const { admin } = this.#server;
    const name = this.#nameOf(provider.name);
    const realm = realmOf(name, provider, trust);
    this.#twin.realm?.(realm, trust, provider.audience);
    await administer(`make realm ${name}`, admin.realms.create(realm));
    if (this.#twin.finish !== undefined) {
      await administer(`finish realm ${name}`, this.#twin.finish(admin, name));
    }
    await requireDiscovery(this.#context, provider);
    this.#policies.set(provider.name, new SubjectPolicies(admin, name));
  }

  /** Registers a workload, once. @throws Error for a provider that does not exist, with those that do */
  async register(provider: string, workload: WorkloadIdentity): Promise<Registration> {
    if (!this.#policies.has(provider)) {
      const known = [...this.#policies.keys()].join(', ');
      throw new Error(`Keycloak: there is no provider "${provider}"; there are ${known}`);
    }
    if (this.#twin.clientId !== undefined) {
      return { clientId: this.#twin.clientId };
    }
    const key = `${provider} ${subjectOf(workload)}`;
    const registration = this.#registrations.get(key) ?? this.#register(provider, workload);
    this.#registrations.set(key, registration);
    return registration;
  }

  async #register(provider: string, workload: WorkloadIdentity): Promise<Registration> {
    const { admin } = this.#server;
    const realm = this.#nameOf(provider);
    const clientId = clientIdOf(workload);
    const subject = subjectOf(workload);
    await Promise.all([
      administer(`register client ${clientId}`, admin.clients.create({ realm, ...clientOf(clientId, subject) })),
      administer(`register user ${clientId}`, admin.users.create({ realm, ...userOf(clientId, subject) })),
      ...(this.#twin.untied === true ? [] : [this.#policies.get(provider)?.tie(subject)]),
    ]);
    return { clientId };
  }

  #nameOf(provider: string): string {
    return `${this.#twin.realmPrefix ?? ''}${provider}`;
  }
}

async function requireDiscovery(context: IdentityProviderContext, { issuer }: ProviderDescription): Promise<void> {
  const url = `${issuer}/.well-known/openid-configuration`;
  const response = await context.resolver.fetch(url, { signal: AbortSignal.timeout(DISCOVERY_DEADLINE_MS) });
  const text = await response.text();
  if (response.status !== 200) {
    throw new Error(`GET ${url} answered ${response.status}`);
  }
  const discovery = JSON.parse(text) as { issuer?: unknown };
  if (discovery.issuer !== issuer) {
    throw new Error(`GET ${url} names the issuer ${JSON.stringify(discovery.issuer)}`);
  }
}
