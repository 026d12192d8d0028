import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { HOSTS, IDENTITY_PROVIDER_PORT } from '../../../core/names.ts';
import { listenHttps } from '../../../fakes/https-listener.ts';
import type { StartedIdentityProvider } from '../../../oauth/provider.ts';
import { DEFAULT_ACCESS_TOKEN_LIFETIME_SECONDS, DEFAULT_PROVIDERS, type IdentityProviderContext } from '../context.ts';
import { RequestCounter } from '../request-counter.ts';
import { describeEmbedded } from './description.ts';
import { EmbeddedProviders, type IssuerTrust } from './providers.ts';
import type { EmbeddedTwin } from './twin.ts';

export interface EmbeddedOptions {
  /** True where its access tokens mean something to the provider alone; else they are signed JWTs. */
  opaqueAccessTokens?: boolean;
  /** The cluster's keys, a JWK Set as JSON text, where it is not to ask the cluster for them. */
  clusterKeys?: string;
}

/**
 * Starts the embedded identity provider: in this process, https with a certificate of the run's CA, on a free port of
 * the bind address. `twin` is what a twin does otherwise.
 */
export async function startEmbedded(
  context: IdentityProviderContext,
  twin: EmbeddedTwin = {},
  { opaqueAccessTokens = twin.opaqueAccessTokens === true, clusterKeys }: EmbeddedOptions = {},
): Promise<StartedIdentityProvider> {
  const secret = opaqueAccessTokens ? randomBytes(24).toString('base64url') : undefined;
  const lifetime = context.accessTokenLifetimeSeconds ?? DEFAULT_ACCESS_TOKEN_LIFETIME_SECONDS;
  const descriptions = (context.providers ?? DEFAULT_PROVIDERS).map((name) => describeEmbedded(name, lifetime, secret));
  const providers = new EmbeddedProviders(context, twin);
  const trust: IssuerTrust = {
    ...context.trust,
    ...(clusterKeys === undefined ? {} : { keys: { jwks: clusterKeys } }),
  };
  const [{ cert, key }] = await Promise.all([
    context.pki.issue(HOSTS.embedded, { ips: [context.bindAddress] }),
    ...descriptions.map((description) => providers.add(description, trust)),
  ]);
  const counter = new RequestCounter();
  const listener = await listenHttps({
    bindAddress: context.bindAddress,
    port: 0,
    cert,
    key,
    mounts: providers.mounts,
    onRequest: (url) => counter.count(url),
  });
  const upstream = { address: listener.address, port: listener.port };
  context.resolver.add(`${HOSTS.embedded}:${IDENTITY_PROVIDER_PORT}`, { host: upstream.address, port: upstream.port });
  const { version } = createRequire(import.meta.url)('oidc-provider/package.json') as { version: string };
  let additional = 0;

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
      return providers.register(name, workload);
    },
    async trusting(issuer) {
      additional += 1;
      const description = describeEmbedded(`additional-issuer-${additional}`, lifetime, secret);
      await providers.add(description, issuer);
      return description;
    },
    requests: () => ({ counts: counter.counts, countedBy: 'the server itself' }),
    async assertAlive() {
      if (!listener.listening) {
        throw new Error('embedded identity provider: its listener is closed');
      }
    },
    stop: () => listener.close(),
  };
}
