import KeycloakAdminClient from '@keycloak/keycloak-admin-client';
import { HarnessError, NotApplicable, UsageError } from '../../../core/errors.ts';
import { HOSTS, IDENTITY_PROVIDER_PORT } from '../../../core/names.ts';
import type { Values } from '../../../core/placeholders.ts';
import type { StartedIdentityProvider } from '../../../oauth/provider.ts';
import type { IdentityProviderTarget as IdentityProviderTargetFile } from '../../../role-data/identity-provider/target-file.ts';
import type { FromFile } from '../../../targets/load.ts';
import type { AdminApi } from '../admin-requests.ts';
import type { IdentityProviderContext } from '../context.ts';
import { administer } from '../keycloak/administer.ts';
import { startContainers } from './containers.ts';

export type IdentityProviderTarget = FromFile<IdentityProviderTargetFile>;

/** Our images of Keycloak: each release with the features beyond its defaults that an image has. */
const KEYCLOAK_IMAGES = [
  { image: 'keycloak', release: '26.7', features: [] },
  { image: 'keycloak-preview', release: '26.7', features: ['admin-fine-grained-authz:v1', 'token-exchange'] },
  { image: 'keycloak-26-4', release: '26.4', features: ['client-auth-federated'] },
] as const;

/** A server that a target file names, before its providers are looked at. */
export interface TargetServer {
  kind: string;
  values: Values;
  admin?: AdminApi;
  upstream?: { address: string; port: number };
  version(): Promise<string>;
  /**
   * Starts what one provider needs, before it is set up; gives further values. Absent where the server is there for all
   * of them.
   */
  startFor?(provider: string, values: Values): Promise<Values>;
  /** Administers one provider while nobody else asks it anything, where it takes one request at a time. */
  alone?<T>(provider: string, work: () => Promise<T>): Promise<T>;
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
    case 'container':
      return startContainers(context, server, file);
    case 'running':
      return attachServer(context, target, server);
    default:
      return Promise.reject(new HarnessError(`a server of the kind ${server.kind} describes itself`));
  }
}

async function startKeycloakServer(
  context: IdentityProviderContext,
  {
    release,
    features,
    keysLifespanSeconds,
  }: { release: string; features: string[]; keysLifespanSeconds?: number | undefined },
  file: string,
): Promise<TargetServer> {
  if (context.network === undefined) {
    throw new NotApplicable(
      `${file}: with --cluster kubeconfig no Keycloak of a target file is started. For the harness's own, as a pod, leave the target file out and give --idp keycloak; for yours, start it where it reaches the cluster's issuer, and describe it as \`server: {kind: running}\``,
    );
  }
  const wanted = features.toSorted().join();
  const image = KEYCLOAK_IMAGES.find((known) => known.release === release && known.features.join() === wanted)?.image;
  if (image === undefined) {
    const known = KEYCLOAK_IMAGES.map((one) => [one.release, ...one.features].join(' with ')).join('; ');
    throw new UsageError(
      `${file}: there is no image of Keycloak ${[release, ...features].join(' with ')}. There are: ${known}. For others start your own and describe it as \`server: {kind: running}\``,
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
    ...(server.requests === undefined ? {} : { requests: server.requests }),
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
      if (token === undefined) {
        throw new HarnessError('the administrator has no access token');
      }
      return token;
    },
  };
}
