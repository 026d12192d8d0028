import { randomUUID } from 'node:crypto';
import { afterAll, inject, test } from 'vitest';
import { Heartbeat, type Stall } from '../../../fixtures/workloads/lib/heartbeat.ts';
import { groupByCause } from '../../core/causes.ts';
import { describeError, HarnessError, NotApplicable, Violation } from '../../core/errors.ts';
import { processorsSince } from '../../core/load.ts';
import { asHarnessError, isRed, outcomeOf } from '../../core/outcome.ts';
import { redact, redactData } from '../../core/redact.ts';
import { Resolver } from '../../core/resolver.ts';
import { doubtAbout, stallsSince, unlessStarved } from '../../core/starvation.ts';
import { limitSeconds } from '../../core/time-limits.ts';
import type { ApiRecord, Requester } from '../../kubernetes/api-record.ts';
import type { ClusterData } from '../../kubernetes/cluster-data.ts';
import { type ClusterHandle, createClusterHandle } from '../../kubernetes/cluster-handle.ts';
import type { AdditionalIssuerTrust } from '../../oauth/provider.ts';
import { roleDefinition } from '../../roles/index.ts';
import type { Candidate } from '../../rpc/candidate.ts';
import { environmentOf } from '../../rpc/client.ts';
import { createClock } from '../../rpc/clock.ts';
import type { IdentityProviderHandle, PlannedPreconditions, RequirementContext } from '../../rpc/context.ts';
import type { EnvironmentApi, ProviderPlace } from '../../rpc/environment-api.ts';
import { toControlError } from '../../rpc/error.ts';
import { assertClusterDeclared } from '../../rpc/preconditions.ts';
import type {
  EvidenceItem,
  IdentityProviderData,
  PodSecurity,
  RequirementResult,
  WorkerSettings,
} from '../../rpc/protocol.ts';

import type { RequirementBody } from './check.ts';

export type { RequirementContext } from '../../rpc/context.ts';

/** Tells the file that runs here from the others: each has a module graph of its own. */
const OWNER = randomUUID();
let givesBack = false;

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

