import { randomUUID } from 'node:crypto';
import { decodeToken } from '../../../fixtures/workloads/lib/jwt.ts';
import type { FileObservations } from '../../../fixtures/workloads/token-probe/probe.ts';
import type { Requirement } from '../../catalogue/catalogue.ts';
import { describeError, NotApplicable } from '../../core/errors.ts';
import { type Outcome, outcomeOf } from '../../core/outcome.ts';
import { startEmbedded } from '../../environment/identity-provider/embedded/index.ts';
import { makeTestIssuer, type TestIssuer } from '../../environment/identity-provider/test-issuer.ts';
import type { ProbePod, ProbePodOptions } from '../../probes/token-probe.ts';
import { createClock } from '../../rpc/clock.ts';
import type { RequirementContext } from '../../rpc/context.ts';
import type { ClockSettings } from '../../rpc/protocol.ts';
import type { Target } from '../../targets/load.ts';
import { tokenClient } from './definition.ts';

/**
 * Evaluates a target file of the form `process` without a cluster and without a container: an issuer of tokens in place
 * of the cluster, the embedded provider in this process, and token files that are replaced as a kubelet does it. The
 * client is the real one, on the real time. For the tests of shipped targets.
 *
 * A test that uses this replaces harness/probes/token-probe.ts by {@link startProbeWithoutPod}.
 */

/** Bodies of requirements by their ids, as the suites' test files give them to `requirement()`. */
export type Bodies = Map<string, (t: RequirementContext) => Promise<void>>;

/** What came of one requirement. */
export interface Evaluated {
  outcome: Outcome;
  /** Everything that was found, or why it does not bind the target. */
  reason?: string;
}

/** As on the accelerated clock of harness/run/session.ts. */
const CLOCK: ClockSettings = {
  kind: 'accelerated',
  lifetimeSeconds: 60,
  clientLifetimeSeconds: 25,
  syncFrequencySeconds: 1,
};

/** As harness/environment/identity-providers.ts has them. */
const ACCESS_TOKEN_SECONDS = 12;

/** Part of a token's life after which a kubelet replaces it. */
const REPLACED_AFTER = 0.8;

/**
 * The issuers of the evaluations that are going on, by their namespaces: {@link startProbeWithoutPod} is given no
 * other.
 */
const issuers = new Map<string, { issuer: TestIssuer; lifetimeSeconds: number }>();

/** Takes the place of `startProbePod`: tokens of the test's issuer, replaced at 80 % of their life. */
export async function startProbeWithoutPod(
  _t: RequirementContext,
  namespace: string,
  { name, serviceAccount, volumes }: ProbePodOptions,
): Promise<Pick<ProbePod, 'name' | 'namespace' | 'path' | 'observations' | 'token'>> {
  const { issuer, lifetimeSeconds } = issuers.get(namespace) ?? {};
  if (issuer === undefined || lifetimeSeconds === undefined) {
    throw new Error(`no evaluation has the namespace ${namespace}`);
  }
  const tokens = new Map<string, string>();
  const path = (volume: string, file: string): string => `/${volume}/${file}`;
  const files = Object.entries(volumes).flatMap(([volume, audiences]) =>
    Object.entries(audiences).map(([file, audience]) => ({ path: path(volume, file), audience })),
  );
  const observed = new Map<string, FileObservations['observations']>(files.map((file) => [file.path, []]));
  let projectedAt = Number.NEGATIVE_INFINITY;
  const project = async (): Promise<void> => {
    projectedAt = Date.now();
    for (const file of files) {
      const token = await issuer.mint({
        namespace,
        serviceAccount,
        audiences: [String(file.audience)],
        expirationSeconds: lifetimeSeconds,
      });
      const decoded = decodeToken(token);
      if (decoded === undefined) {
        throw new Error('the test issuer minted no JWT');
      }
      tokens.set(decoded.sha256, token);
      observed.get(file.path)?.push({ at: new Date().toISOString(), inode: 0, ...decoded });
    }
  };
  return {
    name,
    namespace,
    path,
    async observations() {
      if (Date.now() >= projectedAt + REPLACED_AFTER * lifetimeSeconds * 1_000) {
        await project();
      }
      return [...observed].map(([file, observations]) => ({ path: file, observations }) as FileObservations);
    },
    token: async (sha256) => tokens.get(sha256) ?? '',
  };
}

