import { createRequire } from 'node:module';
import { OAuth2Issuer, OAuth2Service } from 'oauth2-mock-server';
import { HOSTS, IDENTITY_PROVIDER_PORT } from '../../core/names.ts';
import { listenHttps } from '../../fakes/https-listener.ts';
import type { ProviderDescription, StartedIdentityProvider } from '../../oauth/provider.ts';
import { subjectOf } from '../../oauth/provider.ts';
import { DEFAULT_PROVIDERS, type IdentityProviderContext } from './context.ts';
import { RequestCounter } from './request-counter.ts';

/** Life of its access tokens in seconds; it cannot be configured. */
const LIFETIME_SECONDS = 3_600;

/**
 * Starts `oauth2-mock-server` as it comes, behind https. It serves the JWT authorization grant and verifies nothing of
 * the assertion: the natural broken provider.
 */
export async function startMock(context: IdentityProviderContext): Promise<StartedIdentityProvider> {
  const providers = (context.providers ?? DEFAULT_PROVIDERS).map((name): ProviderDescription => {
    const issuer = `https://${HOSTS.mock}:${IDENTITY_PROVIDER_PORT}/${name}`;
    return {
      name,
      issuer,
      audience: `mock-${name}`,
      tokenEndpoint: `${issuer}/token`,
      grants: [{ grant: 'jwt-bearer', clientAuthentication: 'none' }],
      accessTokenAudience: `inference-${name}`,
      accessTokenLifetimeSeconds: LIFETIME_SECONDS,
    };
  });
  const [described] = providers;
  if (described === undefined) {
    throw new Error('oauth2-mock-server: no provider is named');
  }
  const services = await Promise.all(
    providers.map(async ({ name, issuer: url }) => {
      const issuer = new OAuth2Issuer();
      issuer.url = url;
      await issuer.keys.generate('ES256');
      return [name, new OAuth2Service(issuer).requestHandler] as const;
    }),
  );
  const { cert, key } = await context.pki.issue(HOSTS.mock, { ips: [context.bindAddress] });
  const counter = new RequestCounter();
  const listener = await listenHttps({
    onRequest: (url) => counter.count(url),
    bindAddress: context.bindAddress,
    port: 0,
    cert,
    key,
    mounts: Object.fromEntries(services),
  });
  const upstream = { address: listener.address, port: listener.port };
  context.resolver.add(`${HOSTS.mock}:${IDENTITY_PROVIDER_PORT}`, { host: upstream.address, port: upstream.port });
  const entry = createRequire(import.meta.url).resolve('oauth2-mock-server');
  const { version } = createRequire(entry)('../package.json') as { version: string };

  return {
    description: {
      kind: 'oauth2-mock-server',
      version,
      providers,
      host: HOSTS.mock,
      port: IDENTITY_PROVIDER_PORT,
      upstream,
    },
    // It knows no clients: its access tokens carry whatever `sub` the assertion has.
    register: async (_provider, workload) => ({ clientId: subjectOf(workload) }),
    // It asks no issuer for anything: every one is as good.
    trusting: async () => described,
    requests: () => ({ counts: counter.counts, countedBy: 'the server itself' }),
    async assertAlive() {
      if (!listener.listening) {
        throw new Error('oauth2-mock-server: its listener is closed');
      }
    },
    stop: () => listener.close(),
  };
}
