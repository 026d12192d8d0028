import { HarnessError, NotApplicable } from '../../core/errors.ts';
import { asHarnessError } from '../../core/outcome.ts';
import { redact, redactData } from '../../core/redact.ts';
import { Resolver } from '../../core/resolver.ts';
import type { ApiRecord, Requester } from '../../kubernetes/api-record.ts';
import type { ClusterData } from '../../kubernetes/cluster-data.ts';
import { type ClusterHandle, createClusterHandle } from '../../kubernetes/cluster-handle.ts';
import type { AdditionalIssuerTrust } from '../../oauth/provider.ts';
import type { Candidate } from '../../rpc/candidate.ts';
import { environmentOf } from '../../rpc/client.ts';
import { createClock } from '../../rpc/clock.ts';
import type { IdentityProviderHandle, PeerCluster, RequirementContext, TargetAccess } from '../../rpc/context.ts';
import type { EnvironmentApi, ProviderPlace } from '../../rpc/environment-api.ts';
import { toControlError } from '../../rpc/error.ts';
import { assertClusterDeclared } from '../../rpc/preconditions.ts';
import type { EvidenceItem, IdentityProviderData, PodSecurity, WorkerSettings } from '../../rpc/protocol.ts';
import type { TargetAccessData } from '../../rpc/target-access.ts';
import { isAlone, plannedPreconditions, rowOf } from './rows.ts';
import { groupOf, ownerOf } from './turns.ts';

/** Everything made once per suite and candidate, by its key: a worker has the suites of one role. */
const shared = new Map<string, Promise<unknown>>();

function sharedBy<T>(candidate: Candidate, key: string, make: () => Promise<T>): Promise<T> {
  const whole = `${candidate.name}\n${key}`;
  const existing = shared.get(whole);
  if (existing !== undefined) {
    return existing as Promise<T>;
  }
  const made = make();
  shared.set(whole, made);
  return made;
}

/**
 * On a live cluster the harness knows for which requirement it asks: its door to the cluster is shown the id
 * (kubeconfig/gateway.ts).
 */
function askedBy(data: ClusterData, id: string): ClusterData {
  if (data.kind !== 'kubeconfig') {
    return data;
  }
  const config = JSON.parse(data.kubeConfig) as { users: { user: { token: string } }[] };
  for (const { user } of config.users) {
    user.token = `${user.token}.${id}`;
  }
  return { ...data, kubeConfig: JSON.stringify(config) };
}

export interface ContextParts {
  settings: WorkerSettings;
  candidate: Candidate;
  id: string;
  signal: AbortSignal;
  /** Is given what the body shows. */
  evidence: EvidenceItem[];
}

/** Makes something once for the suite and candidate; every other one that asks waits for it. */
type Fixture = <T>(key: string, make: () => Promise<T>) => Promise<T>;

/** What the body of a requirement is given. */
export function createContext(parts: ContextParts): RequirementContext {
  const { settings, candidate, id, signal, evidence } = parts;
  const { preconditions, suite } = rowOf(settings, id);
  const environment = environmentOf(settings, candidate.name);
  const progress = (message: string): void => {
    // A lost line of progress changes nothing; a main process that is gone is noticed by the next real question.
    void environment.progress({ id, message: redact(message) }).catch(() => undefined);
  };
  const fixture: Fixture = (key, make) =>
    sharedBy(candidate, isAlone(settings, id) ? `${id} ${key}` : `${suite} ${key}`, make).catch((error: unknown) => {
      throw asHarnessError(`the fixture "${key}" failed`, error);
    });
  return {
    id,
    candidate,
    preconditions,
    planned: plannedPreconditions(settings, candidate),
    signal,
    clock: createClock(settings.clock, progress, signal),
    ...clusterOf(parts, environment, fixture),
    ...namespacesOf(parts, environment, fixture),
    ...providersOf(environment, fixture),
    peerCluster: () => peerClusterOf(id, environment, fixture),
    targetAccess: async (options) => accessOf(environment, await environment.targetAccess(options)),
    auditRecords: (requester) => auditRecordsOf(environment, requester),
    certificate: (host, extra = {}) => environment.certificate({ host, ...extra }),
    shared: fixture,
    sharedByAllFiles: (name, make) => fixture(name, () => claimed(environment, name, make)),
    evidence(label, data) {
      evidence.push({ label, at: new Date().toISOString(), data: redactData(data) });
    },
    progress,
    notApplicable(reason) {
      throw new NotApplicable(reason);
    },
  };
}

/** The cluster of the candidate, and what its nodes have. */
function clusterOf(
  { settings, id }: ContextParts,
  environment: EnvironmentApi,
  fixture: Fixture,
): Pick<RequirementContext, 'cluster' | 'provideImage' | 'image' | 'addNodes'> {
  const { preconditions } = rowOf(settings, id);
  let handle: Promise<ClusterHandle> | undefined;
  return {
    cluster() {
      handle ??= fixture('cluster', () => environment.cluster({})).then((data) =>
        createClusterHandle(askedBy(data, id)),
      );
      return handle;
    },
    provideImage: (reference) =>
      fixture(`image ${reference}`, async () => {
        await environment.provideImage({ reference });
      }),
    image: (name) => fixture(`${name} image`, async () => (await environment.image({ name })).reference),
    async addNodes(atLeast) {
      assertClusterDeclared({ id, preconditions }, 'two-nodes');
      await fixture(`${atLeast} nodes`, () => environment.nodes({ atLeast }));
    },
  };
}

