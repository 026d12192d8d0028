import type { StartedNetwork } from 'testcontainers';
import type { Twin } from '../catalogue/catalogue.ts';
import { HarnessError, NotApplicable } from '../core/errors.ts';
import { API_SERVER_PORT, HOSTS, RUN_LABEL } from '../core/names.ts';
import { makePki, type RunPki } from '../core/pki.ts';
import { Resolver } from '../core/resolver.ts';
import type { ApiRecord, Requester } from '../kubernetes/api-record.ts';
import type { ClusterData, ClusterKind } from '../kubernetes/cluster-data.ts';
import { createClusterHandle } from '../kubernetes/cluster-handle.ts';
import type {
  AdditionalIssuerTrust,
  ProviderDescription,
  Registration,
  StartedIdentityProvider,
  WorkloadIdentity,
} from '../oauth/provider.ts';
import type { Candidate } from '../rpc/candidate.ts';
import type { ProviderPlace } from '../rpc/environment-api.ts';
import type { ClockSettings, IdentityProviderData, IdentityProviderKind, PodSecurity } from '../rpc/protocol.ts';
import type { Requests } from '../rpc/requests.ts';
import type { TargetAccessData, TargetAccessOptions } from '../rpc/target-access.ts';
import type { Target } from '../targets/load.ts';
import type { Settings } from '../targets/settings.ts';
import { installAssignedUids } from './cluster/assigned-uids.ts';
import { auditRecords, countRequests } from './cluster/audit-log.ts';
import type { StartedCluster } from './cluster/cluster.ts';
import { type ApiProxy, startApiProxy } from './cluster/faults/api-proxy.ts';
import { startFaultInjector } from './cluster/faults/fault-injectors.ts';
import { startK3s } from './cluster/k3s.ts';
import { attachKubeconfig } from './cluster/kubeconfig.ts';
import { Namespaces } from './cluster/namespaces.ts';
import { TargetAccesses } from './cluster/target-access.ts';
import { gatewayOf, onContainerEnd, removeRuns, startNetwork } from './containers.ts';
import { startEmbedded } from './identity-provider/embedded/index.ts';
import { certificatesOf, startTargetIdentityProvider } from './identity-provider/external/index.ts';
import { type IdentityProviderContext, startIdentityProvider } from './identity-provider/index.ts';
import { KeycloakServers } from './identity-provider/keycloak/servers.ts';
import { engineHasImage, ensureImages, type ImageName, type ResolvedImage, saveImage } from './images/index.ts';

type ClusterFault = Extract<Twin, { cluster: unknown }>['cluster'];
type IdentityProviderFault = Extract<Twin, { identityProvider: unknown }>['identityProvider'];

export interface EnvironmentOptions {
  runId: string;
  cluster: ClusterKind;
  /** Context of the kubeconfig; default: its current one. */
  context?: string;
  /** What the objects that are made on a live cluster need to have. */
  settings?: Settings;
  identityProvider: IdentityProviderKind;
  clock: ClockSettings;
  /** True where twins are judged: their clusters know how to be broken. */
  judgesTwins: boolean;
  /** True where the network of the references' cluster enforces NetworkPolicies, if the harness starts it. */
  networkPolicies: boolean;
  /** True where the harness's own cluster assigns uids to pods, as OpenShift does. */
  assignedUids?: boolean;
  /** The implementation under test in the slot of the identity provider. */
  identityProviderTarget?: Target<'identity-provider'>;
  /** Seconds before its end in which the token client under test takes an access token for expired. */
  accessTokenSkewSeconds?: number;
  onProgress: (part: string, message: string) => void;
}

/** Life of the access tokens of the references' provider in seconds: short, so that a run sees several exchanges. */
const ACCESS_TOKEN_LIFETIME_SECONDS = { accelerated: 12, real: 60 } as const;

/** What is left of an access token's life before the time in which a target takes it for expired: enough for some of its calls. */
const BEYOND_SKEW_SECONDS = 12;