/**
 * The outcome of every requirement that has a body.
 *
 * @param requirements the catalogue's rows
 * @param bodies what is evaluated, all at the same time: they share the observations
 */
export async function evaluateTargetInProcess(
  target: Target<'token-client'>,
  requirements: readonly Requirement[],
  bodies: Bodies,
  onProgress: (message: string) => void = () => {},
  onEvidence: (label: string, data: unknown) => void = () => {},
): Promise<Record<string, Evaluated>> {
  await tokenClient.install?.(target, onProgress);
  const issuer = await makeTestIssuer();
  const clientLifetimeSeconds = tokenClient.clientLifetimeSeconds?.(target, CLOCK) ?? CLOCK.clientLifetimeSeconds;
  const namespace = `test-${randomUUID()}`;
  issuers.set(namespace, { issuer, lifetimeSeconds: clientLifetimeSeconds });
  const provider = await startEmbedded({
    ...issuer.context,
    accessTokenLifetimeSeconds: ACCESS_TOKEN_SECONDS + target.skewSeconds,
  });
  const rows = requirements.filter(({ id }) => bodies.has(id));
  const planned = {
    simulatedProviders: new Set(rows.flatMap(({ preconditions }) => preconditions?.simulatedProviders ?? [])),
    rotations: rows.some(({ preconditions }) => preconditions?.rotations === true),
  };
  const ended = new AbortController();
  const shared = new Map<string, Promise<unknown>>();
  const once = <T>(key: string, make: () => Promise<T>): Promise<T> => {
    const made = (shared.get(key) as Promise<T> | undefined) ?? make();
    shared.set(key, made);
    return made;
  };
  const contextOf = ({ id, preconditions = {} }: Requirement): RequirementContext => {
    const parts = {
      id,
      candidate: { kind: 'targets', name: target.name, planned: rows.map((row) => row.id), targets: [target] },
      preconditions,
      planned,
      signal: ended.signal,
      clock: createClock({ ...CLOCK, clientLifetimeSeconds }, onProgress, ended.signal),
      namespace: async () => ({ name: namespace }),
      namespaceFor: async () => ({ name: namespace }),
      identityProvider: async () => ({
        ...provider.description,
        ca: issuer.context.pki.ca,
        register: provider.register.bind(provider),
        fetch: issuer.context.resolver.fetch,
      }),
      certificate: async (host: string, extra: object = {}) => ({
        ...(await issuer.context.pki.issue(host, extra)),
        ca: issuer.context.pki.ca,
      }),
      cluster: async () => ({
        core: { createNamespacedServiceAccount: async () => ({}) },
        createToken: async (asked: Parameters<TestIssuer['mint']>[0]) => ({ token: await issuer.mint(asked) }),
      }),
      shared: once,
      sharedByAllFiles: once,
      evidence: onEvidence,
      progress: onProgress,
      notApplicable: (reason: string) => {
        throw new NotApplicable(reason);
      },
    };
    return parts as unknown as RequirementContext;
  };
  const missing = ({ preconditions = {} }: Requirement): string[] =>
    (preconditions.capabilities ?? []).filter((needed) => !(target.capabilities as string[]).includes(needed));
  try {
    const results = rows.map(async (row): Promise<[string, Evaluated]> => {
      const lacking = missing(row);
      if (lacking.length > 0) {
        return [row.id, { outcome: 'not applicable', reason: `the client does not declare ${lacking.join(', ')}` }];
      }
      try {
        await bodies.get(row.id)?.(contextOf(row));
        return [row.id, { outcome: 'passed' }];
      } catch (error) {
        return [row.id, { outcome: outcomeOf(error), reason: describeError(error) }];
      }
    });
    return Object.fromEntries(await Promise.all(results));
  } finally {
    issuers.delete(namespace);
    ended.abort();
    await provider.stop();
  }
}
