import { relative } from 'node:path';
import { NotTestable } from '../../../core/errors.ts';
import { redact } from '../../../core/redact.ts';
import type {
  AdditionalIssuerDeclaration,
  GrantDeclaration,
  ProviderDescription,
  StartedIdentityProvider,
} from '../../../oauth/provider.ts';
import type { IdentityProviderContext } from '../context.ts';
import type { IdentityProviderTarget } from './servers.ts';

/** A provider as the target file has it, its placeholders filled in. */
export type DeclaredProvider = NonNullable<IdentityProviderTarget['providers']>[number];

/** Describes a provider that is set up; endpoints that the file does not name are those of its discovery document. */
export async function descriptionOf(
  context: IdentityProviderContext,
  {
    values: _,
    tokenEndpoint,
    grants,
    acceptsFurtherAudiences,
    acceptsUnmappedSubjects,
    withdrawnKeySeconds,
    introspection,
    foreignScopes,
    ...described
  }: DeclaredProvider,
): Promise<ProviderDescription> {
  return {
    ...described,
    ...(acceptsFurtherAudiences === true ? { acceptsFurtherAudiences } : {}),
    ...(acceptsUnmappedSubjects === true ? { acceptsUnmappedSubjects } : {}),
    ...(withdrawnKeySeconds === undefined ? {} : { withdrawnKeySeconds }),
    ...(foreignScopes === undefined ? {} : { foreignScopes }),
    ...(introspection === undefined
      ? {}
      : {
          introspection: {
            ...introspection,
            endpoint: introspection.endpoint ?? (await discover(context, described.issuer, 'introspection_endpoint')),
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
    tokenEndpoint: tokenEndpoint ?? (await discover(context, described.issuer, 'token_endpoint')),
  };
}

/** What the file says of trust in an additional issuer. */
export function keySourcesOf({
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

/** The ServiceAccounts of which the file says that they are registered already. */
export function registeredOf({
  register: { workloads } = { clientId: '' },
  file,
}: IdentityProviderTarget): Pick<StartedIdentityProvider['description'], 'registered'> {
  if (workloads === undefined) {
    return {};
  }
  const { namespace, serviceAccounts } = workloads;
  const quoted = `${relative(process.cwd(), file)} says "register.workloads"`;
  return { registered: { namespace, serviceAccounts: serviceAccounts.map(({ name }) => name), quoted } };
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
    if (response.status === 200 && typeof endpoint === 'string') {
      return endpoint;
    }
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
