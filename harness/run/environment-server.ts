import { HarnessError } from '../core/errors.ts';
import type { Environment } from '../environment/environment.ts';
import type { Candidate } from '../rpc/candidate.ts';
import { claimHandlers, type EnvironmentHandlers } from '../rpc/server.ts';

interface ServedRun {
  environment: Environment;
  candidates: readonly Candidate[];
  /** Settled once a requirement of the candidate may begin. */
  admit(candidate: Candidate, id: string): Promise<void>;
  onProgress(candidate: string, id: string, message: string): void;
}

/** The calls of {@link ../rpc/environment-api.ts EnvironmentApi}, answered by the environment of a run. */
export function environmentHandlers({ environment, candidates, admit, onProgress }: ServedRun): EnvironmentHandlers {
  const { clusters, identityProviders } = environment;
  const called = (name: string): Candidate => {
    const candidate = candidates.find((one) => one.name === name);
    if (candidate === undefined) throw new HarnessError(`no candidate of this run is called ${name}`);
    return candidate;
  };
  const done = async (work: unknown): Promise<object> => {
    await work;
    return {};
  };
  return {
    ...claimHandlers(),
    admission: ({ id }, name) => done(admit(called(name), id)),
    alive: () => done(environment.assertAlive()),
    progress: ({ id, message }, name) => done(onProgress(name, id, message)),
    cluster: (_, name) => clusters.dataFor(called(name)),
    namespace: async ({ purpose, podSecurity }, name) => ({
      name: await clusters.namespace(called(name), purpose, podSecurity),
    }),
    nodes: async ({ atLeast }, name) => done((await clusters.startedFor(called(name))).addNodes(atLeast)),
    provideImage: ({ reference }, name) => done(clusters.provideImage(called(name), reference)),
    image: async (request, name) => ({ reference: await clusters.imageOn(called(name), request.name) }),
    certificate: ({ host, ...extra }) => environment.certificate(host, extra),
    targetAccess: (options, name) => clusters.targetAccess(called(name), options),
    targetRecords: async ({ id }) => clusters.targetAccesses.records(id),
    targetFaults: ({ id, faults }) => done(clusters.targetAccesses.setFaults(id, faults)),
    targetRules: ({ id, rules }) => done(clusters.targetAccesses.setRules(id, rules)),
    closeTargetAccess: ({ id }) => done(clusters.targetAccesses.close(id)),
    auditRecords: async ({ requester }, name) => {
      const records = await clusters.auditRecords(called(name), requester);
      return records === undefined ? {} : { records };
    },
    identityProvider: (_, name) => identityProviders.dataFor(called(name)),
    peerProviders: async (_, name) => {
      const peers = await identityProviders.peersFor(called(name));
      return peers === undefined ? {} : { peers };
    },
    register: ({ at, provider, workload }, name) => identityProviders.register(called(name), at, provider, workload),
    trusting: ({ trust }, name) => identityProviders.trusting(called(name), trust),
  };
}