/** Namespaces of the candidate: of the suite, or of one piece of work where a run is kept to a few. */
function namespacesOf(
  { settings, id }: ContextParts,
  environment: EnvironmentApi,
  fixture: Fixture,
): Pick<RequirementContext, 'namespace' | 'namespaceFor' | 'withNamespace'> {
  const owner = ownerOf(settings, id);
  const group = groupOf(settings, id);
  const namespaceFor = (purpose: string, podSecurity: PodSecurity = 'restricted'): Promise<{ name: string }> =>
    fixture(`namespace ${purpose}`, () =>
      environment.namespace({ purpose, podSecurity, owner, group, lasts: !isAlone(settings, id) }),
    );
  return {
    namespace: () => namespaceFor('main'),
    namespaceFor,
    async withNamespace(purpose, podSecurity, act, { enforced = false } = {}) {
      if (settings.sharesNamespaces !== true) {
        return act((await namespaceFor(purpose, podSecurity)).name);
      }
      const holder = `${owner} ${purpose}`;
      const { name } = await environment.namespace({ purpose, podSecurity, owner: holder, group, enforced });
      try {
        return await act(name);
      } finally {
        await environment.giveBackNamespaces({ owner: holder });
      }
    },
  };
}

/** The identity provider in the slot, and those beside it. */
function providersOf(
  environment: EnvironmentApi,
  fixture: Fixture,
): Pick<RequirementContext, 'identityProvider' | 'peerProviders'> {
  const handleOf = (
    { description, resolver, ca, additionalIssuer }: IdentityProviderData,
    at: ProviderPlace,
  ): IdentityProviderHandle => ({
    ...description,
    ca,
    fetch: new Resolver(resolver).fetch,
    register: (provider, workload) => environment.register({ at, provider, workload }),
    ...(additionalIssuer === undefined
      ? {}
      : {
          additionalIssuer: {
            ...additionalIssuer,
            trusting: (trust: AdditionalIssuerTrust) => environment.trusting({ trust }),
          },
        }),
  });
  return {
    identityProvider: () =>
      fixture('identity provider', async () => handleOf(await environment.identityProvider({}), 'slot')),
    peerProviders: () =>
      fixture('peer providers', async () => {
        const { peers } = await environment.peerProviders({});
        return peers === undefined ? undefined : handleOf(peers, 'peers');
      }),
  };
}

/** The second cluster of the run, where it has one. */
async function peerClusterOf(
  id: string,
  environment: EnvironmentApi,
  fixture: Fixture,
): Promise<PeerCluster | undefined> {
  const { peer } = await fixture('second cluster', () => environment.peerCluster({}));
  if (peer === undefined) {
    return undefined;
  }
  const { context, cluster } = peer;
  const handle = createClusterHandle(askedBy(cluster, id));
  return {
    context,
    issuer: cluster.issuer,
    async createToken(workload, asked) {
      const { namespace, serviceAccount } = workload;
      await fixture(`${namespace}/${serviceAccount} in the second cluster`, () => environment.peerAccount(workload));
      return (await handle.createToken({ ...workload, ...asked })).token;
    },
  };
}

/** A ServiceAccount of a target, and the proxy that it reaches the API server by. */
function accessOf(environment: EnvironmentApi, data: TargetAccessData): TargetAccess {
  const { id, user } = data;
  return {
    ...data,
    async records() {
      const { records, dropped } = await environment.targetRecords({ id });
      if (dropped > 0) {
        throw new HarnessError(`${dropped} requests beyond the first ${records.length} were not kept`);
      }
      return records;
    },
    auditRecords: () => auditRecordsOf(environment, { user }),
    async setFaults(faults) {
      await environment.targetFaults({ id, faults });
    },
    async setRules(rules) {
      await environment.targetRules({ id, rules });
    },
    async close() {
      await environment.closeTargetAccess({ id });
    },
  };
}

async function auditRecordsOf(environment: EnvironmentApi, requester: Requester): Promise<ApiRecord[] | undefined> {
  return (await environment.auditRecords({ requester })).records;
}

/** Makes something once for all files of the candidate: the first who asks makes it, the others are given it. */
async function claimed<T>(environment: EnvironmentApi, key: string, make: () => Promise<T>): Promise<T> {
  const claim = await environment.claim({ key });
  if (!claim.make) {
    return claim.value as T;
  }
  try {
    const value = await make();
    await environment.fulfil({ key, value });
    return value;
  } catch (error) {
    await environment.fulfil({ key, error: toControlError(asHarnessError(key, error)) });
    throw error;
  }
}
