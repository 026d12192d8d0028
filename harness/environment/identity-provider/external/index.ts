import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { HarnessError, NotApplicable, NotTestable, UsageError } from '../../../core/errors.ts';
import { fill, type Values } from '../../../core/placeholders.ts';
import { redact } from '../../../core/redact.ts';
import type { Fetch } from '../../../oauth/fetch.ts';
import type {
  AdditionalIssuerDeclaration,
  AdditionalIssuerTrust,
  GrantDeclaration,
  ProviderDescription,
  Registration,
  StartedIdentityProvider,
  WorkloadIdentity,
} from '../../../oauth/provider.ts';
import { subjectOf } from '../../../oauth/provider.ts';
import { clientIdOf, type IdentityProviderContext } from '../context.ts';
import { startEmbedded } from '../embedded/index.ts';
import { startMock } from '../mock.ts';
import { type IdentityProviderTarget, startTargetServer } from './servers.ts';
import { ProviderSetup } from './setup.ts';

/** A provider as the target file has it, filled in, with what its requests and commands may name. */
interface Described {
  provider: NonNullable<IdentityProviderTarget['providers']>[number];
  values: Values;
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
  if (target.server.kind === 'embedded') {
    return startEmbedded(
      context,
      {},
      {
        opaqueAccessTokens: target.server.accessTokens === 'opaque',
        // It knows the run's CA, and not that of a live cluster.
        ...(context.network === undefined && context.clusterKeys !== undefined
          ? { clusterKeys: await context.clusterKeys() }
          : {}),
      },
    );
  }
  if (target.server.kind === 'oauth2-mock-server') return startMock(context);
  if (target.providers === undefined) {
    throw new UsageError(`${target.file}: a server of the kind ${target.server.kind} needs "providers"`);
  }
  const server = await startTargetServer(context, target);
  /** Removes what was made, and nothing that was there before and stood in its way. */
  let tearDown = async (): Promise<void> => {};
  try {
    const cluster = await clusterValues(context, target);
    const setup = new ProviderSetup(target, server.admin, context.onProgress);
    const described = new Map<string, Described>();
    const describe = (provider: Described['provider'], trusted: Values): Described => {
      const own = Object.entries({ ...provider, ...provider.values }).map(([name, value]) => [
        `provider.${name}`,
        value,
      ]);
      return { provider, values: { ...server.values, ...trusted, ...Object.fromEntries(own) } };
    };
    tearDown = async () => {
      for (const { values } of described.values()) await setup.request(target.tearDown, values, 'tearDown');
    };
    const setUp = async ({ provider, values }: Described): Promise<ProviderDescription> => {
      const own = await server.startFor?.(provider.name, values);
      const one = { provider, values: { ...values, ...own } };
      await setup.apply(target.setUp, one.values, 'setUp');
      described.set(one.provider.name, one);
      return descriptionOf(context, one.provider);
    };
    const providers: ProviderDescription[] = [];
    const filled = fill(target.providers, { ...server.values, ...cluster }, `${target.file}: providers`);
    for (const provider of filled) providers.push(await setUp(describe(provider, cluster)));
    const { hostname, port } = new URL(providers[0]?.issuer ?? '');
    const registrations = new Map<string, Promise<Registration>>();
    const { furtherIssuer } = target;
    return {
      description: {
        kind: server.kind,
        version: target.version ?? (await server.version()),
        providers,
        ...keySourcesOf(target),
        ...registeredOf(target),
        host: hostname,
        port: Number(port || 443),
        upstream: server.upstream ?? { address: hostname, port: Number(port || 443) },
      },
      register(name, workload) {
        const one = described.get(name);
        if (one === undefined) {
          return Promise.reject(new HarnessError(`${target.file} describes no provider "${name}"`));
        }
        const key = `${name} ${subjectOf(workload)}`;
        const registration =
          registrations.get(key) ??
          (providers.some((provider) => provider.name === name) && target.register?.workloads !== undefined
            ? registered(target, workload, one.values)
            : register(setup, target, { ...one.values, ...workloadValues(workload) }));
        registrations.set(key, registration);
        return registration;
      },
      ...(furtherIssuer === undefined
        ? {}
        : {
            async trusting(trust: AdditionalIssuerTrust): Promise<ProviderDescription> {
              const { provider, keys: _, tls: __, ...ways } = furtherIssuer;
              // Its own name each time: what a run that was killed has left behind may still be there.
              const name = `additional-issuer-${randomBytes(4).toString('hex')}`;
              const trusted = { ...cluster, ...issuerValues(trust) };
              const known = { ...server.values, ...trusted, 'provider.name': name };
              const one = describe(
                { name, ...fill(provider, known, `${target.file}: furtherIssuer.provider`) },
                trusted,
              );
              const description = await setUp(one);
              await setup.apply(ways, described.get(name)?.values ?? one.values, 'furtherIssuer');
              return description;
            },
          }),
      ...(server.requests === undefined ? {} : { requests: server.requests }),
      assertAlive: () => server.assertAlive(),
      async stop() {
        try {
          await tearDown();
        } finally {
          await server.stop();
        }
      },
    };
  } catch (error) {
    await tearDown().catch(() => undefined);
    await server.stop();
    throw error;
  }
}

