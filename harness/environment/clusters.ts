import type { Twin } from '../catalogue/catalogue.ts';
import { describeError, HarnessError, UsageError } from '../core/errors.ts';
import type { ApiRecord, Requester } from '../kubernetes/api-record.ts';
import type { ClusterData } from '../kubernetes/cluster-data.ts';
import { createClusterHandle } from '../kubernetes/cluster-handle.ts';
import type { NodeImage } from '../role-data/index.ts';
import type { Candidate } from '../rpc/candidate.ts';
import type { PodSecurity } from '../rpc/protocol.ts';
import type { Requests } from '../rpc/requests.ts';
import type { TargetAccessData, TargetAccessOptions } from '../rpc/target-access.ts';
import { installAssignedUids } from './cluster/assigned-uids.ts';
import { auditRecords, countRequests } from './cluster/audit-log.ts';
import type { StartedCluster } from './cluster/cluster.ts';
import { startFaultInjector } from './cluster/faults/fault-injectors.ts';
import { type FaultyApiServer, startFaultyApiServer } from './cluster/faults/faulty-api-server.ts';
import { GivenNamespaces, type NamespaceRequest } from './cluster/given-namespaces.ts';
import { startK3s } from './cluster/k3s.ts';
import { attachKubeconfig } from './cluster/kubeconfig.ts';
import { Namespaces } from './cluster/namespaces.ts';
import { PeerAccounts } from './cluster/peer-accounts.ts';
import { haveOneKey, publishedKeys } from './cluster/published-keys.ts';
import { TargetAccesses } from './cluster/target-access.ts';
import { gatewayOf } from './containers.ts';
import type { Foundations } from './foundations.ts';
import { engineHasImage, saveImage } from './images/index.ts';
import { liveImage, liveImageVariable } from './images/live-images.ts';
import type { EnvironmentOptions } from './options.ts';
import type { Parts } from './parts.ts';

type ClusterFault = Extract<Twin, { cluster: unknown }>['cluster'];

/**
 * Many requirements, and twins, share a node, and some of them have 50 sessions at once: a kubelet takes 110 pods by
 * itself, and a node's range of addresses (/24) has room for these.
 */
const MANY_PODS_ARGUMENT = '--kubelet-arg=max-pods=240';

const NO_NETWORK_POLICIES_ARGUMENT = '--disable-network-policy';

/** The second cluster of a run: somebody else's, where tokens are minted that mean nothing in the first one. */
export interface PeerCluster {
  /** Context of the kubeconfig that leads to it. */
  context: string;
  cluster: StartedCluster;
  /** The keys that its tokens are verified by, a JWK Set as JSON text. @throws HarnessError where they are not read */
  keys(): Promise<string>;
  accounts: PeerAccounts;
}

/**
 * The clusters of a run: that of the references, those of twins that need one of their own, and a second live one where
 * one is named.
 */
export class Clusters {
  readonly #options: EnvironmentOptions;
  readonly #parts: Parts;
  readonly #foundations: Foundations;
  /** Those that have started, by their names. */
  readonly started = new Map<string, StartedCluster>();
  readonly targetAccesses: TargetAccesses;
  /** Of each candidate, its namespaces. */
  readonly #namesOf = new Map<string, string[]>();

  constructor(options: EnvironmentOptions, parts: Parts, foundations: Foundations) {
    this.#options = options;
    this.#parts = parts;
    this.#foundations = foundations;
    this.targetAccesses = new TargetAccesses(options.runId);
    parts.onStop(() => this.targetAccesses.closeAll());
  }

