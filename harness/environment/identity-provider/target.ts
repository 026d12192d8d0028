import { execFile } from 'node:child_process';
import { existsSync, readFileSync, watch } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import KeycloakAdminClient from '@keycloak/keycloak-admin-client';
import { HarnessError, NotTestable, UsageError } from '../../run/errors.ts';
import type { AdminRequest } from '../../target/identity-provider-target.ts';
import { fill, type Values } from '../../target/placeholders.ts';
import type { Target } from '../../target/target-file.ts';
import { redact } from '../../tokens/redact.ts';
import { HOSTS, IDENTITY_PROVIDER_PORT } from '../names.ts';
import { type AdminApi, sendAdminRequests } from './admin-requests.ts';
import { clientIdOf, type IdentityProviderContext, subjectOf } from './context.ts';
import { startEmbedded } from './embedded.ts';
import { administer } from './keycloak/servers.ts';
import { startMock } from './mock.ts';
import type {
  GrantDeclaration,
  ProviderDescription,
  Registration,
  StartedIdentityProvider,
  WorkloadIdentity,
} from './provider.ts';

type IdentityProviderTarget = Target<'identity-provider'>;

/** Features of the second of our Keycloak images, beyond Keycloak's defaults. */
const PREVIEW_FEATURES = ['admin-fine-grained-authz:v1', 'token-exchange'];

const COMMAND_DEADLINE_MS = 120_000;

