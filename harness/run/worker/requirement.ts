import { inject, test } from 'vitest';
import { Heartbeat, type Stall } from '../../../fixtures/workloads/lib/heartbeat.ts';
import { groupByCause } from '../../core/causes.ts';
import { describeError, HarnessError, NotApplicable, Violation } from '../../core/errors.ts';
import { processorsSince } from '../../core/load.ts';
import { asHarnessError, outcomeOf } from '../../core/outcome.ts';
import { redact, redactData } from '../../core/redact.ts';
import { Resolver } from '../../core/resolver.ts';
import { doubtAbout, stallsSince, unlessStarved } from '../../core/starvation.ts';
import { limitSeconds } from '../../core/time-limits.ts';
import type { ApiRecord, Requester } from '../../kubernetes/api-record.ts';
import { createClusterHandle } from '../../kubernetes/cluster-handle.ts';
import type { AdditionalIssuerTrust } from '../../oauth/provider.ts';
import { roleDefinition } from '../../roles/index.ts';
import type { Candidate } from '../../rpc/candidate.ts';
import { environmentOf } from '../../rpc/client.ts';
import { createClock } from '../../rpc/clock.ts';
import type { IdentityProviderHandle, PlannedPreconditions, RequirementContext } from '../../rpc/context.ts';
import type { EnvironmentApi, ProviderPlace } from '../../rpc/environment-api.ts';
import { toControlError } from '../../rpc/error.ts';
import type {
  EvidenceItem,
  IdentityProviderData,
  PodSecurity,
  RequirementResult,
  WorkerSettings,
} from '../../rpc/protocol.ts';

export type { RequirementContext } from '../../rpc/context.ts';

/** Everything made once per file and candidate, by its key. */
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

/** @throws HarnessError for an id that no requirements.yaml has */
function rowOf({ requirements }: WorkerSettings, id: string): WorkerSettings['requirements'][string] {
  const row = requirements[id];
  if (row === undefined) throw new HarnessError(`no requirements.yaml has the requirement ${id}`);
  return row;
}

function plannedPreconditions(settings: WorkerSettings, { planned }: Candidate): PlannedPreconditions {
  const all = planned.map((id) => rowOf(settings, id).preconditions);
  return {
    simulatedProviders: new Set(all.flatMap(({ simulatedProviders = [] }) => simulatedProviders)),
    rotations: all.some(({ rotations }) => rotations === true),
  };
}