async function descriptionOf(
  context: IdentityProviderContext,
  {
    values: _,
    tokenEndpoint,
    grants,
    acceptsFurtherAudiences,
    withdrawnKeySeconds,
    introspection,
    foreignScopes,
    ...own
  }: Described['provider'],
): Promise<ProviderDescription> {
  return {
    ...own,
    ...(acceptsFurtherAudiences === true ? { acceptsFurtherAudiences } : {}),
    ...(withdrawnKeySeconds === undefined ? {} : { withdrawnKeySeconds }),
    ...(foreignScopes === undefined ? {} : { foreignScopes }),
    ...(introspection === undefined
      ? {}
      : {
          introspection: {
            ...introspection,
            endpoint: introspection.endpoint ?? (await discover(context, own.issuer, 'introspection_endpoint')),
          },
        }),
    grants: grants.map(({ grant, clientAuthentication, parameters, encoding, omitsClientId }): GrantDeclaration => {
      return {
        grant,
        clientAuthentication,
        ...(parameters === undefined ? {} : { parameters }),
        ...(encoding === undefined ? {} : { encoding }),
        ...(omitsClientId === undefined ? {} : { omitsClientId }),
      };
    }),
    tokenEndpoint: tokenEndpoint ?? (await discover(context, own.issuer, 'token_endpoint')),
  };
}

/** What the file says of trust in an additional issuer. */
function keySourcesOf({
  furtherIssuer,
  file,
}: IdentityProviderTarget): Pick<StartedIdentityProvider['description'], 'keySources' | 'furtherIssuer'> {
  const name = relative(process.cwd(), file);
  if (furtherIssuer === undefined) {
    return {
      furtherIssuer: {
        quoted: `${name} has no "furtherIssuer": it does not say how trust in one more issuer is registered`,
      },
    };
  }
  const { keys, tls } = furtherIssuer;
  const declaration: AdditionalIssuerDeclaration = {
    quoted: `${name} says "furtherIssuer.keys: ${keys}"`,
    keys,
    ...(tls ? {} : { plainHttp: true }),
  };
  return { furtherIssuer: declaration, ...(keys === 'discovery' ? {} : { keySources: [keys] }) };
}

function workloadValues(workload: WorkloadIdentity): Values {
  return {
    'workload.namespace': workload.namespace,
    'workload.serviceAccount': workload.serviceAccount,
    'workload.subject': subjectOf(workload),
    'workload.clientId': clientIdOf(workload),
  };
}

/** What stands in the cluster's place where an additional issuer is trusted. */
function issuerValues({ issuer, algorithms, keys, published }: AdditionalIssuerTrust): Values {
  return {
    'cluster.issuer': issuer,
    'cluster.jwksUri': keys !== undefined && 'url' in keys ? keys.url : `${issuer}/openid/v1/jwks`,
    'cluster.jwks': keys !== undefined && 'jwks' in keys ? keys.jwks : published,
    'cluster.algorithm': algorithms[0] ?? 'RS256',
  };
}