/** Providers that each have a token of their own, at least (see the suite audience-isolation). */
const MATRIX_SIZE = 3;

/** Names of the reference providers that make up for those that the slot lacks. */
const PEER_NAMES = ['peer', 'peer-2'];

/** Many twins share a node: a kubelet takes 110 pods by itself, and a node's range of addresses (/24) has room for these. */
const MANY_PODS_ARGUMENT = '--kubelet-arg=max-pods=240';

const NO_NETWORK_POLICIES_ARGUMENT = '--disable-network-policy';

/** Where a live cluster finds the images that its pods need beside a stock Node. */
const LIVE_IMAGE_VARIABLES = {
  workload: 'KUBE_AGENT_CONFORMANCE_WORKLOAD_IMAGE',
  'job-runner': 'KUBE_AGENT_CONFORMANCE_JOB_RUNNER_IMAGE',
} as const;
type NodeImage = keyof typeof LIVE_IMAGE_VARIABLES;

/**
 * Everything that a run starts and stops. Each part starts when it is first asked for, once, and parts that do not need
 * each other start at the same time. A part that failed stays failed: nothing is tried again in silence.
 */
export class Environment {
  readonly #options: EnvironmentOptions;
  readonly #parts = new Map<string, Promise<unknown>>();
  readonly #stops: (() => Promise<unknown>)[] = [];
  readonly #usedImages = new Map<ImageName, ResolvedImage>();
  readonly #clusters = new Map<string, StartedCluster>();
  readonly #identityProviders = new Map<string, StartedIdentityProvider>();
  readonly #resolvers = new Map<StartedIdentityProvider, Resolver>();
  readonly targetAccesses: TargetAccesses;
  /** Of each candidate, its namespaces. */
  readonly #namesOf = new Map<string, string[]>();
  #stopping: Promise<void> | undefined;

  constructor(options: EnvironmentOptions) {
    this.#options = options;
    this.targetAccesses = new TargetAccesses(options.runId);
    this.#stops.push(() => this.targetAccesses.closeAll());
  }

