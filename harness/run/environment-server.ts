import { HarnessError } from '../core/errors.ts';
import type { Environment } from '../environment/environment.ts';
import type { Candidate } from '../rpc/candidate.ts';
import { claimHandlers, type EnvironmentHandlers } from '../rpc/server.ts';

interface ServedRun {
  environment: Environment;
  candidates: readonly Candidate[];
  /** Settled once the candidate may start. */
  admit(candidate: Candidate): Promise<void>;
  onProgress(candidate: string, id: string, message: string): void;
}

/** The calls of {@link ../rpc/environment-api.ts EnvironmentApi}, answered by the environment of a run. */
export function environmentHandlers({ environment, candidates, admit, onProgress }: ServedRun): EnvironmentHandlers {
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
    admission: (_, name) => done(admit(called(name))),
    alive: () => done(environment.assertAlive()),
    progress: ({ id, message }, name) => done(onProgress(name, id, message)),
    cluster: (_, name) => environment.clusterData(called(name)),
    namespace: async ({ purpose, podSecurity }, name) => ({
      name: await environment.namespace(called(name), purpose, podSecurity),
    }),
    nodes: async ({ atLeast }, name) => done((await environment.clusterFor(called(name))).addNodes(atLeast)),
    provideImage: ({ reference }, name) => done(environment.provideImage(called(name), reference)),
    image: async (request, name) => ({ reference: await environment.imageOn(called(name), request.name) }),
    certificate: ({ host, ...extra }) => environment.certificate(host, extra),
    targetAccess: (options, name) => environment.targetAccess(called(name), options),
    targetRecords: async ({ id }) => environment.targetAccesses.records(id),
    targetFaults: ({ id, faults }) => done(environment.targetAccesses.setFaults(id, faults)),
    targetRules: ({ id, rules }) => done(environment.targetAccesses.setRules(id, rules)),
    closeTargetAccess: ({ id }) => done(environment.targetAccesses.close(id)),
    auditRecords: async ({ requester }, name) => {
      const records = await environment.auditRecords(called(name), requester);
      return records === undefined ? {} : { records };
    },
    identityProvider: (_, name) => environment.identityProviderData(called(name)),
    peerProviders: async (_, name) => {
      const peers = await environment.peersData(called(name));
      return peers === undefined ? {} : { peers };
    },
    register: ({ at, provider, workload }, name) => environment.register(called(name), at, provider, workload),
    trusting: ({ trust }, name) => environment.trusting(called(name), trust),
  };
}
