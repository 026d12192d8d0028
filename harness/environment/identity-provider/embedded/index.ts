import { randomBytes } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { createRequire } from 'node:module';
import { HOSTS, IDENTITY_PROVIDER_PORT } from '../../../core/names.ts';
import { listenHttps } from '../../../fakes/https-listener.ts';
import type {
  GrantDeclaration,
  ProviderDescription,
  SecondIssuerTrust,
  StartedIdentityProvider,
} from '../../../oauth/provider.ts';
import { subjectOf } from '../../../oauth/provider.ts';
import {
  clientIdOf,
  DEFAULT_ACCESS_TOKEN_LIFETIME_SECONDS,
  DEFAULT_PROVIDERS,
  type IdentityProviderContext,
} from '../context.ts';
import type { EmbeddedTwin } from '../faults/twins.ts';
import { RequestCounter } from '../request-counter.ts';
import { STRICT_CHECKS } from './assertion.ts';
import { KEY_CACHE } from './cluster-keys.ts';
import { createEmbeddedProvider, type EmbeddedProvider, makeAccessTokenKey, STRICT_BEHAVIOUR } from './provider.ts';

const GRANTS: GrantDeclaration[] = [
  { grant: 'jwt-bearer', clientAuthentication: 'none' },
  { grant: 'jwt-bearer', clientAuthentication: 'subject-token' },
  { grant: 'token-exchange', clientAuthentication: 'none' },
  { grant: 'client-assertion', clientAuthentication: 'subject-token' },
];

/** Its audience is not its issuer, unlike Keycloak's: nobody may assume that it is (catalogue AI-01). */
export const EMBEDDED_AUDIENCE_PREFIX = 'conformance-';

/** Seconds above the age of cached keys that a fetch may take. */
const FETCH_SECONDS = 5;

/** A scope that it knows, and that no client is registered for. */
export const FOREIGN_SCOPE = 'inference-admin';

/** How its access tokens look: signed JWTs, or strings that mean something to the provider alone. */
export interface EmbeddedOptions {
  opaqueAccessTokens?: boolean;
  /** The cluster's keys, a JWK Set as JSON text, where it is not to ask the cluster for them. */
  clusterKeys?: string;
}

function describeEmbedded(name: string, lifetimeSeconds: number, introspectionSecret?: string): ProviderDescription {
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

/**
 * Starts the embedded identity provider: in this process, https with a certificate of the run's CA, on a free port of the
 * bind address. `twin` is what a twin does otherwise.
 */
export async function startEmbedded(
  context: IdentityProviderContext,
  twin: EmbeddedTwin = {},
  { opaqueAccessTokens = twin.opaqueAccessTokens === true, clusterKeys }: EmbeddedOptions = {},
): Promise<StartedIdentityProvider> {
  const secret = opaqueAccessTokens ? randomBytes(24).toString('base64url') : undefined;
  const lifetime = context.accessTokenLifetimeSeconds ?? DEFAULT_ACCESS_TOKEN_LIFETIME_SECONDS;
  const descriptions = (context.providers ?? DEFAULT_PROVIDERS).map((name) => describeEmbedded(name, lifetime, secret));
  const served = [...new Set(GRANTS.map(({ grant }) => grant))].filter((grant) => !twin.switchedOff?.includes(grant));
  const providers = new Map<string, EmbeddedProvider>();
  let trusted = 0;
  const told = new Set<string>();
  const tellOnce = (message: string): void => {
    if (!told.has(message)) context.onProgress(message);
    told.add(message);
  };
  const mounts: Record<string, RequestListener> = {};
  const signingKey = twin.oneSigningKey === true ? await makeAccessTokenKey('shared') : undefined;
  const add = async (
    { name, issuer, audience, accessTokenAudience, accessTokenLifetimeSeconds, introspection }: ProviderDescription,
    trust: Pick<SecondIssuerTrust, 'issuer' | 'keys'> & { algorithms?: string[] },
  ): Promise<void> => {
    const keys = twin.ignoresKeySources === true ? undefined : trust.keys;
    const provider = await createEmbeddedProvider(
      {
        issuer,
        clusterIssuer: trust.issuer,
        algorithms: trust.algorithms ?? ['RS256', 'ES256'],
        ...(keys === undefined ? {} : { keys }),
        keyCache: { ...KEY_CACHE, ...twin.keyCache },
        audience,
        grants: served,
        accessTokenAudience,
        accessTokenLifetimeSeconds: twin.accessTokenLifetimeSeconds ?? accessTokenLifetimeSeconds,
        clockToleranceSeconds: 5,
        ...(introspection === undefined ? {} : { introspectedBy: introspection }),
      },
      context.fetch,
      {
        checks: { ...STRICT_CHECKS, ...twin.checks?.() },
        behaviour: { ...STRICT_BEHAVIOUR, ...twin.behaviour },
        onTrouble: (message) => tellOnce(`${name}: ${message}`),
        ...(signingKey === undefined ? {} : { signingKey }),
      },
    );
    providers.set(name, provider);
    mounts[name] = provider.provider.callback();
  };
  const [{ cert, key }] = await Promise.all([
    context.pki.issue(HOSTS.embedded, { ips: [context.bindAddress] }),
    ...descriptions.map((description) =>
      add(description, { ...context.trust, ...(clusterKeys === undefined ? {} : { keys: { jwks: clusterKeys } }) }),
    ),
  ]);
  const counter = new RequestCounter();
  const onRequest = (url: string): void => counter.count(url);
  const listener = await listenHttps({ bindAddress: context.bindAddress, port: 0, cert, key, mounts, onRequest });
  const upstream = { address: listener.address, port: listener.port };
  context.resolver.add(`${HOSTS.embedded}:${IDENTITY_PROVIDER_PORT}`, { host: upstream.address, port: upstream.port });
  const { version } = createRequire(import.meta.url)('oidc-provider/package.json') as { version: string };

  return {
    description: {
      kind: 'embedded',
      version: `oidc-provider ${version}`,
      providers: descriptions,
      keySources: ['key-url', 'static-keys'],
      host: HOSTS.embedded,
      port: IDENTITY_PROVIDER_PORT,
      upstream,
    },
    async register(name, workload) {
      const provider = providers.get(name);
      if (provider === undefined) {
        throw new Error(
          `embedded identity provider: there is no provider "${name}"; there are ${descriptions.map((one) => one.name).join(', ')}`,
        );
      }
      const clientId = clientIdOf(workload);
      provider.register({ clientId, subject: subjectOf(workload) });
      return { clientId };
    },
    async trusting(trust) {
      trusted += 1;
      const description = describeEmbedded(`second-issuer-${trusted}`, lifetime, secret);
      await add(description, trust);
      return description;
    },
    requests: () => ({ counts: counter.counts, countedBy: 'the server itself' }),
    async assertAlive() {
      if (!listener.listening) throw new Error('embedded identity provider: its listener is closed');
    },
    stop: () => listener.close(),
  };
}
