import type { Twin } from '../catalogue/catalogue.ts';
import { describeError, HarnessError, NotApplicable } from '../core/errors.ts';
import { API_SERVER_PORT, HOSTS, LASTS_FOR_THE_RUN, RUN_LABEL, RUN_OBJECT_LABEL } from '../core/names.ts';
import { Resolver } from '../core/resolver.ts';
import type {
  AdditionalIssuerTrust,
  ProviderDescription,
  Registration,
  StartedIdentityProvider,
  WorkloadIdentity,
} from '../oauth/provider.ts';
import type { Candidate } from '../rpc/candidate.ts';
import type { ProviderPlace } from '../rpc/environment-api.ts';
import type { IdentityProviderData } from '../rpc/protocol.ts';
import type { Requests } from '../rpc/requests.ts';
import { publishedKeys } from './cluster/published-keys.ts';
import type { Clusters } from './clusters.ts';
import { gatewayOf } from './containers.ts';
import type { Foundations } from './foundations.ts';
import { startEmbedded } from './identity-provider/embedded/index.ts';
import { certificatesOf, startTargetIdentityProvider } from './identity-provider/external/index.ts';
import { type IdentityProviderContext, startIdentityProvider } from './identity-provider/index.ts';
import { KeycloakServers } from './identity-provider/keycloak/servers.ts';
import type { ImageName } from './images/index.ts';
import type { EnvironmentOptions } from './options.ts';
import type { Parts } from './parts.ts';

type IdentityProviderFault = Extract<Twin, { identityProvider: unknown }>['identityProvider'];

/** Life of the access tokens of the references' provider in seconds: short, so that a run sees several exchanges. */
const ACCESS_TOKEN_LIFETIME_SECONDS = { accelerated: 12, real: 60 } as const;

/**
 * What is left of an access token's life before the time in which a target takes it for expired: enough for some of its
 * calls.
 */
const BEYOND_SKEW_SECONDS = 12;

/** Providers that each have a token of their own, at least (see the suite audience-isolation). */
const MATRIX_SIZE = 3;

/** Names of the reference providers that make up for those that the slot lacks. */
const PEER_NAMES = ['peer', 'peer-2'];

/** The identity providers of a run: the one in the slot, those of twins, and the peers that make a matrix of three. */
export class IdentityProviders {
  readonly #options: EnvironmentOptions;
  readonly #parts: Parts;
  readonly #foundations: Foundations;
  readonly #clusters: Clusters;
  /** Those that have started, by their names. */
  readonly started = new Map<string, StartedIdentityProvider>();
  readonly #resolvers = new Map<StartedIdentityProvider, Resolver>();

  constructor(options: EnvironmentOptions, parts: Parts, foundations: Foundations, clusters: Clusters) {
    this.#options = options;
    this.#parts = parts;
    this.#foundations = foundations;
    this.#clusters = clusters;
  }