/** A server that a target file names, before its providers are looked at. */
interface Server {
  kind: string;
  values: Values;
  admin?: AdminApi;
  upstream?: { address: string; port: number };
  version(): Promise<string>;
  assertAlive(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Puts the identity provider of a target file into the slot: starts it where the file says how, sets it up, and is ready to
 * register ServiceAccounts in the way that the file says. Ready is: each provider answers with its discovery document, or
 * the file names its token endpoint.
 *
 * @throws UsageError for a target file that cannot work, with the place in it
 */
export async function startTargetIdentityProvider(
  context: IdentityProviderContext,
  target: IdentityProviderTarget,
): Promise<StartedIdentityProvider> {
  if (target.server.kind === 'embedded') return startEmbedded(context);
  if (target.server.kind === 'oauth2-mock-server') return startMock(context);
  if (target.providers === undefined) {
    throw new UsageError(`${target.file}: a server of the kind ${target.server.kind} needs "providers"`);
  }
  const server = await (target.server.kind === 'keycloak'
    ? startKeycloakServer(context, target.server.features, target.file)
    : attachServer(context, target, target.server));
  try {
    const cluster = await clusterValues(context, target);
    const described = fill(target.providers, { ...server.values, ...cluster }, `${target.file}: providers`);
    const valuesOf = (provider: (typeof described)[number]): Values => ({
      ...server.values,
      ...cluster,
      ...Object.fromEntries(
        Object.entries({ ...provider, ...provider.values }).map(([name, value]) => [`provider.${name}`, value]),
      ),
    });
    const request = async (requests: AdminRequest[], values: Values, where: string): Promise<void> => {
      if (requests.length === 0) return;
      if (server.admin === undefined) {
        throw new UsageError(`${target.file}: ${where} needs "admin", the administrator of the provider`);
      }
      await sendAdminRequests(server.admin, requests, values, `${target.file}: ${where}`);
    };
    for (const provider of described) await request(target.setUp, valuesOf(provider), 'setUp');
    const providers = await Promise.all(
      described.map(async (provider): Promise<ProviderDescription> => {
        const { name, issuer, audience, accessTokenAudience, accessTokenLifetimeSeconds } = provider;
        return {
          name,
          issuer,
          audience,
          accessTokenAudience,
          accessTokenLifetimeSeconds,
          ...(provider.acceptsFurtherAudiences === true ? { acceptsFurtherAudiences: true } : {}),
          grants: provider.grants.map(({ grant, clientAuthentication, parameters }): GrantDeclaration => {
            return { grant, clientAuthentication, ...(parameters === undefined ? {} : { parameters }) };
          }),
          tokenEndpoint: provider.tokenEndpoint ?? (await discoverTokenEndpoint(context, issuer)),
        };
      }),
    );
    const { hostname, port } = new URL(providers[0]?.issuer ?? '');
    const registrations = new Map<string, Promise<Registration>>();
    return {
      description: {
        kind: server.kind,
        version: target.version ?? (await server.version()),
        providers,
        host: hostname,
        port: Number(port || 443),
        upstream: server.upstream ?? { address: hostname, port: Number(port || 443) },
      },
      register(name, workload) {
        const provider = described.find((one) => one.name === name);
        if (provider === undefined) {
          return Promise.reject(new HarnessError(`${target.file} describes no provider "${name}"`));
        }
        const key = `${name} ${subjectOf(workload)}`;
        const registration =
          registrations.get(key) ??
          register(context, target, { ...valuesOf(provider), ...workloadValues(workload) }, (requests, values) =>
            request(requests, values, 'register.requests'),
          );
        registrations.set(key, registration);
        return registration;
      },
      assertAlive: () => server.assertAlive(),
      async stop() {
        try {
          for (const provider of described) await request(target.tearDown, valuesOf(provider), 'tearDown');
        } finally {
          await server.stop();
        }
      },
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

function workloadValues(workload: WorkloadIdentity): Values {
  return {
    'workload.namespace': workload.namespace,
    'workload.serviceAccount': workload.serviceAccount,
    'workload.subject': subjectOf(workload),
    'workload.clientId': clientIdOf(workload),
  };
}

/** What a target file may say of the cluster. Its keys are fetched only where the file names them. */
async function clusterValues(
  { trust, fetch, clusterReady }: IdentityProviderContext,
  target: IdentityProviderTarget,
): Promise<Values> {
  const values: Values = {
    'cluster.issuer': trust.issuer,
    'cluster.jwksUri': trust.jwksUri,
    'cluster.ca': trust.ca,
    'cluster.algorithm': trust.algorithms?.[0] ?? 'RS256',
  };
  if (!JSON.stringify([target.setUp, target.register]).includes('${cluster.jwks}')) return values;
  await clusterReady?.();
  const response = await fetch(trust.jwksUri, { signal: AbortSignal.timeout(30_000) });
  const keys = await response.text();
  if (response.status !== 200) {
    throw new HarnessError(`the cluster's keys at ${trust.jwksUri} were answered ${response.status}`);
  }
  // As JSON text: it is put into a string of the provider's configuration.
  return { ...values, 'cluster.jwks': keys };
}

async function startKeycloakServer(
  context: IdentityProviderContext,
  features: string[],
  file: string,
): Promise<Server> {
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
  const server = await context.keycloakServers.acquire(context, image);
  context.resolver.add(`${HOSTS.keycloak}:${IDENTITY_PROVIDER_PORT}`, server.route);
  return {
    kind: 'keycloak',
    values: { 'server.url': `https://${HOSTS.keycloak}:${IDENTITY_PROVIDER_PORT}` },
    admin: adminOf(server.admin, context),
    upstream: server.upstream,
    version: () => server.version(),
    assertAlive: () => server.assertAlive(),
    stop: () => context.keycloakServers.release(image),
  };
}

async function attachServer(
  context: IdentityProviderContext,
  target: IdentityProviderTarget,
  { version }: { version: string },
): Promise<Server> {
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

async function discoverTokenEndpoint({ resolver }: IdentityProviderContext, issuer: string): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  let seen: string;
  try {
    const response = await resolver.fetch(url, { signal: AbortSignal.timeout(15_000) });
    const text = await response.text();
    seen = `${response.status} ${text.slice(0, 200)}`;
    const { token_endpoint: endpoint } = JSON.parse(text) as { token_endpoint?: unknown };
    if (response.status === 200 && typeof endpoint === 'string') return endpoint;
  } catch (error) {
    seen =
      error instanceof Error
        ? `${error.message}${error.cause instanceof Error ? `: ${error.cause.message}` : ''}`
        : String(error);
  }
  throw new NotTestable(
    `the identity provider's discovery document ${url} names no token endpoint (${redact(seen)}); where it has none, give "tokenEndpoint" in the target file`,
  );
}

async function register(
  context: IdentityProviderContext,
  target: IdentityProviderTarget,
  values: Values,
  request: (requests: AdminRequest[], values: Values) => Promise<void>,
): Promise<Registration> {
  const { clientId = '${workload.clientId}', clientSecret, requests = [], command, manual } = target.register ?? {};
  const filled = fill({ clientId, clientSecret }, values, `${target.file}: register`);
  const registration: Registration = {
    clientId: filled.clientId,
    ...(filled.clientSecret === undefined ? {} : { clientSecret: filled.clientSecret }),
  };
  await request(requests, values);
  if (manual !== undefined) await awaitPerson(context, target, fill(manual, values, `${target.file}: register.manual`));
  if (command === undefined) return registration;
  return {
    ...registration,
    ...(await runCommand(target, fill(command, values, `${target.file}: register.command`), values)),
  };
}

/** Runs the user's own way of registering: the values are in its environment as `CLUSTER_ISSUER`, `WORKLOAD_SUBJECT` and so on. */
async function runCommand(
  target: IdentityProviderTarget,
  [program = '', ...words]: string[],
  values: Values,
): Promise<Partial<Registration>> {
  const given = Object.fromEntries(
    Object.entries(values)
      .filter(([, value]) => typeof value === 'string' || typeof value === 'number')
      .map(([name, value]) => [
        name
          .replaceAll(/[.-]/g, '_')
          .replaceAll(/([a-z])([A-Z])/g, '$1_$2')
          .toUpperCase(),
        String(value),
      ]),
  );
  let stdout: string;
  try {
    ({ stdout } = await promisify(execFile)(program, words, {
      cwd: target.folder,
      env: { ...process.env, ...given },
      timeout: COMMAND_DEADLINE_MS,
    }));
  } catch (error) {
    const { message, stderr = '' } = error as Error & { stderr?: string };
    throw new HarnessError(
      redact(`${target.file}: register.command failed: ${message.split('\n')[0]}; it said: ${stderr.slice(-500)}`),
    );
  }
  const last = stdout.trim().split('\n').at(-1) ?? '';
  if (!last.startsWith('{')) return {};
  const { clientId, clientSecret } = JSON.parse(last) as Record<string, unknown>;
  return {
    ...(typeof clientId === 'string' ? { clientId } : {}),
    ...(typeof clientSecret === 'string' ? { clientSecret } : {}),
  };
}

/** Prints the steps and waits until the person has made the file that says that they are done. */
async function awaitPerson(
  context: IdentityProviderContext,
  target: IdentityProviderTarget,
  { steps, doneFile, deadlineSeconds }: { steps: string[]; doneFile: string; deadlineSeconds: number },
): Promise<void> {
  const file = resolve(target.folder, doneFile);
  context.onProgress(
    [
      `waits for you (${deadlineSeconds} s at most); when all is done, make the file ${file}:`,
      ...steps.map((step, index) => `  ${index + 1}. ${step}`),
    ].join('\n'),
  );
  const done = Promise.withResolvers<void>();
  const watcher = watch(dirname(file), (_, name) => {
    if (name === basename(file) && existsSync(file)) done.resolve();
  });
  const timer = setTimeout(
    () => done.reject(new HarnessError(`nobody made ${file} within ${deadlineSeconds} s`)),
    deadlineSeconds * 1000,
  );
  try {
    if (existsSync(file)) return;
    await done.promise;
  } finally {
    watcher.close();
    clearTimeout(timer);
  }
}

/** Certificates that a target's own TLS is verified by: its files, or what the system trusts. */
export function certificatesOf(target: IdentityProviderTarget): string[] {
  if (target.server.kind !== 'running') return [];
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
