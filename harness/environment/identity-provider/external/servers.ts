import KeycloakAdminClient from '@keycloak/keycloak-admin-client';
import { HarnessError, NotApplicable, UsageError } from '../../../core/errors.ts';
import { HOSTS, IDENTITY_PROVIDER_PORT } from '../../../core/names.ts';
import type { Values } from '../../../core/placeholders.ts';
import type { StartedIdentityProvider } from '../../../oauth/provider.ts';
import type { Target } from '../../../targets/load.ts';
import type { AdminApi } from '../admin-requests.ts';
import type { IdentityProviderContext } from '../context.ts';
import { administer } from '../keycloak/servers.ts';

export type IdentityProviderTarget = Target<'identity-provider'>;

/** Features of the second of our Keycloak images, beyond Keycloak's defaults. */
const PREVIEW_FEATURES = ['admin-fine-grained-authz:v1', 'token-exchange'];

/** A server that a target file names, before its providers are looked at. */
export interface TargetServer {
  kind: string;
  values: Values;
  admin?: AdminApi;
  upstream?: { address: string; port: number };
  version(): Promise<string>;
  /** Absent for one that runs already: nobody counts there. */
  requests?: StartedIdentityProvider['requests'];
  assertAlive(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts the server of a target file, or attaches to the one that runs already. */
export function startTargetServer(
  context: IdentityProviderContext,
  target: IdentityProviderTarget,
): Promise<TargetServer> {
  const { server, file } = target;
  switch (server.kind) {
    case 'keycloak':
      return startKeycloakServer(context, server, file);
    case 'running':
      return attachServer(context, target, server);
    default:
      return Promise.reject(new HarnessError(`a server of the kind ${server.kind} describes itself`));
  }
}

async function startKeycloakServer(
  context: IdentityProviderContext,
  { features, keysLifespanSeconds }: { features: string[]; keysLifespanSeconds?: number | undefined },
  file: string,
): Promise<TargetServer> {
  if (context.network === undefined) {
    throw new NotApplicable(
      `${file}: with --cluster kubeconfig no Keycloak is started, since nothing of the harness's can be reached from a live cluster; start your own where it reaches the cluster's issuer, and describe it as \`server: {kind: running}\``,
    );
  }
  const image =
    features.length === 0
      ? 'keycloak'
      : features.toSorted().join() === PREVIEW_FEATURES.join()
        ? 'keycloak-preview'
        : undefined;
  if (image === undefined) {
    throw new UsageError(
      `${file}: there is an image of Keycloak with its default features, and one with ${PREVIEW_FEATURES.join(' and ')}; for ${features.join(', ')} start your own and describe it as \`server: {kind: running}\``,
    );
  }
  const variant = { image, ...(keysLifespanSeconds === undefined ? {} : { keysLifespanSeconds }) } as const;
  const server = await context.keycloakServers.acquire(context, variant);
  context.resolver.add(`${HOSTS.keycloak}:${IDENTITY_PROVIDER_PORT}`, server.route);
  return {
    kind: 'keycloak',
    values: { 'server.url': `https://${HOSTS.keycloak}:${IDENTITY_PROVIDER_PORT}` },
    admin: adminOf(server.admin, context),
    upstream: server.upstream,
    version: () => server.version(),
    requests: () => server.requests(),
    assertAlive: () => server.assertAlive(),
    stop: () => context.keycloakServers.release(variant),
  };
}

async function attachServer(
  context: IdentityProviderContext,
  target: IdentityProviderTarget,
  { version }: { version: string },
): Promise<TargetServer> {
  const admin = target.admin;
  if (admin === undefined) {
    return {
      kind: target.name,
      values: {},
      version: async () => version,
      assertAlive: async () => {},
      stop: async () => {},
    };
  }
  const client = new KeycloakAdminClient({ baseUrl: admin.baseUrl, realmName: admin.realm, timeout: 30_000 });
  const { username, password } = admin;
  await administer('log in', client.auth({ username, password, grantType: 'password', clientId: 'admin-cli' }));
  return {
    kind: target.name,
    values: { 'server.url': admin.baseUrl },
    admin: adminOf(client, context),
    version: async () => {
      const { systemInfo } = await administer('server info', client.serverInfo.find());
      return systemInfo?.version ?? version;
    },
    assertAlive: async () => {},
    stop: async () => {},
  };
}

function adminOf(client: KeycloakAdminClient, context: IdentityProviderContext): AdminApi {
  return {
    baseUrl: client.baseUrl,
    fetch: context.fetch,
    token: async () => {
      const token = await administer('log in', client.getAccessToken());
      if (token === undefined) throw new HarnessError('the administrator has no access token');
      return token;
    },
  };
}