/** The values of the cluster that a target file may use. Its keys are fetched only where the file names them, or has a command that may want them. */
async function clusterValues(
  { trust, fetch, clusterKeys }: IdentityProviderContext,
  target: IdentityProviderTarget,
): Promise<Values> {
  const values: Values = {
    'cluster.issuer': trust.issuer,
    'cluster.jwksUri': trust.jwksUri,
    'cluster.ca': trust.ca,
    'cluster.algorithm': trust.algorithms?.[0] ?? 'RS256',
  };
  const steps = [target.setUp, target.register];
  const named = JSON.stringify(steps).includes('${cluster.jwks}');
  const wanted = steps.some((step) => step !== undefined && 'command' in step && step.command !== undefined);
  if (!named && !wanted) return values;
  const keys = clusterKeys?.() ?? keysAt(fetch, trust.jwksUri);
  try {
    // As JSON text: it is put into a string of the provider's configuration.
    return { ...values, 'cluster.jwks': await keys };
  } catch (error) {
    if (named) throw error;
    return values;
  }
}

async function keysAt(fetch: Fetch, url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(30_000) });
  const keys = await response.text();
  if (response.status !== 200) throw new HarnessError(`the cluster's keys at ${url} were answered ${response.status}`);
  return keys;
}

async function discover(
  { resolver }: IdentityProviderContext,
  issuer: string,
  member: 'token_endpoint' | 'introspection_endpoint',
): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  let seen: string;
  try {
    const response = await resolver.fetch(url, { signal: AbortSignal.timeout(15_000) });
    const text = await response.text();
    seen = `${response.status} ${text.slice(0, 200)}`;
    const { [member]: endpoint } = JSON.parse(text) as Record<string, unknown>;
    if (response.status === 200 && typeof endpoint === 'string') return endpoint;
  } catch (error) {
    seen =
      error instanceof Error
        ? `${error.message}${error.cause instanceof Error ? `: ${error.cause.message}` : ''}`
        : String(error);
  }
  throw new NotTestable(
    `the identity provider's discovery document ${url} names no ${member} (${redact(seen)}); give it in the target file: "${member === 'token_endpoint' ? 'tokenEndpoint' : 'introspection.endpoint'}"`,
  );
}

async function register(setup: ProviderSetup, target: IdentityProviderTarget, values: Values): Promise<Registration> {
  const { clientId: id = '${workload.clientId}', clientSecret: secret, workloads: _, ...ways } = target.register ?? {};
  const filled = fill({ id, secret }, values, `${target.file}: register`);
  const { clientId = filled.id, clientSecret = filled.secret } = await setup.apply(ways, values, 'register');
  return {
    clientId: typeof clientId === 'string' ? clientId : filled.id,
    ...(typeof clientSecret === 'string' ? { clientSecret } : {}),
  };
}

/** The ServiceAccounts of which the file says that they are registered already. */
function registeredOf({
  register: { workloads } = { clientId: '' },
  file,
}: IdentityProviderTarget): Pick<StartedIdentityProvider['description'], 'registered'> {
  if (workloads === undefined) return {};
  const { namespace, serviceAccounts } = workloads;
  const quoted = `${relative(process.cwd(), file)} says "register.workloads"`;
  return { registered: { namespace, serviceAccounts: serviceAccounts.map(({ name }) => name), quoted } };
}

/** @throws NotApplicable for any other ServiceAccount than those that are registered already */
async function registered(
  { register: { workloads, ...common } = { clientId: '' }, file }: IdentityProviderTarget,
  workload: WorkloadIdentity,
  values: Values,
): Promise<Registration> {
  const known = workloads?.serviceAccounts.find(({ name }) => name === workload.serviceAccount);
  if (known === undefined || workload.namespace !== workloads?.namespace) {
    throw new NotApplicable(
      `${relative(process.cwd(), file)} says "register.workloads": no ServiceAccount but those can be registered, and ${subjectOf(workload)} is none of them`,
    );
  }
  const id = known.clientId ?? common.clientId;
  const secret = known.clientSecret ?? common.clientSecret;
  const filled = fill({ id, secret }, { ...values, ...workloadValues(workload) }, `${file}: register.workloads`);
  return { clientId: filled.id, ...(filled.secret === undefined ? {} : { clientSecret: filled.secret }) };
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