  /** What stands in the slot where no twin does: the target, or the reference. */
  inSlot(): Promise<StartedIdentityProvider> {
    const target = this.#options.identityProviderTarget;
    if (target === undefined) {
      return this.#identityProvider(this.#options.identityProvider, undefined);
    }
    return this.#parts.once(target.name, async () => {
      const context = await this.#identityProviderContext(target.name, certificatesOf(target));
      return this.#adopt(target.name, await startTargetIdentityProvider(context, target), context);
    });
  }

  #identityProvider(
    kind: 'keycloak' | 'embedded' | 'oauth2-mock-server',
    variant: string | undefined,
  ): Promise<StartedIdentityProvider> {
    const key = variant === undefined ? kind : `${kind} ${variant}`;
    return this.#parts.once(key, async () => {
      if (this.#options.cluster === 'kubeconfig' && kind === 'oauth2-mock-server') {
        throw new NotApplicable(`inside a live cluster the harness runs no ${kind}`);
      }
      if (kind === 'keycloak') {
        // A JVM at the same time would double the time of the cluster's start on a small machine, and everything waits
        // for the cluster.
        await this.#clusters.reference().catch(() => undefined);
      }
      const context = await this.#identityProviderContext(key);
      return this.#adopt(key, await startIdentityProvider(kind, variant, context), context);
    });
  }

  #adopt(
    key: string,
    provider: StartedIdentityProvider,
    { resolver }: IdentityProviderContext,
  ): StartedIdentityProvider {
    this.started.set(key, provider);
    this.#resolvers.set(provider, resolver);
    this.#parts.onStop(() => provider.stop());
    return provider;
  }

  /** @param alsoTrusts certificates of a server that the run does not start, see {@link Resolver} */
  async #identityProviderContext(key: string, alsoTrusts: string[] = []): Promise<IdentityProviderContext> {
    const live = this.#options.cluster === 'kubeconfig';
    const [pki, resolver, network, keycloakServers] = await Promise.all([
      this.#foundations.pki(),
      this.#foundations.resolver(),
      // On a live cluster nothing of ours is started alongside it.
      live ? undefined : this.#foundations.network(),
      this.#parts.once('Keycloak servers', async () => new KeycloakServers()),
    ]);
    const own = new Resolver({ ...resolver.toData(), ...(alsoTrusts.length === 0 ? {} : { alsoTrusts }) });
    const issuer = `https://${HOSTS.cluster}:${API_SERVER_PORT}`;
    return {
      pki,
      trust: live
        ? (await this.#clusters.reference()).trust
        : { issuer, jwksUri: `${issuer}/openid/v1/jwks`, ca: pki.ca, algorithms: ['ES256'] },
      clusterKeys: async () => publishedKeys(await this.#clusters.reference()),
      fetch: async (url, init) => {
        // The provider may be up before the cluster is: its keys are asked for at the first token.
        own.adopt((await this.#foundations.resolver()).toData());
        return own.fetch(url, init);
      },
      ...(network === undefined ? {} : { network }),
      image: async (name) => (await this.#foundations.image(name as ImageName)).reference,
      labels: { [RUN_LABEL]: this.#options.runId },
      bindAddress: network === undefined ? '127.0.0.1' : await gatewayOf(network),
      resolver: own,
      onProgress: (message) => this.#options.onProgress(key, message),
      keycloakServers,
      ...(live
        ? {
            pods: {
              cluster: async () => (await this.#clusters.reference()).data,
              namespace: () => this.#clusters.namespaceOfTheRun('identity-provider'),
              lasting: { [RUN_OBJECT_LABEL]: this.#options.runId, ...LASTS_FOR_THE_RUN },
            },
          }
        : {}),
      accessTokenLifetimeSeconds: Math.max(
        ACCESS_TOKEN_LIFETIME_SECONDS[this.#options.clock.kind],
        (this.#options.accessTokenSkewSeconds ?? 0) + BEYOND_SKEW_SECONDS,
      ),
    };
  }

  /** The identity provider in the slot for a candidate. */
  async startedFor(candidate: Candidate): Promise<StartedIdentityProvider> {
    const fault = identityProviderFaultOf(candidate);
    const provider = await (fault === undefined ? this.inSlot() : this.#identityProvider(fault.kind, fault.variant));
    const cluster = await this.#clusters.startedFor(candidate);
    for (const { audience } of provider.description.providers) {
      await cluster.setLifetime(audience, this.#options.clock.clientLifetimeSeconds);
    }
    return provider;
  }

  async dataFor(candidate: Candidate): Promise<IdentityProviderData> {
    const provider = await this.startedFor(candidate);
    const address =
      this.#options.cluster === 'kubeconfig' ? '127.0.0.1' : await gatewayOf(await this.#foundations.network());
    return {
      ...(await this.#dataOf(provider)),
      ...(provider.trusting === undefined ? {} : { additionalIssuer: { address } }),
    };
  }

  async #dataOf(provider: StartedIdentityProvider): Promise<IdentityProviderData> {
    await provider.assertAlive();
    const resolver = this.#resolvers.get(provider);
    if (resolver === undefined) {
      throw new HarnessError('an identity provider without names');
    }
    return { description: provider.description, resolver: resolver.toData(), ca: (await this.#foundations.pki()).ca };
  }

  /** Embedded providers alongside the one in the slot, as many as make three, and one at least. */
  async #peers(candidate: Candidate): Promise<StartedIdentityProvider> {
    const [{ description }, cluster] = await Promise.all([
      this.startedFor(candidate),
      this.#clusters.startedFor(candidate),
    ]);
    const names = PEER_NAMES.slice(0, Math.max(1, MATRIX_SIZE - description.providers.length));
    const provider = await this.#parts.once(`peer providers ${names.join(' ')}`, async () => {
      const context = await this.#peerContext();
      const started = await startEmbedded({ ...context, providers: names }, {}, await this.#keysForEmbedded(context));
      return this.#adopt(`peer providers ${names.join(' ')}`, started, context);
    });
    for (const { audience } of provider.description.providers) {
      await cluster.setLifetime(audience, this.#options.clock.clientLifetimeSeconds);
    }
    return provider;
  }

  /** Of providers that trust the second cluster of the run, where it has one: they know nothing of the first. */
  async #peerContext(): Promise<IdentityProviderContext> {
    const [context, peer] = await Promise.all([this.#identityProviderContext('peer providers'), this.#clusters.peer()]);
    return peer === undefined ? context : { ...context, trust: peer.cluster.trust, clusterKeys: peer.keys };
  }

  /** On a live cluster the keys themselves: a provider of the harness's knows the run's CA alone. */
  async #keysForEmbedded({ clusterKeys }: IdentityProviderContext): Promise<{ clusterKeys?: string }> {
    if (this.#options.cluster === 'k3s' || clusterKeys === undefined) {
      return {};
    }
    return { clusterKeys: await clusterKeys() };
  }

  async peersFor(candidate: Candidate): Promise<IdentityProviderData | undefined> {
    if (this.#options.cluster === 'kubeconfig') {
      // Without the right to read its keys there are no peers of the target.
      const context = await this.#peerContext();
      const readable = await this.#keysForEmbedded(context).then(
        () => true,
        () => false,
      );
      if (!readable) {
        return undefined;
      }
    }
    return this.#dataOf(await this.#peers(candidate));
  }

  async register(
    candidate: Candidate,
    at: ProviderPlace,
    provider: string,
    workload: WorkloadIdentity,
  ): Promise<Registration> {
    const started = await (at === 'slot' ? this.startedFor(candidate) : this.#peers(candidate));
    return started.register(provider, workload);
  }

  /** A further provider on the candidate's server, which trusts an issuer that a worker serves. */
  async trusting(candidate: Candidate, trust: AdditionalIssuerTrust): Promise<ProviderDescription> {
    const provider = await this.startedFor(candidate);
    if (provider.trusting === undefined) {
      throw new HarnessError('the identity provider takes no additional issuer');
    }
    return provider.trusting(trust);
  }

  /** Requests to each of them, as far as they were counted. */
  requests(): Promise<Requests[]> {
    return Promise.all(
      [...this.started].map(async ([name, provider]): Promise<Requests> => {
        const component = `identity provider ${name}`;
        const uncounted = { component, counts: {}, countedBy: 'nobody' };
        if (provider.requests === undefined) {
          return { ...uncounted, notCounted: 'the server runs already, or as a pod, and its log is not read' };
        }
        try {
          return { component, ...(await provider.requests()) };
        } catch (error) {
          // A figure alone, and no part of the verdict.
          return { ...uncounted, notCounted: describeError(error) };
        }
      }),
    );
  }
}

/** Which broken identity provider a candidate is, where it is one. */
function identityProviderFaultOf(candidate: Candidate): IdentityProviderFault | undefined {
  return candidate.kind === 'twin' && 'identityProvider' in candidate.twin
    ? candidate.twin.identityProvider
    : undefined;
}
