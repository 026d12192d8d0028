import { HarnessError, NotTestable } from '../../../core/errors.ts';
import type { Values } from '../../../core/placeholders.ts';
import type { AuthFlow, SimulatedSetup } from '../../../fakes/simulated-providers.ts';
import type { Grant, ProviderDescription } from '../../../oauth/provider.ts';
import { CLIENT_CAPABILITIES } from '../../../role-data/token-client/target-file.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { Target } from '../../../targets/load.ts';
import type { CacheProviderName } from '../cache-record.ts';
import type { SessionDriver } from '../driver.ts';
import { LATE } from '../record.ts';
import { agreeOnGrant, type ConfiguredProvider, configurableBy, configurationFiles, FLOWS, scopesOf } from './files.ts';

type TokenClientTarget = Target<'token-client'>;

/** A client of a target file, ready to be driven. */
export interface TargetClient extends SessionDriver {
  stop(): Promise<void>;
}

/**
 * Makes the target's ServiceAccount known to the two providers that it is evaluated with, and says how it is to be
 * configured for them.
 *
 * @param options.tokenPath where the token file of a provider is; the first provider's comes first
 * @throws NotApplicable where client and provider do not go together
 * @throws NotTestable where there are not two providers
 */
export async function registerProviders(
  t: RequirementContext,
  target: TokenClientTarget,
  options: {
    serviceAccount: string;
    tokenPath: (provider: string, index: number) => { path: string; configured: boolean };
    baseURL: (provider: string) => string;
  },
): Promise<ConfiguredProvider[]> {
  const [identityProvider, { name: namespace }] = await Promise.all([t.identityProvider(), t.namespace()]);
  const described = identityProvider.providers.slice(0, 2);
  if (described.length < 2) {
    throw new NotTestable(`the identity provider has ${described.length} providers; two are needed`);
  }
  const agreed = described.map((provider) => agreeOnGrant(target, identityProvider.kind, provider));
  return Promise.all(
    described.map(async (provider: ProviderDescription, index): Promise<ConfiguredProvider> => {
      const { name, issuer, tokenEndpoint, audience, accessTokenLifetimeSeconds } = provider;
      const { path, configured } = options.tokenPath(name, index);
      const { clientId } = await identityProvider.register(name, { namespace, serviceAccount: options.serviceAccount });
      return {
        ...(agreed[index] as (typeof agreed)[number]),
        name,
        issuer,
        tokenEndpoint,
        audience,
        clientId,
        scopes: scopesOf(target),
        tokenPath: path,
        pathConfigured: configured,
        accessTokenLifetimeSeconds,
        skewSeconds: target.skewSeconds,
        baseURL: options.baseURL(name),
      };
    }),
  );
}

/** What a target file says of the client for the session. */
export function sessionSettings(
  target: TokenClientTarget,
): Pick<
  SessionDriver,
  'capabilities' | 'configurable' | 'tokenRequest' | 'timeLimitMs' | 'defaultLifeSeconds' | 'reloadSeconds'
> {
  return {
    configurable: configurableBy(target),
    ...(target.tokenRequest === undefined ? {} : { tokenRequest: target.tokenRequest }),
    capabilities: CLIENT_CAPABILITIES.filter((capability) => target.capabilities.includes(capability)),
    timeLimitMs: target.timeLimitSeconds * 1000,
    ...(target.tokenReloadSeconds === undefined ? {} : { reloadSeconds: target.tokenReloadSeconds }),
    ...(target.defaultLifeSeconds === undefined ? {} : { defaultLifeSeconds: target.defaultLifeSeconds }),
  };
}

/**
 * Which providers stand in the configuration of one call. A client may look after all that it knows at its start,
 * whichever is called: the late provider, which shares endpoint and token with the first one, must not stand beside it
 * while it has a token.
 */
const SETS = {
  late: ['second', 'late'],
  usual: ['first', 'second'],
  all: ['first', 'second', 'late'],
} as const;

/** The set of a client that is one process for all its calls: it is configured once. */
export const EVERYTHING = 'everything';

/** The configuration folders of a client, one for each set of providers. */
export class ConfigurationSets {
  readonly files: Record<string, Record<string, string>>;
  #lateIsBlank = false;
  readonly #latePath: string;