/** @throws HarnessError for an id that no requirements.yaml has */
function rowOf({ requirements }: WorkerSettings, id: string): WorkerSettings['requirements'][string] {
  const row = requirements[id];
  if (row === undefined) {
    throw new HarnessError(`no requirements.yaml has the requirement ${id}`);
  }
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
  if (needed.length === 0) {
    return;
  }
  const { declared, quoted } = roleDefinition(role).capabilities?.(candidate) ?? { declared: [], quoted: '' };
  const missing = needed.filter((capability) => !declared.includes(capability));
  if (missing.length > 0) {
    throw new NotApplicable(`${quoted}, not ${missing.map((capability) => `\`${capability}\``).join(' and ')}`);
  }
}

/** Whether a requirement shares nothing with others; those of most roles share what was recorded. */
function isAlone(settings: WorkerSettings, id: string): boolean {
  const { isAloneInGivenNamespaces } = roleDefinition(rowOf(settings, id).role);
  return settings.sharesNamespaces === true && isAloneInGivenNamespaces === true;
}

const ownerOf = (settings: WorkerSettings, id: string): string => (isAlone(settings, id) ? `${OWNER} ${id}` : OWNER);

/** The requirement before, of those that come one after the other. */
let before: Promise<unknown> = Promise.resolve();

/** Waits for its turn where a requirement is alone. @returns what ends the turn */
async function inTurn(settings: WorkerSettings, candidate: Candidate, id: string): Promise<() => Promise<void>> {
  if (!isAlone(settings, id)) {
    return async () => undefined;
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  const turn = before;
  before = turn.then(() => promise);
  await turn;
  return async () => {
    try {
      await environmentOf(settings, candidate.name).giveBackNamespaces({ owner: ownerOf(settings, id) });
    } finally {
      resolve();
    }
  };
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

/**
 * What is red on a live cluster that refused something to the harness meanwhile says nothing about the cluster. Where
 * what works is asked for alone, the requirement is not applicable then, and so is one that the harness could not
 * evaluate for that reason.
 */
async function unlessRefused(
  settings: WorkerSettings,
  candidate: Candidate,
  id: string,
  thrown: unknown,
): Promise<unknown> {
  const outcome = outcomeOf(thrown);
  if (settings.ownCluster || !(isRed(outcome) || outcome === 'harness error')) {
    return thrown;
  }
  const { refused } = await environmentOf(settings, candidate.name).refusals({ id });
  const isLack = refused.length > 0 || (thrown instanceof Error && MAY_NOT.test(thrown.message));
  if (settings.whatWorks === true && isLack) {
    return new NotApplicable(`this cluster lacks for the harness: ${refused.join('; ') || describeError(thrown)}`);
  }
  if (refused.length === 0 || outcome === 'harness error') {
    return thrown;
  }
  return new HarnessError(
    `the cluster refused to the harness: ${refused.join('; ')}; meanwhile: ${describeError(thrown)}`,
  );
}

/** How the harness says that the main process was refused something. */
const MAY_NOT = /the harness may not give|was refused to the harness/;

/** What the cluster lacks for a requirement was found out before the first one. */
function assertPossible({ lacking }: WorkerSettings, id: string): void {
  const why = lacking?.[id];
  if (why !== undefined) {
    throw new NotApplicable(why);
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
  const { preconditions, suite } = rowOf(settings, id);
  const environment = environmentOf(settings, candidate.name);
  const progress = (message: string): void => {
    // A lost line of progress changes nothing; a main process that is gone is noticed by the next real question.
    void environment.progress({ id, message: redact(message) }).catch(() => undefined);
  };
  const fixture = <T>(key: string, make: () => Promise<T>): Promise<T> =>
    sharedBy(candidate, isAlone(settings, id) ? `${id} ${key}` : `${suite} ${key}`, make).catch((error: unknown) => {
      throw asHarnessError(`the fixture "${key}" failed`, error);
    });
  const owner = ownerOf(settings, id);
  const namespaceFor = (purpose: string, podSecurity: PodSecurity = 'restricted'): Promise<{ name: string }> =>
    fixture(`namespace ${purpose}`, () =>
      environment.namespace({ purpose, podSecurity, owner, lasts: !isAlone(settings, id) }),
    );
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
  let handle: Promise<ClusterHandle> | undefined;
  const auditRecords = async (requester: Requester): Promise<ApiRecord[] | undefined> =>
    (await environment.auditRecords({ requester })).records;
  return {
    id,
    candidate,
    preconditions,
    planned: plannedPreconditions(settings, candidate),
    signal,
    auditRecords,
    clock: createClock(settings.clock, progress, signal),
    cluster: () => {
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
      assertClusterDeclared({ id, preconditions }, 'two-nodes');
      await fixture(`${atLeast} nodes`, () => environment.nodes({ atLeast }));
    },
    namespace: () => namespaceFor('main'),
    namespaceFor,
    async withNamespace(purpose, podSecurity, act, { enforced = false } = {}) {
      if (settings.sharesNamespaces !== true) {
        return act((await namespaceFor(purpose, podSecurity)).name);
      }
      const holder = `${owner} ${purpose}`;
      const { name } = await environment.namespace({ purpose, podSecurity, owner: holder, enforced });
      try {
        return await act(name);
      } finally {
        await environment.giveBackNamespaces({ owner: holder });
      }
    },
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

/**
 * Vitest's own limit counts the time that a candidate waits for its turn, too: ours counts what the requirement takes.
 */
const WAITING_FACTOR = 20;

/** Longest time of one requirement in seconds, by the clock: beyond it the harness has a fault, not the target. */
const LIMIT_SECONDS = { accelerated: limitSeconds('requirement'), real: limitSeconds('requirementRealClock') };

/** What is not ours may be slow: a client that takes seconds to start, a provider on the other side of the world. */
const TARGET_FACTOR = 5;

/**
 * The test of one requirement of the catalogue: run once for each candidate for which it is planned, all of a file at
 * the same time.
 *
 * What the body throws decides the outcome, see {@link ../../core/outcome.ts}. It must say what it saw by `t.evidence`.
 *
 * @param id the id in requirements.yaml
 */
export function requirement(id: string, body: RequirementBody): void {
  const settings = inject('conformance');
  const candidates = settings.candidates.filter((candidate) => candidate.planned.includes(id));
  if (settings.sharesNamespaces === true && !givesBack) {
    givesBack = true;
    // What a file never gave back is for the next one.
    afterAll(async () => {
      for (const { name } of settings.candidates) {
        await environmentOf(settings, name).giveBackNamespaces({ owner: OWNER });
      }
    });
  }
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
      const { observation } = body;
      await environmentOf(settings, candidate.name).admission({
        id,
        ...(observation === undefined ? {} : { observation: `${rowOf(settings, id).role} ${observation}` }),
      });
      const endTurn = await inTurn(settings, candidate, id);
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
        assertPossible(settings, id);
        await Promise.race([body(t), exceeded]);
        // `expect.soft` and its like do not throw: they write their failure down and let the body go on.
        const [soft] = task.result?.errors ?? [];
        if (soft === undefined) {
          record('passed');
        } else {
          record('failed', soft.message, doubt(soft, stalls()));
        }
      } catch (thrown) {
        const seen = stalls();
        const inDoubt = doubt(thrown, seen);
        const error = await unlessRefused(
          settings,
          candidate,
          id,
          await unlessEnvironmentIsGone(environmentOf(settings, candidate.name), unlessStarved(thrown, seen)),
        );
        const outcome = outcomeOf(error);
        record(outcome, describeError(error), inDoubt, error instanceof Violation ? error.findings : []);
        if (outcome === 'not applicable') {
          skip(redact(describeError(error)));
        }
        throw error;
      } finally {
        clearTimeout(timer);
        await endTurn();
      }
    });
  }
}