/** @throws NotApplicable where the candidate does not declare a capability that the requirement needs */
function assertDeclared(settings: WorkerSettings, id: string, candidate: Candidate): void {
  const { role, preconditions } = rowOf(settings, id);
  const needed = preconditions.capabilities ?? [];
  if (needed.length === 0) return;
  const { declared, quoted } = roleDefinition(role).capabilities?.(candidate) ?? { declared: [], quoted: '' };
  const missing = needed.filter((capability) => !declared.includes(capability));
  if (missing.length > 0) {
    throw new NotApplicable(`${quoted}, not ${missing.map((capability) => `\`${capability}\``).join(' and ')}`);
  }
}

interface ContextParts {
  settings: WorkerSettings;
  candidate: Candidate;
  id: string;
  signal: AbortSignal;
  evidence: EvidenceItem[];
}

function createContext({ settings, candidate, id, signal, evidence }: ContextParts): RequirementContext {
  const environment = environmentOf(settings, candidate.name);
  const progress = (message: string): void => {
    // A lost line of progress changes nothing; a main process that is gone is noticed by the next real question.
    void environment.progress({ id, message: redact(message) }).catch(() => undefined);
  };
  const fixture = <T>(key: string, make: () => Promise<T>): Promise<T> =>
    sharedBy(candidate, key, make).catch((error: unknown) => {
      throw asHarnessError(`the fixture "${key}" failed`, error);
    });
  const namespaceFor = (purpose: string, podSecurity: PodSecurity = 'restricted'): Promise<{ name: string }> =>
    fixture(`namespace ${purpose}`, () => environment.namespace({ purpose, podSecurity }));
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
  const auditRecords = async (requester: Requester): Promise<ApiRecord[] | undefined> =>
    (await environment.auditRecords({ requester })).records;
  return {
    candidate,
    preconditions: rowOf(settings, id).preconditions,
    planned: plannedPreconditions(settings, candidate),
    signal,
    auditRecords,
    clock: createClock(settings.clock, progress, signal),
    cluster: () => fixture('cluster', async () => createClusterHandle(await environment.cluster({}))),
    provideImage: (reference) =>
      fixture(`image ${reference}`, async () => {
        await environment.provideImage({ reference });
      }),
    agentImage: () => fixture('workload image', async () => (await environment.image({ name: 'workload' })).reference),
    runnerImage: () =>
      fixture('job runner image', async () => (await environment.image({ name: 'job-runner' })).reference),
    targetAccess: async (options) => {
      const data = await environment.targetAccess(options);
      const { id } = data;
      return {
        ...data,
        async records() {
          const { records, dropped } = await environment.targetRecords({ id });
          if (dropped > 0) {
            throw new HarnessError(`${dropped} requests beyond the first ${records.length} were not kept`);
          }
          return records;
        },
        auditRecords: () => auditRecords({ user: data.user }),
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
    },
    async addNodes(atLeast) {
      await fixture(`${atLeast} nodes`, () => environment.nodes({ atLeast }));
    },
    namespace: () => namespaceFor('main'),
    namespaceFor,
    identityProvider: () =>
      fixture('identity provider', async () => handleOf(await environment.identityProvider({}), 'slot')),
    peerProviders: () =>
      fixture('peer providers', async () => {
        const { peers } = await environment.peerProviders({});
        return peers === undefined ? undefined : handleOf(peers, 'peers');
      }),
    certificate: (host, extra = {}) => environment.certificate({ host, ...extra }),
    shared: fixture,
    sharedByAllFiles: <T>(name: string, make: () => Promise<T>): Promise<T> =>
      fixture(name, async () => {
        const key = name;
        const claim = await environment.claim({ key });
        if (!claim.make) {
          return claim.value as T;
        }
        try {
          const value = await make();
          await environment.fulfil({ key, value });
          return value;
        } catch (error) {
          await environment.fulfil({ key, error: toControlError(asHarnessError(name, error)) });
          throw error;
        }
      }),
    evidence(label, data) {
      evidence.push({ label, at: new Date().toISOString(), data: redactData(data) });
    },
    progress,
    notApplicable(reason) {
      throw new NotApplicable(reason);
    },
  };
}

/** What failed while a part of the environment was gone is a harness error: it says nothing about the target. */
async function unlessEnvironmentIsGone(environment: EnvironmentApi, thrown: unknown): Promise<unknown> {
  const outcome = outcomeOf(thrown);
  if (outcome !== 'failed' && outcome !== 'not testable') {
    return thrown;
  }
  try {
    await environment.alive({});
    return thrown;
  } catch (gone) {
    return new HarnessError(`${describeError(gone)}; meanwhile: ${describeError(thrown)}`);
  }
}

/** Of this worker: it runs beside the clusters of the harness's own, on the same machine. */
const heartbeat = new Heartbeat('the harness').start();

/** Vitest's own limit counts the time that a candidate waits for its turn, too: ours counts what the requirement takes. */
const WAITING_FACTOR = 20;

/** Longest time of one requirement in seconds, by the clock: beyond it the harness has a fault, not the target. */
const LIMIT_SECONDS = { accelerated: limitSeconds('requirement'), real: limitSeconds('requirementRealClock') };

/** What is not ours may be slow: a client that takes seconds to start, a provider on the other side of the world. */
const TARGET_FACTOR = 5;

/**
 * The test of one requirement of the catalogue: run once for each candidate for which it is planned, all of a file at the same time.
 *
 * What the body throws decides the outcome, see {@link ../../core/outcome.ts}. It must say what it saw by `t.evidence`.
 *
 * @param id the id in requirements.yaml
 */
export function requirement(id: string, body: (t: RequirementContext) => Promise<void>): void {
  const settings = inject('conformance');
  const candidates = settings.candidates.filter((candidate) => candidate.planned.includes(id));
  if (candidates.length === 0) {
    // Vitest takes a file without any test for a fault; what was not planned is not reported.
    test.skip(`${id} (not planned)`);
  }
  for (const candidate of candidates) {
    const limitSeconds =
      LIMIT_SECONDS[settings.clock.kind] *
      (candidate.kind === 'references' || (candidate.kind === 'twin' && candidate.targets === undefined)
        ? 1
        : TARGET_FACTOR);
    const title = settings.candidates.length === 1 ? id : `${id} [${candidate.name}]`;
    test.concurrent(title, { timeout: WAITING_FACTOR * limitSeconds * 1000 }, async ({ task, skip, signal }) => {
      await environmentOf(settings, candidate.name).admission({ id });
      const startedAt = new Date();
      // A cluster that is not ours is on another machine.
      const { ownCluster } = settings;
      const busy = processorsSince();
      const stalls = (): Stall[] => (ownCluster ? stallsSince(heartbeat.stalls(), startedAt.getTime()) : []);
      const doubt = (thrown: unknown, seen: Stall[]): string | undefined =>
        ownCluster ? doubtAbout(thrown, seen, busy()) : undefined;
      const evidence: EvidenceItem[] = [];
      const limit = new AbortController();
      const t = createContext({
        settings,
        candidate,
        id,
        signal: AbortSignal.any([signal, limit.signal]),
        evidence,
      });
      const record = (
        outcome: RequirementResult['outcome'],
        reason?: string,
        inDoubt?: string,
        findings: readonly string[] = [],
      ): void => {
        task.meta.conformance = {
          id,
          candidate: candidate.name,
          outcome,
          ...(reason === undefined ? {} : { reason: redact(reason) }),
          ...(findings.length === 0 ? {} : { findings: redactData(groupByCause(findings)) }),
          ...(inDoubt === undefined ? {} : { doubt: inDoubt }),
          startedAt: startedAt.toISOString(),
          durationMs: Date.now() - startedAt.getTime(),
          evidence,
        };
      };
      const { promise: exceeded, reject } = Promise.withResolvers<never>();
      const timer = setTimeout(() => {
        const error = new HarnessError(`${id} was not done after ${limitSeconds} s`);
        limit.abort(error);
        reject(error);
      }, limitSeconds * 1000);
      signal.addEventListener('abort', () => reject(new HarnessError('the run was aborted')), { once: true });
      try {
        assertDeclared(settings, id, candidate);
        await Promise.race([body(t), exceeded]);
        // `expect.soft` and its like do not throw: they write their failure down and let the body go on.
        const [soft] = task.result?.errors ?? [];
        if (soft === undefined) record('passed');
        else record('failed', soft.message, doubt(soft, stalls()));
      } catch (thrown) {
        const seen = stalls();
        const inDoubt = doubt(thrown, seen);
        const error = await unlessEnvironmentIsGone(
          environmentOf(settings, candidate.name),
          unlessStarved(thrown, seen),
        );
        const outcome = outcomeOf(error);
        record(outcome, describeError(error), inDoubt, error instanceof Violation ? error.findings : []);
        if (outcome === 'not applicable') {
          skip(redact(describeError(error)));
        }
        throw error;
      } finally {
        clearTimeout(timer);
      }
    });
  }
}
