import { UsageError } from '../../../core/errors.ts';
import { incompatiblePair } from '../../../core/incompatible-pair.ts';
import { fill, fillKnown, type Values } from '../../../core/placeholders.ts';
import type { AuthFlow } from '../../../fakes/simulated-providers.ts';
import type { ClientAuthentication, Grant, ProviderDescription } from '../../../oauth/provider.ts';
import type { TokenClientCapability } from '../../../role-data/token-client/target-file.ts';
import type { Target } from '../../../targets/load.ts';
import type { Configurable, SessionProvider } from '../record.ts';

type TokenClientTarget = Target<'token-client'>;

/** A way in which both the client and its provider say that a projected token becomes an access token. */
export interface AgreedGrant {
  grant: Grant;
  clientAuthentication: Extract<ClientAuthentication, 'none' | 'subject-token'>;
}

/** A provider as the client's configuration files have it. */
export interface ConfiguredProvider extends SessionProvider, AgreedGrant {
  grant: AgreedGrant['grant'];
  issuer: string;
  tokenEndpoint: string;
  /** Base of the OpenAI-compatible interface that takes its access tokens. */
  baseURL: string;
  /** `audience` of a token exchange, where one is to be sent. */
  tokenExchangeAudience?: string;
}

/** What the grants are called in a configuration, and as capabilities. */
export const FLOWS: Record<Grant, AuthFlow> = {
  'jwt-bearer': 'jwt_bearer',
  'token-exchange': 'token_exchange',
  'client-assertion': 'client_credentials',
};

/** Capabilities that a client needs for a grant with a client authentication; a way that is not here needs a secret. */
const NEEDS: Record<string, TokenClientCapability[]> = {
  'client-assertion subject-token': ['client_credentials'],
  'jwt-bearer none': ['jwt_bearer'],
  'jwt-bearer subject-token': ['jwt_bearer', 'client_assertion'],
  'token-exchange none': ['token_exchange'],
  'token-exchange subject-token': ['token_exchange', 'client_assertion'],
};

/**
 * The first way that the provider declares and the client has the capabilities for.
 *
 * @param provider name of the server that it is one of, with its version, for the message
 * @throws NotApplicable of an incompatible pair when there is none, or when its access tokens are too short-lived for
 *   the client
 */
export function agreeOnGrant(
  target: Pick<TokenClientTarget, 'name' | 'capabilities' | 'skewSeconds'>,
  server: string,
  { name, grants, accessTokenLifetimeSeconds }: ProviderDescription,
): AgreedGrant {
  const agreed = grants.find(({ grant, clientAuthentication }) =>
    NEEDS[`${grant} ${clientAuthentication}`]?.every((capability) => target.capabilities.includes(capability)),
  );
  if (agreed === undefined) {
    const taken = grants.map(({ grant, clientAuthentication }) => {
      const needed = NEEDS[`${grant} ${clientAuthentication}`];
      const needs =
        needed === undefined ? 'which needs a client secret' : `which needs the capabilities ${needed.join(' and ')}`;
      return `${grant} with the client authentication ${clientAuthentication}, ${needs}`;
    });
    throw incompatiblePair({
      between: [target.name, server],
      why: `the client declares the capabilities ${target.capabilities.join(', ')}; the provider ${name} takes ${taken.join(', or ')}, and nothing else.`,
      remedy:
        'use a provider that takes one of the grants of the client (`--idp embedded` takes all three, or a target file of the role identity-provider), or declare the capability where the client has it.',
    });
  }
  if (accessTokenLifetimeSeconds <= target.skewSeconds) {
    throw incompatiblePair({
      between: [target.name, server],
      why: `the client takes an access token for expired ${target.skewSeconds} s before its end, and those of the provider ${name} live ${accessTokenLifetimeSeconds} s.`,
      remedy: `let the provider issue access tokens that live longer than ${target.skewSeconds} s.`,
    });
  }
  return agreed as AgreedGrant;
}

/**
 * What the `provider` of a target file mentions, so that the client can be given it.
 *
 * @returns a property that is false for what no configuration of the client can say
 */
export function configurableBy({ provider, scopes }: Pick<TokenClientTarget, 'provider' | 'scopes'>): Configurable {
  const mentioned = new Set(fillKnown(provider, {}, 'provider').unresolved.map(({ name }) => name));
  const mentions = (...names: string[]): boolean => names.some((name) => mentioned.has(`provider.${name}`));
  return {
    clientId: mentions('clientId'),
    // Scopes that are declared may be written into its files as they are.
    scopes: scopes !== undefined || mentions('scopes', 'scope'),
    audience: mentions('audience'),
    tokenExchangeAudience: mentions('tokenExchangeAudience'),
    tokenPath: mentions('tokenPath', 'configuredTokenPath'),
  };
}

/** Scopes where the target file declares none and its `provider` mentions them. */
const DEFAULT_SCOPES = ['openid'];

/** The scopes that the client is configured with, at every provider. */
export function scopesOf(target: Pick<TokenClientTarget, 'provider' | 'scopes'>): string[] {
  return target.scopes ?? (configurableBy(target).scopes ? DEFAULT_SCOPES : []);
}

/** What the placeholders `${provider.…}` stand for; null where there is nothing to be configured. */
function valuesOf(provider: ConfiguredProvider): Values {
  const values = {
    name: provider.name,
    issuer: provider.issuer,
    tokenEndpoint: provider.tokenEndpoint,
    audience: provider.audience,
    clientId: provider.clientId,
    scopes: provider.scopes,
    scope: provider.scopes.join(' '),
    baseURL: provider.baseURL,
    tokenPath: provider.tokenPath,
    configuredTokenPath: provider.pathConfigured ? provider.tokenPath : null,
    grant: provider.grant,
    authFlow: FLOWS[provider.grant],
    clientAuthentication: provider.clientAuthentication === 'subject-token' ? 'client_assertion' : 'none',
    tokenExchangeAudience: provider.tokenExchangeAudience ?? null,
  };
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`provider.${name}`, value]));
}

/** A tree without the keys whose value is null. */
function withoutNulls(tree: unknown): unknown {
  if (Array.isArray(tree)) {
    return tree.map(withoutNulls);
  }
  if (typeof tree !== 'object' || tree === null) {
    return tree;
  }
  return Object.fromEntries(
    Object.entries(tree).flatMap(([key, value]) => (value === null ? [] : [[key, withoutNulls(value)]])),
  );
}

/**
 * The client's configuration files for some providers: path → content.
 *
 * @param values further placeholders, for example `ca.file`
 * @throws UsageError for a placeholder that has no value, with the place in the target file
 */
export function configurationFiles(
  target: TokenClientTarget,
  providers: ConfiguredProvider[],
  values: Values,
): Record<string, string> {
  const described = Object.fromEntries(
    providers.map((provider) => [
      provider.name,
      withoutNulls(fill(target.provider, { ...values, ...valuesOf(provider) }, `${target.file}: provider`)),
    ]),
  );
  const files = fill(target.files, { ...values, providers: described }, `${target.file}: files`);
  return Object.fromEntries(
    Object.entries(files).map(([path, content]) => {
      if (path.split('/').includes('..')) {
        throw new UsageError(`${target.file}: files: ${path} leads out of its folder`);
      }
      return [path, typeof content === 'string' ? content : `${JSON.stringify(content, undefined, 2)}\n`];
    }),
  );
}

/** What stands for one call, beside what the whole run knows. */
export function callValues(provider: string, configFolder: string): Values {
  return { 'call.provider': provider, 'config.folder': configFolder };
}