  /**
   * @param simulated providers that the observer simulates: each has a set of its own
   * @param values placeholders that are known by now
   */
  constructor(
    target: TokenClientTarget,
    providers: ConfiguredProvider[],
    simulated: ConfiguredProvider[],
    latePath: string,
    values: Values,
  ) {
    const [first, second] = providers;
    if (first === undefined || second === undefined) {
      throw new HarnessError('two providers are needed');
    }
    const late: ConfiguredProvider = { ...first, name: LATE, tokenPath: latePath, pathConfigured: true };
    const known = { first, second, late };
    this.#latePath = latePath;
    const sets: Record<string, ConfiguredProvider[]> = {
      ...Object.fromEntries(
        Object.entries(SETS).map(([set, members]) => [set, members.map((member) => known[member])]),
      ),
      ...Object.fromEntries(simulated.map((provider) => [simulatedSet(provider.name), [provider]])),
      [EVERYTHING]: [first, second, late, ...simulated],
    };
    this.files = Object.fromEntries(
      Object.entries(sets).map(([set, members]) => [set, configurationFiles(target, members, values)]),
    );
  }

  /** Is told what was put into the late provider's token file. */
  copied(from: string, to: string): void {
    if (to === this.#latePath) {
      this.#lateIsBlank = from === '/dev/null';
    }
  }

  /** Name of the set for the next call of a provider. */
  setFor(provider: string): string {
    if (provider === LATE) {
      return 'late';
    }
    if (Object.hasOwn(this.files, simulatedSet(provider))) {
      return simulatedSet(provider);
    }
    return this.#lateIsBlank ? 'all' : 'usual';
  }
}

function simulatedSet(provider: string): string {
  return `simulated-${provider}`;
}

/** Those that something planned is evaluated by: a client that is started for each call is not called for nothing. */
export function plannedSetups({ planned }: RequirementContext, setups: SimulatedSetup[]): SimulatedSetup[] {
  return setups.filter(({ name }) => planned.simulatedProviders.has(name));
}

const GRANTS = Object.fromEntries(Object.entries(FLOWS).map(([grant, flow]) => [flow, grant])) as Record<
  AuthFlow,
  Grant
>;

/**
 * The simulated providers that a client can be configured for, and how its configuration files have them: with its own
 * scopes, by a grant that it declares where the provider is not about one, and not at all where the provider is about a
 * setting that it has not.
 */
export function configuredSimulated(
  target: Pick<TokenClientTarget, 'capabilities' | 'provider' | 'scopes'>,
  setups: SimulatedSetup[],
  baseURL: (provider: string) => string,
): { simulated: SimulatedSetup[]; configured: ConfiguredProvider[] } {
  const flows = Object.values(FLOWS).filter((flow) => target.capabilities.includes(flow));
  const { tokenExchangeAudience: takesAudience } = configurableBy(target);
  const scopes = scopesOf(target);
  const simulated = setups.flatMap(({ authFlow, ...setup }): SimulatedSetup[] => {
    if (setup.tokenExchangeAudience !== undefined && !takesAudience) {
      return [];
    }
    // Where nothing is said of the grant, any will do.
    const flow = flows.includes(authFlow) ? authFlow : authFlow === 'jwt_bearer' ? flows[0] : undefined;
    return flow === undefined ? [] : [{ ...setup, authFlow: flow, scopes }];
  });
  return {
    simulated,
    configured: simulated.map(({ name, issuer, clientId, scopes, authFlow, tokenExchangeAudience, tokenPath }) => ({
      name,
      issuer,
      tokenEndpoint: `${issuer}/token`,
      audience: issuer,
      clientId,
      scopes,
      tokenPath,
      pathConfigured: true,
      accessTokenLifetimeSeconds: Number.POSITIVE_INFINITY,
      baseURL: baseURL(name),
      grant: GRANTS[authFlow],
      clientAuthentication: authFlow === 'client_credentials' ? 'subject-token' : 'none',
      ...(tokenExchangeAudience === undefined ? {} : { tokenExchangeAudience }),
    })),
  };
}

/** The providers of the scenario with a cache that differ in a setting that the client has not. */
export function cacheProvidersWithout(
  target: Pick<TokenClientTarget, 'capabilities' | 'provider' | 'scopes'>,
): CacheProviderName[] {
  const { clientId, tokenExchangeAudience } = configurableBy(target);
  const takesAudience = tokenExchangeAudience && target.capabilities.includes('token_exchange');
  return [...(clientId ? [] : (['client'] as const)), ...(takesAudience ? [] : (['audience'] as const))];
}

/** Whether it declares that its token requests name no client. */
export function omitsClientId({ tokenRequest }: Pick<TokenClientTarget, 'tokenRequest'>): boolean {
  return tokenRequest?.omits.includes('client_id') === true;
}

/** The values of an environment as text, for a process. */
export function asText(values: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));
}
