import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { UsageError } from '../../../core/errors.ts';
import type { StartedIdentityProvider } from '../../../oauth/provider.ts';
import type { IdentityProviderContext } from '../context.ts';
import { startEmbedded } from '../embedded/index.ts';
import { startEmbeddedPod } from '../embedded/pod.ts';
import { startMock } from '../mock.ts';
import { keySourcesOf, registeredOf } from './description.ts';
import { DeclaredProviders } from './providers.ts';
import { type IdentityProviderTarget, startTargetServer } from './servers.ts';
import { clusterValues } from './values.ts';

/**
 * Puts the identity provider of a target file into the slot: starts it where the file says how, sets it up, and is
 * ready to register ServiceAccounts in the way that the file says. Ready is: each provider answers with its discovery
 * document, or the file names its token endpoint.
 *
 * @throws UsageError for a target file that cannot work, with the place in it
 */
export async function startTargetIdentityProvider(
  context: IdentityProviderContext,
  target: IdentityProviderTarget,
): Promise<StartedIdentityProvider> {
  const { server, providers, file } = target;
  if (server.kind === 'embedded') {
    const options = { opaqueAccessTokens: server.accessTokens === 'opaque' };
    return context.pods === undefined
      ? startEmbedded(context, {}, options)
      : startEmbeddedPod(context, context.pods, options);
  }
  if (server.kind === 'oauth2-mock-server') {
    return startMock(context);
  }
  if (providers === undefined) {
    throw new UsageError(`${file}: a server of the kind ${server.kind} needs "providers"`);
  }
  return startDeclared(context, target);
}

async function startDeclared(
  context: IdentityProviderContext,
  target: IdentityProviderTarget,
): Promise<StartedIdentityProvider> {
  const server = await startTargetServer(context, target);
  let declared: DeclaredProviders | undefined;
  try {
    declared = new DeclaredProviders(context, target, server, await clusterValues(context, target));
    return await startedProvider(target, server, declared);
  } catch (error) {
    await declared?.tearDown().catch(() => undefined);
    await server.stop();
    throw error;
  }
}

async function startedProvider(
  target: IdentityProviderTarget,
  server: Awaited<ReturnType<typeof startTargetServer>>,
  declared: DeclaredProviders,
): Promise<StartedIdentityProvider> {
  const providers = await declared.setUpAll();
  const { hostname, port } = new URL(providers[0]?.issuer ?? '');
  const address = { address: hostname, port: Number(port || 443) };
  const { furtherIssuer } = target;
  return {
    description: {
      kind: server.kind,
      version: target.version ?? (await server.version()),
      providers,
      ...keySourcesOf(target),
      ...registeredOf(target),
      host: hostname,
      port: address.port,
      upstream: server.upstream ?? address,
    },
    register: (name, workload) => declared.register(name, workload),
    ...(furtherIssuer === undefined ? {} : { trusting: (trust) => declared.addTrusting(trust, furtherIssuer) }),
    ...(server.requests === undefined ? {} : { requests: server.requests }),
    assertAlive: () => server.assertAlive(),
    async stop() {
      try {
        await declared.tearDown();
      } finally {
        await server.stop();
      }
    },
  };
}

/** Certificates that a target's own TLS is verified by: its files, or what the system trusts. */
export function certificatesOf(target: IdentityProviderTarget): string[] {
  if (target.server.kind !== 'running') {
    return [];
  }
  const files = target.server.ca.map((file) => resolve(target.folder, file));
  return files.length === 0
    ? ['system']
    : files.map((file) => {
        try {
          return readFileSync(file, 'utf8');
        } catch (error) {
          throw new UsageError(`${target.file}: server.ca ${file} cannot be read: ${(error as Error).message}`);
        }
      });
}
