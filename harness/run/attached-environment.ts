import type { WarmEnvironment } from '../environment/warm.ts';
import type { Candidate } from '../rpc/candidate.ts';
import { ask } from '../rpc/client.ts';
import type { Requests } from '../rpc/requests.ts';
import type { EnvironmentCalls, RunEnvironment } from './run-environment.ts';

/** Every call of {@link EnvironmentCalls}: a type error names the one that is missing. */
const CALLS = Object.keys({
  alive: true,
  cluster: true,
  namespace: true,
  giveBackNamespaces: true,
  refusals: true,
  nodes: true,
  provideImage: true,
  image: true,
  certificate: true,
  targetAccess: true,
  targetRecords: true,
  targetFaults: true,
  targetRules: true,
  closeTargetAccess: true,
  auditRecords: true,
  identityProvider: true,
  peerProviders: true,
  peerCluster: true,
  peerAccount: true,
  register: true,
  trusting: true,
} satisfies Record<keyof EnvironmentCalls, true>);

/**
 * An environment that `conformance up` holds, as the environment of a run. Namespaces of the run are its own, and go
 * when it stops; the environment goes on.
 *
 * @param runId tells the run's candidates from those of other runs in the same environment
 */
export function attachTo(warm: WarmEnvironment, runId: string): RunEnvironment {
  /** Those that asked for anything, under the names by which the environment knows them. */
  const known = new Map<string, Candidate>();
  const own = (candidate: Candidate): Candidate => {
    const renamed = known.get(candidate.name) ?? { ...candidate, name: `${candidate.name} ${runId}` };
    known.set(candidate.name, renamed);
    return renamed;
  };
  const call = (name: string, request: object, candidate?: Candidate): Promise<unknown> =>
    ask(warm, name, { request, candidate: candidate === undefined ? undefined : own(candidate) });
  const stopped = new AbortController();
  return {
    calls: Object.fromEntries(
      CALLS.map((name) => [name, (request: object, candidate: Candidate) => call(name, request, candidate)]),
    ) as unknown as EnvironmentCalls,
    // It is up.
    warmUp: async () => undefined,
    watch: async (onEnd) => {
      ask(warm, 'broken', { request: {}, candidate: undefined }, stopped.signal).then(
        (answer) => onEnd((answer as { why: string }).why),
        () => stopped.signal.aborted || onEnd(`the environment "${warm.name}" has ended`),
      );
    },
    discover: async () => (await call('discover', {})) as Record<string, unknown>,
    requests: async () => ((await call('requests', {})) as { requests: Requests[] }).requests,
    // Those are never live.
    asked: () => [],
    assertAlive: async () => {
      await call('alive', {});
    },
    release: async (candidate) => {
      await call('release', {}, candidate);
    },
    async stop() {
      stopped.abort();
      await Promise.all([...known.values()].map((candidate) => ask(warm, 'release', { request: {}, candidate })));
    },
  };
}
