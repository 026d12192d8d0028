import { HarnessError } from '../core/errors.ts';
import type { LedgerEntry } from '../environment/cluster/kubeconfig/ledger.ts';
import type { Environment } from '../environment/environment.ts';
import type { WorkloadIdentity } from '../oauth/provider.ts';
import type { NodeImage } from '../role-data/index.ts';
import type { Candidate } from '../rpc/candidate.ts';
import type { Requests } from '../rpc/requests.ts';
import type { EnvironmentHandlers } from '../rpc/server.ts';

/** What a worker asks that the run itself answers, whatever its environment. */
type OfTheRun = 'admission' | 'progress' | 'claim' | 'fulfil';

/** What a worker asks of the environment, with the candidate itself. */
export type EnvironmentCalls = Omit<EnvironmentHandlers<Candidate>, OfTheRun>;

/** The environment of a run: of its own, or one that was started before (`conformance up`). */
export interface RunEnvironment {
  calls: EnvironmentCalls;
  /** Settled when the cluster and what its first pods need are there. */
  warmUp(options: { identityProvider: boolean; images: readonly NodeImage[] }): Promise<void>;
  /** Tells when a part is gone that the run did not stop itself. */
  watch(onEnd: (message: string) => void): Promise<void>;
  /** What its parts say of themselves. */
  discover(): Promise<Record<string, unknown>>;
  requests(): Promise<Requests[]>;
  /** What the harness asked of a live cluster; empty for any other. */
  asked(): LedgerEntry[];
  /** @throws HarnessError where a part that was started is gone */
  assertAlive(): Promise<void>;
  /** Takes away what a candidate alone used. */
  release(candidate: Candidate): Promise<void>;
  /** Stops what the run started. */
  stop(): Promise<void>;
}

async function done(work: unknown): Promise<object> {
  await work;
  return {};
}

async function peerAccount(clusters: Environment['clusters'], workload: WorkloadIdentity): Promise<void> {
  const peer = await clusters.peer();
  if (peer === undefined) {
    throw new HarnessError('a ServiceAccount of a second cluster is asked for, and the run has none');
  }
  await peer.accounts.ensure(workload);
}

/** The environment that a run, or `conformance up`, starts and stops itself. */
export function ownEnvironment(environment: Environment): RunEnvironment {
  const { clusters, identityProviders } = environment;
  return {
    calls: {
      alive: () => done(environment.assertAlive()),
      cluster: (_, candidate) => clusters.dataFor(candidate),
      namespace: async ({ purpose, podSecurity, ...holder }, candidate) => ({
        name: await clusters.namespace(candidate, purpose, podSecurity, holder),
      }),
      giveBackNamespaces: ({ owner }, candidate) => done(clusters.giveBackNamespaces(candidate, owner)),
      refusals: async ({ id }, candidate) => ({
        refused: (await clusters.startedFor(candidate)).ledger?.refusals(id) ?? [],
      }),
      nodes: async ({ atLeast }, candidate) => done((await clusters.startedFor(candidate)).addNodes(atLeast)),
      provideImage: ({ reference }, candidate) => done(clusters.provideImage(candidate, reference)),
      image: async ({ name }, candidate) => ({ reference: await clusters.imageOn(candidate, name) }),
      certificate: ({ host, ...extra }) => environment.certificate(host, extra),
      targetAccess: (options, candidate) => clusters.targetAccess(candidate, options),
      targetRecords: async ({ id }) => clusters.targetAccesses.records(id),
      targetFaults: ({ id, faults }) => done(clusters.targetAccesses.setFaults(id, faults)),
      targetRules: ({ id, rules }) => done(clusters.targetAccesses.setRules(id, rules)),
      closeTargetAccess: ({ id }) => done(clusters.targetAccesses.close(id)),
      auditRecords: async ({ requester }, candidate) => {
        const records = await clusters.auditRecords(candidate, requester);
        return records === undefined ? {} : { records };
      },
      identityProvider: (_, candidate) => identityProviders.dataFor(candidate),
      peerProviders: async (_, candidate) => {
        const peers = await identityProviders.peersFor(candidate);
        return peers === undefined ? {} : { peers };
      },
      peerCluster: async () => {
        const peer = await clusters.peer();
        return peer === undefined ? {} : { peer: { context: peer.context, cluster: peer.cluster.data } };
      },
      peerAccount: (workload) => done(peerAccount(clusters, workload)),
      register: ({ at, provider, workload }, candidate) =>
        identityProviders.register(candidate, at, provider, workload),
      trusting: ({ trust }, candidate) => identityProviders.trusting(candidate, trust),
    },
    warmUp: (options) => environment.warmUp(options),
    watch: (onEnd) => environment.watch(onEnd),
    discover: () => environment.discover(),
    requests: () => environment.requests(),
    asked: () => [...clusters.started.values()].flatMap(({ ledger }) => ledger?.entries() ?? []),
    assertAlive: () => environment.assertAlive(),
    release: (candidate) => clusters.release(candidate),
    stop: () => environment.stop(),
  };
}

/** The same calls for workers, which know candidates by their names. */
export function callsByName(
  calls: EnvironmentCalls,
  candidates: readonly Candidate[],
): Omit<EnvironmentHandlers, OfTheRun> {
  const called = (name: string): Candidate => {
    const candidate = candidates.find((one) => one.name === name);
    if (candidate === undefined) {
      throw new HarnessError(`no candidate of this run is called ${name}`);
    }
    return candidate;
  };
  return Object.fromEntries(
    Object.entries(calls).map(([call, answer]) => [
      call,
      async (request: never, name: string) => (answer as (...given: unknown[]) => unknown)(request, called(name)),
    ]),
  ) as Omit<EnvironmentHandlers, OfTheRun>;
}
