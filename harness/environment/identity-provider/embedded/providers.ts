import type { RequestListener } from 'node:http';
import type { AdditionalIssuerTrust, ProviderDescription, WorkloadIdentity } from '../../../oauth/provider.ts';
import { subjectOf } from '../../../oauth/provider.ts';
import { clientIdOf, type IdentityProviderContext } from '../context.ts';
import { makeAccessTokenKey, type SigningKey } from './access-tokens.ts';
import { STRICT_CHECKS } from './assertion.ts';
import { STRICT_BEHAVIOUR } from './behaviour.ts';
import { KEY_CACHE } from './cluster-keys.ts';
import type { EmbeddedProviderConfig } from './config.ts';
import { GRANTS } from './description.ts';
import { createEmbeddedProvider, type EmbeddedProvider } from './provider.ts';
import type { EmbeddedTwin } from './twin.ts';

/** `alg` values of a cluster's tokens. */
const CLUSTER_ALGORITHMS = ['RS256', 'ES256'];

const CLOCK_TOLERANCE_SECONDS = 5;

/** Whose tokens a provider accepts, and by which keys. */
export type IssuerTrust = Pick<AdditionalIssuerTrust, 'issuer' | 'keys'> & { algorithms?: string[] };

/** The providers of one embedded server, each of which is mounted under its name. */
export class EmbeddedProviders {
  /** For {@link listenHttps}; grows as providers are added. */
  readonly mounts: Record<string, RequestListener> = {};
  readonly #context: Pick<IdentityProviderContext, 'fetch' | 'onProgress'>;
  readonly #twin: EmbeddedTwin;
  readonly #providers = new Map<string, EmbeddedProvider>();
  readonly #reported = new Set<string>();
  #sharedKey: Promise<SigningKey> | undefined;

  constructor(context: Pick<IdentityProviderContext, 'fetch' | 'onProgress'>, twin: EmbeddedTwin) {
    this.#context = context;
    this.#twin = twin;
  }

  async add(description: ProviderDescription, trust: IssuerTrust): Promise<void> {
    const { name } = description;
    const signingKey = await this.#signingKey();
    const provider = await createEmbeddedProvider(this.#configOf(description, trust), this.#context.fetch, {
      checks: { ...STRICT_CHECKS, ...this.#twin.checks?.() },
      behaviour: { ...STRICT_BEHAVIOUR, ...this.#twin.behaviour },
      onTrouble: (message) => this.#reportOnce(`${name}: ${message}`),
      ...(signingKey === undefined ? {} : { signingKey }),
    });
    this.#providers.set(name, provider);
    this.mounts[name] = provider.provider.callback();
  }

  /** Registers a client for a workload. @throws Error for a provider that does not exist, with those that do */
  register(name: string, workload: WorkloadIdentity): { clientId: string } {
    const provider = this.#providers.get(name);
    if (provider === undefined) {
      const known = [...this.#providers.keys()].sort().join(', ');
      throw new Error(`embedded identity provider: there is no provider "${name}"; there are ${known}`);
    }
    const clientId = clientIdOf(workload);
    provider.register({ clientId, subject: subjectOf(workload) });
    return { clientId };
  }

  #configOf(description: ProviderDescription, trust: IssuerTrust): EmbeddedProviderConfig {
    const { issuer, audience, accessTokenAudience, accessTokenLifetimeSeconds, introspection } = description;
    const { switchedOff = [], ignoresKeySources = false, keyCache } = this.#twin;
    const keys = ignoresKeySources ? undefined : trust.keys;
    return {
      issuer,
      clusterIssuer: trust.issuer,
      algorithms: trust.algorithms ?? CLUSTER_ALGORITHMS,
      ...(keys === undefined ? {} : { keys }),
      keyCache: { ...KEY_CACHE, ...keyCache },
      audience,
      grants: [...new Set(GRANTS.map(({ grant }) => grant))].filter((grant) => !switchedOff.includes(grant)),
      accessTokenAudience,
      accessTokenLifetimeSeconds: this.#twin.accessTokenLifetimeSeconds ?? accessTokenLifetimeSeconds,
      clockToleranceSeconds: CLOCK_TOLERANCE_SECONDS,
      ...(introspection === undefined ? {} : { introspectedBy: introspection }),
    };
  }

  /** One for all, where a twin has it so; else undefined, and each provider makes its own. */
  #signingKey(): Promise<SigningKey | undefined> {
    if (this.#twin.oneSigningKey !== true) {
      return Promise.resolve(undefined);
    }
    this.#sharedKey ??= makeAccessTokenKey('shared');
    return this.#sharedKey;
  }

  #reportOnce(message: string): void {
    if (!this.#reported.has(message)) {
      this.#reported.add(message);
      this.#context.onProgress(message);
    }
  }
}
