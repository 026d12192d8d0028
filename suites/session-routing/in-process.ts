/** Scenarios of session operators in this process: an API server without a cluster, and no engine. */
import { FakeApiServer } from '../../fixtures/workloads/lib/fake-api-server.ts';
import { loadCatalogue } from '../../harness/catalogue/catalogue.ts';
import type { PolicyRule } from '../../harness/core/policy-rule.ts';
import { type ApiRecord, askedFor } from '../../harness/kubernetes/api-record.ts';
import type { ClusterHandle } from '../../harness/kubernetes/cluster-handle.ts';
import { ruleAllows } from '../../harness/kubernetes/rbac.ts';
import type { Candidate } from '../../harness/rpc/candidate.ts';
import type { RequirementContext, TargetAccess } from '../../harness/rpc/context.ts';
import type { TargetAccessOptions } from '../../harness/rpc/target-access.ts';

/** A twin as the candidate of an observation. @throws Error where the catalogue has no such twin */
export function twinCandidate(name: string): Candidate {
  const twin = loadCatalogue().twins.find((row) => row.name === name);
  if (twin === undefined) {
    throw new Error(`no twin ${name}`);
  }
  return { kind: 'twin', name, twin, planned: [] };
}

/** The references as the candidate of an observation. */
export const REFERENCES: Candidate = { kind: 'references', name: 'references', planned: [] };

/** Observes a candidate in a context of its own. */
export async function inProcess<R>(candidate: Candidate, observe: (t: RequirementContext) => Promise<R>): Promise<R> {
  const servers: FakeApiServer[] = [];
  const shared = new Map<string, Promise<unknown>>();
  let current: FakeApiServer | undefined;
  const share = <T>(key: string, make: () => Promise<T>): Promise<T> => {
    const known = shared.get(key) ?? make();
    shared.set(key, known);
    return known as Promise<T>;
  };
  const server = (): FakeApiServer => {
    if (current === undefined) {
      throw new Error('no API server was started');
    }
    return current;
  };
  const cluster = {
    // It assigns no uids.
    core: { readNamespace: async () => ({}) },
    owned: true,
    workloadImage: 'node',
    request: (path: string, init?: RequestInit) => fetch(`${server().url}${path}`, init),
  } as unknown as ClusterHandle;
  const context: Partial<RequirementContext> = {
    candidate,
    signal: new AbortController().signal,
    async cluster() {
      if (current === undefined) {
        current = await FakeApiServer.start();
        servers.push(current);
      }
      return cluster;
    },
    preconditions: {},
    withNamespace: (purpose, _, act) => act(purpose.replaceAll(' ', '-')),
    targetAccess: async (options) => accessTo(server(), options),
    shared: share,
    sharedByAllFiles: share,
    evidence: () => undefined,
  };
  try {
    return await observe(context as RequirementContext);
  } finally {
    await Promise.all(servers.map((one) => one.close()));
  }
}

/** Holds a target to its rules, records what it asks for, and fails as told. */
function accessTo(
  server: FakeApiServer,
  { namespace, clusterRules = [], ...options }: TargetAccessOptions,
): TargetAccess {
  let { rules } = options;
  const records: ApiRecord[] = [];
  server.refuses = (method, path) => {
    const action = askedFor(method, path);
    const here: PolicyRule[] = action.namespace === namespace ? [...rules, ...clusterRules] : clusterRules;
    return !here.some((rule) => ruleAllows(rule, action));
  };
  server.onRequest = ({ method, path, status }) => {
    const at = new Date().toISOString();
    const message = status === 403 ? { message: `${method} ${path} is forbidden` } : {};
    records.push({ ...askedFor(method, path), at, user: 'target', code: status, durationMs: 0, ...message });
  };
  const access: Partial<TargetAccess> = {
    namespace,
    kubeConfig: server.kubeconfig,
    records: async () => [...records],
    async setRules(next) {
      rules = next;
    },
    async setFaults(faults) {
      server.isDown = false;
      for (const { kind, forSeconds } of faults) {
        if (kind === 'outage') {
          server.isDown = true;
          server.cutWatches();
          if (forSeconds !== undefined) {
            setTimeout(() => {
              server.isDown = false;
            }, forSeconds * 1000);
          }
        } else if (kind === 'expired') {
          server.expire();
        } else {
          server.cutWatches();
        }
      }
    },
    close: async () => undefined,
  };
  return access as TargetAccess;
}
