import { expect, inject, type TestContext, test } from 'vitest';
import { Heartbeat, type Stall } from '../../../fixtures/workloads/lib/heartbeat.ts';
import { groupByCause } from '../../core/causes.ts';
import { describeError, HarnessError, Violation } from '../../core/errors.ts';
import { processorsSince, QueueLength } from '../../core/load.ts';
import { type Outcome, outcomeOf } from '../../core/outcome.ts';
import { redact, redactData } from '../../core/redact.ts';
import { doubtAbout, stallsSince, unlessOverloaded, unlessStarved } from '../../core/starvation.ts';
import { limitSeconds } from '../../core/time-limits.ts';
import type { Candidate } from '../../rpc/candidate.ts';
import { environmentOf } from '../../rpc/client.ts';
import type { EvidenceItem, WorkerSettings } from '../../rpc/protocol.ts';
import type { RequirementBody } from './check.ts';
import { type ContextParts, createContext } from './context.ts';
import { unlessEnvironmentIsGone, unlessRefused } from './excuses.ts';
import { assertDeclared, assertObserved, assertPossible, rowOf } from './rows.ts';
import { giveBackInTheEnd, inTurn } from './turns.ts';

export type { RequirementContext } from '../../rpc/context.ts';

/**
 * A soft failure is written down for the one test that runs, and the body goes on. Here many run at the same time, and
 * it would be lost: the requirement would pass.
 */
Object.assign(expect, {
  soft(): never {
    throw new HarnessError('`expect.soft` loses its failures where requirements run at the same time: use `expect`');
  },
});

/** Of this worker: it runs beside the clusters of the harness's own, on the same machine. */
const heartbeat = new Heartbeat('the harness').start();
const queue = new QueueLength();

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
  giveBackInTheEnd(settings);
  if (candidates.length === 0) {
    // Vitest takes a file without any test for a fault; what was not planned is not reported.
    test.skip(`${id} (not planned)`);
  }
  for (const candidate of candidates) {
    const seconds = limitOf(settings, candidate);
    const title = settings.candidates.length === 1 ? id : `${id} [${candidate.name}]`;
    test.concurrent(title, { timeout: WAITING_FACTOR * seconds * 1000 }, async (vitest) => {
      const { role, observation } = rowOf(settings, id);
      await environmentOf(settings, candidate.name).admission({
        id,
        ...(observation === undefined ? {} : { observation: `${role} ${observation}` }),
      });
      const endTurn = await inTurn(settings, candidate, id);
      try {
        await evaluate(vitest, body, { settings, candidate, id }, seconds);
      } finally {
        await endTurn();
      }
    });
  }
}

/** A file that waits for a namespace which another has is not done before that one. */
const TURNS_FACTOR = 4;

/** How long a requirement may take, in seconds. */
function limitOf({ clock, sharesNamespaces }: WorkerSettings, candidate: Candidate): number {
  const isOurs = candidate.kind === 'references' || (candidate.kind === 'twin' && candidate.targets === undefined);
  const turns = sharesNamespaces === true ? TURNS_FACTOR : 1;
  return LIMIT_SECONDS[clock.kind] * turns * (isOurs ? 1 : TARGET_FACTOR);
}

type Asked = Pick<ContextParts, 'settings' | 'candidate' | 'id'>;

/** Runs the body, and writes down the outcome with what was seen. @throws what decided an outcome but `passed` */
async function evaluate(
  { task, skip, signal }: TestContext,
  body: RequirementBody,
  asked: Asked,
  seconds: number,
): Promise<void> {
  const { settings, candidate, id } = asked;
  const startedAt = new Date();
  const busy = processorsSince();
  const queued = queue.since();
  // A cluster that is not ours is on another machine.
  const { ownCluster } = settings;
  const stalls = (): Stall[] => (ownCluster ? stallsSince(heartbeat.stalls(), startedAt.getTime()) : []);
  const evidence: EvidenceItem[] = [];
  const record = (outcome: Outcome, reason?: string, inDoubt?: string, findings: readonly string[] = []): void => {
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
  using limit = limitTo(seconds, id, signal);
  try {
    assertObserved(settings, id, body);
    assertDeclared(settings, id, candidate);
    assertPossible(settings, id);
    const t = createContext({ ...asked, signal: AbortSignal.any([signal, limit.signal]), evidence });
    await Promise.race([body(t), limit.exceeded]);
    record('passed');
  } catch (thrown) {
    const seen = stalls();
    const late = doubtAbout(thrown, seen, busy());
    const inDoubt = ownCluster ? late : undefined;
    const environment = environmentOf(settings, candidate.name);
    const excused = unlessStarved(thrown, seen);
    // Beside a cluster of its own a whole run loads the machine so by itself.
    const isLoadOfOthers = settings.isRerun === true || !ownCluster;
    const unlessQueued = isLoadOfOthers ? unlessOverloaded(excused, late, queued()) : excused;
    const unlessGone = await unlessEnvironmentIsGone(environment, unlessQueued);
    const error = await unlessRefused(settings, candidate, id, unlessGone);
    const outcome = outcomeOf(error);
    record(outcome, describeError(error), inDoubt, error instanceof Violation ? error.findings : []);
    if (outcome === 'not applicable') {
      skip(redact(describeError(error)));
    }
    throw error;
  }
}

interface Limit extends Disposable {
  /** Aborted when the time is over. */
  signal: AbortSignal;
  /** Rejects when the time is over, or the run was aborted. */
  exceeded: Promise<never>;
}

function limitTo(seconds: number, id: string, aborted: AbortSignal): Limit {
  const limit = new AbortController();
  const { promise: exceeded, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const error = new HarnessError(`${id} was not done after ${seconds} s`);
    limit.abort(error);
    reject(error);
  }, seconds * 1000);
  // Nobody waits for it where the body was never begun.
  exceeded.catch(() => undefined);
  aborted.addEventListener('abort', () => reject(new HarnessError('the run was aborted')), { once: true });
  return { signal: limit.signal, exceeded, [Symbol.dispose]: () => clearTimeout(timer) };
}