  reference(): Promise<StartedCluster> {
    return this.#options.cluster === 'kubeconfig'
      ? this.#parts.once('cluster', () => this.#attach())
      : this.#parts.once('cluster', () =>
          this.#startK3s('reference', { networkPolicies: this.#options.networkPolicies }),
        );
  }

  async #attach(
    name = 'reference',
    part = 'cluster',
    context: string | undefined = this.#options.context,
  ): Promise<StartedCluster> {
    const cluster = await attachKubeconfig({
      runId: this.#options.runId,
      ...(context === undefined ? {} : { context }),
      ...(this.#options.settings === undefined ? {} : { settings: this.#options.settings }),
      ...(this.#options.namespaces === undefined ? {} : { namespaces: this.#options.namespaces }),
      onProgress: (message) => this.#options.onProgress(part, message),
    });
    this.started.set(name, cluster);
    return cluster;
  }

  /**
   * The second cluster; undefined where none is named.
   *
   * @throws UsageError where it is the first one
   */
  async peer(): Promise<PeerCluster | undefined> {
    const { peerContext: context } = this.#options;
    return context === undefined ? undefined : this.#parts.once('second cluster', () => this.#attachPeer(context));
  }

  async #attachPeer(context: string): Promise<PeerCluster> {
    const [first, cluster] = await Promise.all([this.reference(), this.#attach('second', 'second cluster', context)]);
    const keys = (): Promise<string> => publishedKeys(cluster);
    // Whose keys are not readable is told by the preflight.
    const unreadable = (): string => '{}';
    const published = await Promise.all([publishedKeys(first).catch(unreadable), keys().catch(unreadable)]);
    if (first.data.issuer === cluster.data.issuer && haveOneKey(...published)) {
      throw new UsageError(
        `--peer-context ${context} leads to the same cluster as the run's own context: the same issuer (${first.data.issuer}) and the same signing key. Name a context of another cluster`,
      );
    }
    const { runId, namespaces: given = [] } = this.#options;
    const accounts = new PeerAccounts(cluster, { runId, context, given });
    this.#parts.onStop(() => accounts.removeAll());
    return { context, cluster, keys, accounts };
  }

  async #startK3s(
    name: string,
    { serverArguments = [], networkPolicies = false }: { serverArguments?: string[]; networkPolicies?: boolean } = {},
  ): Promise<StartedCluster> {
    const [pki, resolver, network, image, workload] = await Promise.all([
      this.#foundations.pki(),
      this.#foundations.resolver(),
      this.#foundations.network(),
      this.#foundations.image('kubernetes-node'),
      this.#foundations.image('node'),
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
      admissionPolicies: this.#options.evaluatesTwins || this.#options.assignedUids === true,
      serverArguments: [
        MANY_PODS_ARGUMENT,
        ...(networkPolicies ? [] : [NO_NETWORK_POLICIES_ARGUMENT]),
        ...serverArguments,
      ],
      onProgress: (message) => this.#options.onProgress(name === 'reference' ? 'cluster' : `cluster ${name}`, message),
    });
    this.started.set(name, cluster);
    this.#parts.onStop(() => cluster.stop());
    if (this.#options.assignedUids === true) {
      await installAssignedUids(cluster.data.kubeConfig);
    }
    return cluster;
  }

  /**
   * The cluster in the slot for a candidate: the reference one, or that of a twin which needs other arguments of the
   * server.
   */
  startedFor(candidate: Candidate): Promise<StartedCluster> {
    const { serverArguments, networkPolicies } = clusterFaultOf(candidate) ?? {};
    if (serverArguments !== undefined) {
      return this.#parts.once(`cluster ${candidate.name}`, () => this.#startK3s(candidate.name, { serverArguments }));
    }
    if (networkPolicies === true) {
      return this.#parts.once('cluster network-policies', () =>
        this.#startK3s('network-policies', { networkPolicies }),
      );
    }
    return this.reference();
  }

  /** What a worker gets to know of it; a twin with a proxy in front of the API server sees that one alone. */
  async dataFor(candidate: Candidate): Promise<ClusterData> {
    const cluster = await this.startedFor(candidate);
    const fault = clusterFaultOf(candidate)?.apiProxy;
    const resolver = (await this.#foundations.resolver()).toData();
    if (fault !== undefined) {
      const proxy = await this.#parts.once(
        `faulty API server ${candidate.name}`,
        async (): Promise<FaultyApiServer> => {
          const started = await startFaultyApiServer(cluster.data, fault);
          this.#parts.onStop(() => started.close());
          return started;
        },
      );
      return { ...cluster.data, kubeConfig: proxy.kubeConfig, resolver };
    }
    return { ...cluster.data, resolver };
  }

  /** Reference of an image of fixtures/images, which the nodes of the candidate's cluster have by now. */
  async imageOn(candidate: Candidate, name: NodeImage): Promise<string> {
    const cluster = await this.startedFor(candidate);
    if (!cluster.data.owned) {
      const named = liveImage(name);
      if (named === undefined) {
        throw new HarnessError(
          `a live cluster has to pull the image of fixtures/images/${name}: push it to a registry that its nodes can reach (conformance images mirror), and give --registry, or name it in ${liveImageVariable(name)}`,
        );
      }
      return named;
    }
    return this.#give(cluster, name);
  }

  /**
   * The same for the references' cluster, before anybody asks; nothing on a live one, whose nodes pull their images.
   */
  async imageOnReference(name: NodeImage): Promise<void> {
    const cluster = await this.reference();
    if (cluster.data.owned) {
      await this.#give(cluster, name);
    }
  }

  #give(cluster: StartedCluster, name: NodeImage): Promise<string> {
    return this.#parts.once(`image ${name} on ${cluster.data.issuer}`, async () => {
      const { reference } = await this.#foundations.image(name);
      await cluster.importImage(await saveImage(reference));
      return reference;
    });
  }

  /**
   * Gives an image of this host's engine to the nodes of the candidate's cluster. What the engine does not have, and
   * what a live cluster needs, the nodes pull themselves.
   */
  async provideImage(candidate: Candidate, reference: string): Promise<void> {
    const cluster = await this.startedFor(candidate);
    if (!cluster.data.owned) {
      return;
    }
    await this.#parts.once(`image ${reference} on ${cluster.data.issuer}`, async () => {
      if (await engineHasImage(reference)) {
        await cluster.importImage(await saveImage(reference));
      }
    });
  }

  /** Access of a target to the candidate's cluster, see {@link TargetAccesses}. */
  async targetAccess(candidate: Candidate, options: TargetAccessOptions): Promise<TargetAccessData> {
    const [cluster, pki] = await Promise.all([this.startedFor(candidate), this.#foundations.pki()]);
    // The pods of a live cluster do not reach this host.
    const pods = cluster.data.owned ? await gatewayOf(await this.#foundations.network()) : undefined;
    const access = await this.targetAccesses.open(cluster, pki, options, pods);
    // A reference is the harness's own; what an implementation under test makes is evaluated as it makes it.
    if (candidate.kind !== 'targets') {
      cluster.takeAsOwn?.(access.user);
    }
    return access;
  }

  /** Of the candidate's cluster, as its API server logs them; undefined where it is not the harness's own. */
  async auditRecords(candidate: Candidate, requester: Requester): Promise<ApiRecord[] | undefined> {
    const cluster = await this.startedFor(candidate);
    return cluster.data.owned ? auditRecords(cluster, requester) : undefined;
  }

  #namespaces(cluster: StartedCluster): Promise<Namespaces> {
    return this.#parts.once(`namespaces of ${cluster.data.issuer}`, async () => {
      const namespaces = new Namespaces(cluster.data.kubeConfig, this.#options.runId, {
        assignedUids: this.#options.assignedUids === true,
        pullSecrets: this.#options.settings?.pods.imagePullSecrets ?? [],
      });
      // A cluster that is thrown away takes its namespaces with it.
      if (!cluster.data.owned) {
        this.#parts.onStop(() => namespaces.removeAll());
      }
      return namespaces;
    });
  }

  #givenNamespaces(cluster: StartedCluster, names: string[]): Promise<GivenNamespaces> {
    return this.#parts.once('given namespaces', async () => {
      const given = new GivenNamespaces(createClusterHandle(cluster.data), this.#options.runId, names);
      this.#parts.onStop(() => given.clean());
      return given;
    });
  }

  /**
   * Where something lives that serves the whole run: a namespace of its own, or the first one that the run is kept to,
   * beside whoever has that in turn. Its objects are labelled {@link LASTS_FOR_THE_RUN}.
   */
  async namespaceOfTheRun(purpose: string): Promise<string> {
    const [given] = this.#options.namespaces ?? [];
    if (given !== undefined) {
      return given;
    }
    return (await this.#namespaces(await this.reference())).create(purpose, 'restricted');
  }

  /**
   * What an owner has of the namespaces that the run is kept to is for others now; namespaces of the run's own stay
   * until its end.
   */
  async giveBackNamespaces(candidate: Candidate, owner: string): Promise<void> {
    const { namespaces: names = [] } = this.#options;
    if (names.length === 0) {
      return;
    }
    await (await this.#givenNamespaces(await this.startedFor(candidate), names)).giveBack(owner);
  }

  /**
   * A new namespace for a candidate, with the fault of a cluster twin at work in it; or one of those that the run is
   * kept to.
   *
   * @param holder whoever has it alone until it is given back
   */
  async namespace(
    candidate: Candidate,
    purpose: string,
    podSecurity: PodSecurity = 'restricted',
    holder: Pick<NamespaceRequest, 'owner' | 'group' | 'lasts' | 'enforced'> = { owner: 'the run' },
  ): Promise<string> {
    const cluster = await this.startedFor(candidate);
    const { namespaces: names = [] } = this.#options;
    if (names.length > 0) {
      return (await this.#givenNamespaces(cluster, names)).take({ ...holder, purpose, podSecurity });
    }
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
        this.#parts.onStop(() => started.stop());
      }
    }
    this.#namesOf.set(candidate.name, [...(this.#namesOf.get(candidate.name) ?? []), name]);
    return name;
  }

  /**
   * Takes away what a candidate alone used, when nothing of it is evaluated any more: on a cluster that many candidates
   * share, the pods of those before would take the time of those after.
   */
  async release(candidate: Candidate): Promise<void> {
    const names = this.#namesOf.get(candidate.name) ?? [];
    if (names.length === 0 || this.#parts.isStopping) {
      return;
    }
    // What is evaluated of it once more gets namespaces of its own.
    this.#namesOf.delete(candidate.name);
    const namespaces = await this.#namespaces(await this.startedFor(candidate));
    await Promise.all(names.map((name) => namespaces.remove(name)));
  }

  /** Requests to each of them, as far as they were recorded. */
  requests(): Promise<Requests[]> {
    return Promise.all(
      [...this.started].map(async ([name, cluster]): Promise<Requests> => {
        const component = name === 'reference' ? 'cluster' : name === 'second' ? 'second cluster' : `cluster ${name}`;
        if (!cluster.data.owned) {
          return {
            component,
            counts: cluster.ledger?.counts() ?? {},
            countedBy: "the harness's way to the API server",
            notCounted: 'whoever else asks the API server: pods, and what an implementation under test asks',
          };
        }
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
            notCounted: describeError(error),
          };
        }
      }),
    );
  }
}

/** What is wrong with the cluster of a candidate, where that is its fault. */
function clusterFaultOf(candidate: Candidate): ClusterFault | undefined {
  return candidate.kind === 'twin' && 'cluster' in candidate.twin ? candidate.twin.cluster : undefined;
}
