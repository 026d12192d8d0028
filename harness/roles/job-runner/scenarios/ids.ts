/** Ids of every kind, and more tasks than a limit allows (JL-23, JL-33). */

import { randomBytes, randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { mayMakeQuotas, podQuota, quotaInForce, removeQuota } from '../../../probes/quotas.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { RunnerSettings } from '../driver.ts';
import { withReadyJobRunner } from '../launch.ts';
import { allOver, isOver, jobsOf, type RunnerRecord, type RunnersRecord, summarise, TASK_SECONDS } from '../record.ts';
import { jobRunnerTarget } from '../target.ts';
import { withEvidence } from './tasks.ts';

export interface IdsRecord extends RunnerRecord {
  seed: number;
}

/** Ids that have broken runners: lengths, cases, cuts, and what no object's name may hold. */
const HARD_IDS = [
  'Task-A',
  'task-a',
  'task a',
  'task_a',
  'task.a',
  '-leading dash',
  'trailing dash-',
  '..',
  'ÄÖÜ-ß',
  'äöü-ß',
  '任务一',
  '任务二',
  '🤖',
  'a/b/c',
  `${'long-'.repeat(39)}ends1`,
  `${'long-'.repeat(39)}ends2`,
  `${'x'.repeat(62)}1`,
  `${'x'.repeat(62)}2`,
];
const RANDOM_IDS = 12;

/**
 * What of two ids a runner may take for the same: case, an end that is cut off, a character that a name may not hold.
 */
const NEAR_MISSES: ((id: string) => string)[] = [
  (id) => id.toUpperCase(),
  (id) => id.toLowerCase(),
  (id) => `${id}-`,
  (id) => ` ${id}`,
  (id) => id.replaceAll(/[^a-zA-Z0-9]/gu, '_'),
  (id) => `${[...id].slice(0, -1).join('')}~`,
];

const anyId = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 200 }).filter((id) => id.trim() !== '');

/** Two ids that differ in no more than one way. */
const nearMiss = fc
  .tuple(anyId, fc.constantFrom(...NEAR_MISSES))
  .map(([id, change]) => [id, change(id)] as const)
  .filter(([one, other]) => one !== other && other.trim() !== '');

/**
 * Tasks with ids of every kind, all at once. No pod of theirs is admitted (a quota that comes after the runner's
 * start): what counts is which Jobs there are. Random ids come from fast-check, by the seed that is kept.
 */
export async function observeIds(t: RequirementContext): Promise<IdsRecord> {
  const record = await t.shared('job runner: ids', () =>
    withReadyJobRunner(t, { purpose: 'ids' }, async (runner) => {
      const seed = randomBytes(4).readInt32BE();
      const random = fc.sample(nearMiss, { seed, numRuns: RANDOM_IDS / 2 }).flat();
      const ids = [...new Set([...HARD_IDS, ...random])];
      if (!(await mayMakeQuotas(runner.cluster, runner.namespace))) {
        t.notApplicable(
          `the harness may not create resourcequotas in ${runner.namespace}: hundreds of tasks would get pods`,
        );
      }
      const quota = podQuota('no-pods');
      await runner.cluster.create([{ ...quota, metadata: { ...quota.metadata, namespace: runner.namespace } }]);
      await quotaInForce(runner.cluster, runner.namespace, quota);
      for (const [index, id] of ids.entries()) {
        await runner.submit(`id-${index}`, { id, agent: id });
      }
      const areKnown = (): boolean =>
        runner.tasks.every((task) => jobsOf(runner, task).length > 0 || isOver(runner, task));
      await runner.until(areKnown, TASK_SECONDS);
      const record = { ...runner.record(), seed };
      await runner.started.stop();
      await runner.cluster.request(`/apis/batch/v1/namespaces/${runner.namespace}/jobs?propagationPolicy=Background`, {
        method: 'DELETE',
      });
      await removeQuota(runner.cluster, runner.namespace, quota);
      return record;
    }),
  );
  t.evidence('seed of fast-check', record.seed);
  t.evidence('runners', [summarise(record)]);
  return record;
}

export interface LimitRecord extends RunnerRecord {
  per: 'worker' | 'agent';
  count: number;
  surplus: 'refused' | 'queued';
  /** Of fast-check. */
  seed: number;
}

const RANDOM_AGENTS = 2;

const WORKER_LIMIT = 2;
/** Spellings of which a runner may make another one for a label, and then not find it. */
const SPELLINGS = ['Agent-Upper', 'agent with spaces', `${'agent-'.repeat(20)}ü`];

/** Long enough that what is too much would begin meanwhile, also on a machine that is slow. */
const LIMITED_SECONDS = '10';

/** {@link shareLimits}, with how each task went as evidence. */
export async function observeLimits(t: RequirementContext): Promise<RunnersRecord<LimitRecord>> {
  const target = jobRunnerTarget(t);
  if (target.documented.limits.length === 0) {
    t.notApplicable('the target file documents no limit (`documented.limits`)');
  }
  const records = await shareLimits(t);
  const seeds = records.map(({ seed }) => seed);
  t.evidence('seeds of fast-check', seeds);
  return withEvidence(t, target, records);
}

/**
 * More tasks than a limit allows, submitted at once; for a limit of one an agent also by agents whose ids are no valid
 * labels.
 */
function shareLimits(t: RequirementContext): Promise<LimitRecord[]> {
  return t.shared('job runner: limits', () =>
    Promise.all(
      jobRunnerTarget(t).documented.limits.map(({ per, count: declared, surplus, settings: extra }) => {
        const count = declared === 'settings' ? (per === 'worker' ? WORKER_LIMIT : 1) : declared;
        const settings: Partial<RunnerSettings> = {
          ...(per === 'worker' && declared === 'settings' ? { maxConcurrentTasks: count } : {}),
          ...(extra === undefined ? {} : { extra }),
        };
        return withReadyJobRunner(t, { purpose: `limit-${per}`, settings }, async (runner) => {
          const seed = randomBytes(4).readInt32BE();
          const random = fc.sample(anyId, { seed, numRuns: RANDOM_AGENTS });
          const agents =
            per === 'worker'
              ? Array.from({ length: 2 * count + 1 }, () => randomUUID())
              : [...new Set([randomUUID(), ...SPELLINGS, ...random])];
          const each = per === 'worker' ? 1 : count + 1;
          const submitted = agents.flatMap((agent, n) =>
            Array.from({ length: each }, (_, again) =>
              runner.submit(`limited-${n}-${again}`, { agent, env: { WORKLOAD_SLEEP_SECONDS: LIMITED_SECONDS } }),
            ),
          );
          await Promise.all(submitted);
          await runner.until(() => allOver(runner), 2 * TASK_SECONDS);
          return { ...runner.record(), per, count, surplus, seed };
        });
      }),
    ),
  );
}