  #part<T>(key: string, start: () => Promise<T>): Promise<T> {
    const existing = this.#parts.get(key);
    if (existing !== undefined) {
      return existing as Promise<T>;
    }
    if (this.#stopping !== undefined) {
      return Promise.reject(new HarnessError(`${key} is asked for, but the run is being stopped`));
    }
    const begun = performance.now();
    const part = start().then((value) => {
      this.#options.onProgress(key, `ready after ${((performance.now() - begun) / 1000).toFixed(1)} s`);
      return value;
    });
    // Who asks gets the error; a part that nobody asks for again must not end the process.
    part.catch(() => undefined);
    this.#parts.set(key, part);
    return part;
  }

  #pki(): Promise<RunPki> {
    return this.#part('keys', () => makePki(this.#options.runId));
  }

  #resolver(): Promise<Resolver> {
    return this.#part('names', async () => new Resolver({ routes: {}, ca: (await this.#pki()).ca }));
  }

  network(): Promise<StartedNetwork> {
    return this.#part('network', () => startNetwork(this.#options.runId));
  }

  #images(name: ImageName): Promise<ResolvedImage> {
    return this.#part(`image ${name}`, async () => {
      const images = await ensureImages([name], {
        onProgress: ({ part, step, detail }) =>
          this.#options.onProgress(part, detail === undefined ? step : `${step}: ${detail}`),
      });
      if (images[name].source === 'built') {
        // No registry answers, so the image of testcontainers' reaper cannot be had either. The sweep by label does its work.
        process.env.TESTCONTAINERS_RYUK_DISABLED = 'true';
      }
      this.#usedImages.set(name, images[name]);
      return images[name];
    });
  }

  /** Tells when a container ends that the run did not stop itself. */
  async watch(onEnd: (message: string) => void): Promise<void> {
    const end = await onContainerEnd(this.#options.runId, () => this.#stopping !== undefined, onEnd);
    this.#stops.push(async () => end());
  }

  /**
   * Begins what every run of this kind needs, before the first test asks for it.
   *
   * @returns settled when all of it is there, or failed: why is told to those who ask for the part
   */
  async warmUp(options: { identityProvider: boolean }): Promise<void> {
    const cluster = this.#referenceCluster();
    await Promise.allSettled(options.identityProvider ? [cluster, this.#defaultIdentityProvider()] : [cluster]);
  }

  #referenceCluster(): Promise<StartedCluster> {
    return this.#options.cluster === 'kubeconfig'
      ? this.#part('cluster', () => this.#attach())
      : this.#part('cluster', () => this.#startK3s('reference', { networkPolicies: this.#options.networkPolicies }));
  }

  async #attach(): Promise<StartedCluster> {
    const cluster = await attachKubeconfig({
      runId: this.#options.runId,
      ...(this.#options.context === undefined ? {} : { context: this.#options.context }),
      ...(this.#options.settings === undefined ? {} : { settings: this.#options.settings }),
      onProgress: (message) => this.#options.onProgress('cluster', message),
    });
    this.#clusters.set('reference', cluster);
    return cluster;
  }

  async #startK3s(
    name: string,
    { serverArguments = [], networkPolicies = false }: { serverArguments?: string[]; networkPolicies?: boolean } = {},
  ): Promise<StartedCluster> {
    const [pki, resolver, network, image, workload] = await Promise.all([
      this.#pki(),
      this.#resolver(),
      this.network(),
      this.#images('kubernetes-node'),
      this.#images('node'),
    ]);
    const archive = workload.source === 'built' ? await saveImage(workload.reference) : undefined;
    const cluster = await startK3s({
      runId: this.#options.runId,
      name,
      networkName: network.getName(),
      pki,
      resolver,
      clock: this.#options.clock,
      image: image.reference,
      workloadImage: workload.reference,
      ...(archive === undefined ? {} : { workloadImageArchive: archive }),
      admissionPolicies: this.#options.judgesTwins || this.#options.assignedUids === true,
      serverArguments: [
        ...(this.#options.judgesTwins ? [MANY_PODS_ARGUMENT] : []),
        ...(networkPolicies ? [] : [NO_NETWORK_POLICIES_ARGUMENT]),
        ...serverArguments,
      ],
      onProgress: (message) => this.#options.onProgress(name === 'reference' ? 'cluster' : `cluster ${name}`, message),
    });
    this.#clusters.set(name, cluster);
    this.#stops.push(() => cluster.stop());
    if (this.#options.assignedUids === true) await installAssignedUids(cluster.data.kubeConfig);
    return cluster;
  }

  /** The cluster in the slot for a candidate: the reference one, or that of a twin which needs other arguments of the server. */
  clusterFor(candidate: Candidate): Promise<StartedCluster> {
    const { serverArguments, networkPolicies } = clusterFaultOf(candidate) ?? {};
    if (serverArguments !== undefined) {
      return this.#part(`cluster ${candidate.name}`, () => this.#startK3s(candidate.name, { serverArguments }));
    }
    if (networkPolicies === true) {
      return this.#part('cluster network-policies', () => this.#startK3s('network-policies', { networkPolicies }));
    }
    return this.#referenceCluster();
  }

  /** What a worker gets to know of it; a twin with a proxy in front of the API server sees that one alone. */
  async clusterData(candidate: Candidate): Promise<ClusterData> {
    const cluster = await this.clusterFor(candidate);
    const fault = clusterFaultOf(candidate)?.apiProxy;
    const resolver = (await this.#resolver()).toData();
    if (fault !== undefined) {
      const proxy = await this.#part(`API proxy ${candidate.name}`, async (): Promise<ApiProxy> => {
        const started = await startApiProxy(cluster.data, fault);
        this.#stops.push(() => started.close());
        return started;
      });
      return { ...cluster.data, kubeConfig: proxy.kubeConfig, resolver };
    }
    return { ...cluster.data, resolver };
  }

  /** Reference of an image of fixtures/images, which the nodes of the candidate's cluster have by now. */
  async imageOn(candidate: Candidate, name: NodeImage): Promise<string> {
    const variable = LIVE_IMAGE_VARIABLES[name];
    const cluster = await this.clusterFor(candidate);
    if (!cluster.data.owned) {
      const named = process.env[variable];
      if (named === undefined || named === '') {
        throw new HarnessError(
          `a live cluster has to pull the image of fixtures/images/${name}: push it to a registry that its nodes can reach, and name it in ${variable}`,
        );
      }
      return named;
    }
    return this.#part(`image ${name} on ${cluster.data.issuer}`, async () => {
      const { reference } = await this.#images(name);
      await cluster.importImage(await saveImage(reference));
      return reference;
    });
  }

  /**
   * Gives an image of this host's engine to the nodes of the candidate's cluster. What the engine does not have, and what a live cluster
   * needs, the nodes pull themselves.
   */
  async provideImage(candidate: Candidate, reference: string): Promise<void> {
    const cluster = await this.clusterFor(candidate);
    if (!cluster.data.owned) return;
    await this.#part(`image ${reference} on ${cluster.data.issuer}`, async () => {
      if (await engineHasImage(reference)) await cluster.importImage(await saveImage(reference));
    });
  }

  /** Access of a target to the candidate's cluster, see {@link TargetAccesses}. */
  async targetAccess(candidate: Candidate, options: TargetAccessOptions): Promise<TargetAccessData> {
    const [cluster, pki] = await Promise.all([this.clusterFor(candidate), this.#pki()]);
    // The pods of a live cluster do not reach this host.
    const pods = cluster.data.owned ? await gatewayOf(await this.network()) : undefined;
    const access = await this.targetAccesses.open(cluster, pki, options, pods);
    // A reference is the harness's own; what an implementation under test makes is judged as it makes it.
    if (candidate.kind !== 'targets') cluster.takeAsOwn?.(access.user);
    return access;
  }

  /** Of the candidate's cluster, as its API server logs them; undefined where it is not the harness's own. */
  async auditRecords(candidate: Candidate, requester: Requester): Promise<ApiRecord[] | undefined> {
    const cluster = await this.clusterFor(candidate);
    return cluster.data.owned ? auditRecords(cluster, requester) : undefined;
  }

  #namespaces(cluster: StartedCluster): Promise<Namespaces> {
    return this.#part(`namespaces of ${cluster.data.issuer}`, async () => {
      const namespaces = new Namespaces(cluster.data.kubeConfig, this.#options.runId, {
        assignedUids: this.#options.assignedUids === true,
        pullSecrets: this.#options.settings?.pods.imagePullSecrets ?? [],
      });
      // A cluster that is thrown away takes its namespaces with it.
      if (!cluster.data.owned) {
        this.#stops.push(() => namespaces.removeAll());
      }
      return namespaces;
    });
  }

  /** A new namespace for a candidate, with the fault of a cluster twin at work in it. */
  async namespace(candidate: Candidate, purpose: string, podSecurity: PodSecurity = 'restricted'): Promise<string> {
    const cluster = await this.clusterFor(candidate);
    const namespaces = await this.#namespaces(cluster);
    const fault = clusterFaultOf(candidate);
    const name = await namespaces.create(`${candidate.name}-${purpose}`, podSecurity);
    if (fault !== undefined) {
      const { tokenRequests, faultInjector, objects, mutates } = fault;
      if (tokenRequests !== undefined) {
        await cluster.setTokenRequestFault(name, tokenRequests);
      }
      if (objects !== undefined) {
        await namespaces.applyTo(name, objects);
      }
      if (mutates !== undefined) {
        await namespaces.mutate(name, mutates);
      }
      if (faultInjector !== undefined) {
        const started = startFaultInjector(faultInjector, cluster, name);
        this.#stops.unshift(() => started.stop());
      }
    }
    this.#namesOf.set(candidate.name, [...(this.#namesOf.get(candidate.name) ?? []), name]);
    return name;
  }

  /**
   * Takes away what a candidate alone used, when nothing of it is judged any more: on a cluster that many candidates share, the pods of
   * those before would take the time of those after.
   */
  async release(candidate: Candidate): Promise<void> {
    const names = this.#namesOf.get(candidate.name) ?? [];
    if (names.length === 0 || this.#stopping !== undefined) return;
    const namespaces = await this.#namespaces(await this.clusterFor(candidate));
    await Promise.all(names.map((name) => namespaces.remove(name)));
  }

  /** What stands in the slot where no twin does: the target, or the reference. */
  #defaultIdentityProvider(): Promise<StartedIdentityProvider> {
    const target = this.#options.identityProviderTarget;
    if (target === undefined) return this.#identityProvider(this.#options.identityProvider, undefined);
    return this.#part(target.name, async () => {
      const context = await this.#identityProviderContext(target.name, certificatesOf(target));
      return this.#adopt(target.name, await startTargetIdentityProvider(context, target), context);
    });
  }

  #identityProvider(
    kind: 'keycloak' | 'embedded' | 'oauth2-mock-server',
    variant: string | undefined,
  ): Promise<StartedIdentityProvider> {
    const key = variant === undefined ? kind : `${kind} ${variant}`;
    return this.#part(key, async () => {
      if (this.#options.cluster === 'kubeconfig') {
        throw new NotApplicable(
          'no identity provider of the harness can be reached from the pods of a live cluster yet: only the rows of the cluster are judged there',
        );
      }
      if (kind === 'keycloak') {
        // A JVM beside it would double the time of the cluster's start on a small machine, and everything waits for the cluster.
        await this.#referenceCluster().catch(() => undefined);
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
    this.#identityProviders.set(key, provider);
    this.#resolvers.set(provider, resolver);
    this.#stops.push(() => provider.stop());
    return provider;
  }

  /** @param alsoTrusts certificates of a server that the run does not start, see {@link Resolver} */
  async #identityProviderContext(key: string, alsoTrusts: string[] = []): Promise<IdentityProviderContext> {
    const live = this.#options.cluster === 'kubeconfig';
    const [pki, resolver, network, keycloakServers] = await Promise.all([
      this.#pki(),
      this.#resolver(),
      // On a live cluster nothing of ours is started beside it.
      live ? undefined : this.network(),
      this.#part('Keycloak servers', async () => new KeycloakServers()),
    ]);
    const own = new Resolver({ ...resolver.toData(), ...(alsoTrusts.length === 0 ? {} : { alsoTrusts }) });
    const issuer = `https://${HOSTS.cluster}:${API_SERVER_PORT}`;
    return {
      pki,
      trust: live
        ? (await this.#referenceCluster()).trust
        : { issuer, jwksUri: `${issuer}/openid/v1/jwks`, ca: pki.ca, algorithms: ['ES256'] },
      clusterKeys: async () => {
        const response = await createClusterHandle((await this.#referenceCluster()).data).request('/openid/v1/jwks');
        const keys = await response.text();
        if (response.status !== 200) {
          throw new HarnessError(`the cluster's keys were answered ${response.status}: ${keys.slice(0, 200)}`);
        }
        return keys;
      },
      fetch: async (url, init) => {
        // The provider may be up before the cluster is: its keys are asked for at the first token.
        own.adopt((await this.#resolver()).toData());
        return own.fetch(url, init);
      },
      ...(network === undefined ? {} : { network }),
      image: async (name) => (await this.#images(name as ImageName)).reference,
      labels: { [RUN_LABEL]: this.#options.runId },
      bindAddress: network === undefined ? '127.0.0.1' : await gatewayOf(network),
      resolver: own,
      onProgress: (message) => this.#options.onProgress(key, message),
      keycloakServers,
      accessTokenLifetimeSeconds: Math.max(
        ACCESS_TOKEN_LIFETIME_SECONDS[this.#options.clock.kind],
        (this.#options.accessTokenSkewSeconds ?? 0) + BEYOND_SKEW_SECONDS,
      ),
    };
  }

  /** The identity provider in the slot for a candidate. */
  async identityProviderFor(candidate: Candidate): Promise<StartedIdentityProvider> {
    const fault = identityProviderFaultOf(candidate);
    const provider = await (fault === undefined
      ? this.#defaultIdentityProvider()
      : this.#identityProvider(fault.kind, fault.variant));
    const cluster = await this.clusterFor(candidate);
    for (const { audience } of provider.description.providers) {
      await cluster.setLifetime(audience, this.#options.clock.clientLifetimeSeconds);
    }
    return provider;
  }

  async identityProviderData(candidate: Candidate): Promise<IdentityProviderData> {
    const provider = await this.identityProviderFor(candidate);
    const address = this.#options.cluster === 'kubeconfig' ? '127.0.0.1' : await gatewayOf(await this.network());
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
    return { description: provider.description, resolver: resolver.toData(), ca: (await this.#pki()).ca };
  }

  /** Embedded providers beside the one in the slot, as many as make three, and one at least. */
  async #peers(candidate: Candidate): Promise<StartedIdentityProvider> {
    const [{ description }, cluster] = await Promise.all([
      this.identityProviderFor(candidate),
      this.clusterFor(candidate),
    ]);
    const names = PEER_NAMES.slice(0, Math.max(1, MATRIX_SIZE - description.providers.length));
    const provider = await this.#part(`peer providers ${names.join(' ')}`, async () => {
      const context = await this.#identityProviderContext('peer providers');
      const started = await startEmbedded({ ...context, providers: names }, {}, await this.#keysForEmbedded(context));
      return this.#adopt(`peer providers ${names.join(' ')}`, started, context);
    });
    for (const { audience } of provider.description.providers) {
      await cluster.setLifetime(audience, this.#options.clock.clientLifetimeSeconds);
    }
    return provider;
  }

  /** On a live cluster the keys themselves: a provider of the harness's knows the run's CA alone. */
  async #keysForEmbedded({ clusterKeys }: IdentityProviderContext): Promise<{ clusterKeys?: string }> {
    if (this.#options.cluster === 'k3s' || clusterKeys === undefined) return {};
    return { clusterKeys: await clusterKeys() };
  }

  async peersData(candidate: Candidate): Promise<IdentityProviderData | undefined> {
    if (this.#options.cluster === 'kubeconfig') {
      // Without the right to read its keys there is nobody beside the target.
      const context = await this.#identityProviderContext('peer providers');
      const readable = await this.#keysForEmbedded(context).then(
        () => true,
        () => false,
      );
      if (!readable) return undefined;
    }
    return this.#dataOf(await this.#peers(candidate));
  }

  async register(
    candidate: Candidate,
    at: ProviderPlace,
    provider: string,
    workload: WorkloadIdentity,
  ): Promise<Registration> {
    const started = await (at === 'slot' ? this.identityProviderFor(candidate) : this.#peers(candidate));
    return started.register(provider, workload);
  }

  /** A further provider on the candidate's server, which trusts an issuer that a worker serves. */
  async trusting(candidate: Candidate, trust: AdditionalIssuerTrust): Promise<ProviderDescription> {
    const provider = await this.identityProviderFor(candidate);
    if (provider.trusting === undefined) throw new HarnessError('the identity provider takes no additional issuer');
    return provider.trusting(trust);
  }

  async certificate(
    host: string,
    extra: { names?: string[]; ips?: string[] },
  ): Promise<{ cert: string; key: string; ca: string }> {
    const pki = await this.#pki();
    return { ...(await pki.issue(host, extra)), ca: pki.ca };
  }

  /** What the parts that were started say of themselves. */
  async discover(): Promise<Record<string, unknown>> {
    const clusters = await Promise.all(
      [...this.#clusters].map(async ([name, cluster]) => ({
        name,
        kind: cluster.data.kind,
        ...(await cluster.discover()),
      })),
    );
    return {
      clusters,
      images: Object.fromEntries(this.#usedImages),
      identityProviders: [...this.#identityProviders.values()].map(({ description }) => ({
        kind: description.kind,
        version: description.version,
        // Whose secret it is does not matter: none goes into a report.
        providers: description.providers.map(({ introspection, ...provider }) => ({
          ...provider,
          ...(introspection === undefined ? {} : { introspectionEndpoint: introspection.endpoint }),
        })),
      })),
    };
  }

  /** Requests to each part, as far as they were recorded. */
  async requests(): Promise<Requests[]> {
    const clusters = [...this.#clusters].map(async ([name, cluster]): Promise<Requests> => {
      const component = name === 'reference' ? 'cluster' : `cluster ${name}`;
      if (!cluster.data.owned)
        return {
          component,
          counts: cluster.requests?.() ?? {},
          countedBy: "the harness's way to the API server",
          notCounted: 'whoever else asks the API server: pods, and what an implementation under test asks',
        };
      try {
        return {
          component,
          counts: await countRequests(cluster),
          countedBy: "the API server's audit log",
          notCounted:
            'the kubelet, the scheduler and the API server itself, health checks, watches that are still open',
        };
      } catch (error) {
        // A figure alone, and no part of the verdict.
        return {
          component,
          counts: {},
          countedBy: 'nobody',
          notCounted: error instanceof Error ? error.message : String(error),
        };
      }
    });
    const providers = [...this.#identityProviders].map(([name, provider]): Requests => {
      const component = `identity provider ${name}`;
      const counted = provider.requests?.();
      return counted === undefined
        ? { component, counts: {}, countedBy: 'nobody', notCounted: 'the server runs already, and its log is not read' }
        : { component, ...counted };
    });
    return [...(await Promise.all(clusters)), ...providers];
  }

  /** Rejects if a part that was started is gone. */
  async assertAlive(): Promise<void> {
    await Promise.all(
      [...this.#clusters.values(), ...this.#identityProviders.values()].map((part) => part.assertAlive()),
    );
  }

  /** Stops everything, in the reverse order; may be called again and at any time, also while parts are still starting. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  async #stopAll(): Promise<void> {
    const errors: unknown[] = [];
    const results = await Promise.allSettled(this.#stops.map((stop) => stop()));
    for (const result of results) {
      if (result.status === 'rejected') {
        errors.push(result.reason);
      }
    }
    // The way to a live cluster is closed after what was made there is gone.
    const live = [...this.#clusters.values()].filter(({ data }) => !data.owned);
    await Promise.all(live.map((cluster) => cluster.stop()));
    if (this.#parts.has('network')) {
      const remove = (): Promise<unknown> => removeRuns(() => (runId) => runId === this.#options.runId);
      // What was still starting when the run was broken off is known by its label alone, and may come up while it is removed.
      await this.#parts.get('network')?.catch(() => undefined);
      await remove().catch((error: unknown) => errors.push(error));
      await settled([...this.#parts.values()], STARTING_ENDS_SECONDS);
      await remove().catch((error: unknown) => errors.push(error));
    }
    if (errors.length > 0) {
      throw new AggregateError(errors, 'not everything could be stopped');
    }
  }
}

/** How long parts that were starting when the run was broken off may take to notice that their containers are gone. */
const STARTING_ENDS_SECONDS = 5;

/** Waits until all have settled, at most so many seconds. */
async function settled(parts: Promise<unknown>[], seconds: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, seconds * 1000);
  await Promise.race([Promise.allSettled(parts), late]);
  clearTimeout(timer);
}

/** What is wrong with the cluster of a candidate, where that is its fault. */
function clusterFaultOf(candidate: Candidate): ClusterFault | undefined {
  return candidate.kind === 'twin' && 'cluster' in candidate.twin ? candidate.twin.cluster : undefined;
}

/** Which broken identity provider a candidate is, where it is one. */
function identityProviderFaultOf(candidate: Candidate): IdentityProviderFault | undefined {
  return candidate.kind === 'twin' && 'identityProvider' in candidate.twin
    ? candidate.twin.identityProvider
    : undefined;
}
