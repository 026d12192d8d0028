/**
 * What a job runner asks of the API server, and what becomes of its work when a right is missing (suite rbac-minimal).
 */

import { HarnessError, NotTestable } from '../../../core/errors.ts';
import type { PolicyRule } from '../../../core/policy-rule.ts';
import { quoting } from '../../../core/quotation.ts';
import { disagreements } from '../../../environment/cluster/audit-log.ts';
import type { ApiRecord } from '../../../kubernetes/api-record.ts';
import { documentedRole, PERMISSIONS, permissionDiff, type UnusedRight } from '../../../kubernetes/permissions.ts';
import {
  describeRight,
  type Right,
  rightsOf,
  roleYaml,
  ruleOf,
  smallestRules,
  spelledResource,
  surplusRights,
  unknownVerbs,
} from '../../../kubernetes/rbac.ts';
import { namesRight } from '../../../kubernetes/refusals.ts';
import { whileNoPodsAreMade } from '../../../probes/quotas.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { Target } from '../../../targets/load.ts';
import type { Readiness } from '../driver.ts';
import { type LaunchedRunner, withJobRunner } from '../launch.ts';
import {
  allOver,
  endsOf,
  FAULT_SECONDS,
  isOver,
  podsOf,
  type RunnerRecord,
  runsOrIsOver,
  SLACK_SECONDS,
  saidBy,
  sigtermSeconds,
  summarise,
  TASK_SECONDS,
} from '../record.ts';
import { jobRunnerTarget } from '../target.ts';
import { limitsTasks } from './tasks.ts';

/** For a pod that cannot even be made no time is documented: so long is waited for what the runner makes of it. */
const NO_POD_SECONDS = 45;
/** An agent that runs until somebody ends it, or not much longer than the session. */
const LONG = { WORKLOAD_LINES: '1', WORKLOAD_SLEEP_SECONDS: '600' };
const NOT_SO_LONG = { WORKLOAD_LINES: '1', WORKLOAD_SLEEP_SECONDS: '20' };
/** More than 256 KiB, from where on runners put a prompt into an object of its own. */
const LONG_PROMPT_BYTES = 300_000;
/** `.invalid` is reserved (RFC 6761): nothing can ever be pulled from there. */
const NO_IMAGE = 'conformance.invalid/none:1';

/** Work in all its ways, and what the runner asked of the API server for it. Plain data. */
export interface RightsRecord extends RunnerRecord {
  /** Of all its processes, in the order of their arrival. */
  requests: ApiRecord[];
  /**
   * When it had not yet reported that it is ready (milliseconds since the epoch): what is refused then, its own
   * preflight may have provoked.
   */
  preflights: { from: number; to: number }[];
}

/**
 * A runner does everything that it declares: tasks that succeed, fail, have long prompts, are kept, resumed, cancelled,
 * run out of time, cannot start; it is ended by SIGTERM with a task under way, and started again. On the harness's own
 * clusters the audit log must say the same of it as the proxy.
 *
 * @param rules instead of the documented ones of its namespace
 * @throws HarnessError where proxy and audit log do not agree: nothing could be evaluated by them
 */
async function exerciseRunner(t: RequirementContext, purpose: string, rules?: PolicyRule[]): Promise<RightsRecord> {
  return withJobRunner(t, { purpose, ...(rules === undefined ? {} : { rules }) }, async (runner) => {
    const { startedAt, readiness } = runner.record();
    const preflights = [{ from: startedAt, to: readyAt(readiness) }];
    if (readiness?.ready === true) {
      await workInAllWays(runner);
      const from = Date.now();
      const again = await restartByKubelet(runner);
      preflights.push({ from, to: readyAt(again) });
      if (again?.ready === true) {
        await finishWhatIsLeft(runner);
      }
    }
    // Both records are of the same requests only when there are no more.
    await runner.started.stop();
    const requests = await runner.access.records();
    await checkAgainstAudit(runner, requests);
    return { ...withoutLongPrompts(runner.record()), requests, preflights };
  });
}

/** Nobody reads a long prompt in a report. */
export function withoutLongPrompts<R extends Pick<RunnerRecord, 'tasks'>>(record: R): R {
  const tasks = record.tasks.map((each) => ({
    ...each,
    task: { ...each.task, prompt: `${each.task.prompt.length} characters` },
  }));
  return { ...record, tasks };
}

/** How long the audit log may take to report an answer that has been given. */
const AUDIT_SECONDS = 10;
const AUDIT_EVERY_SECONDS = 0.5;

async function checkAgainstAudit(runner: LaunchedRunner, requests: ApiRecord[]): Promise<void> {
  const deadline = Date.now() + AUDIT_SECONDS * 1000;
  for (;;) {
    const audit = await runner.access.auditRecords();
    const differences = audit === undefined ? [] : disagreements(requests, audit);
    if (differences.length === 0) {
      return;
    }
    if (Date.now() > deadline) {
      throw new HarnessError(
        `the proxy's record and the audit log do not agree: ${differences.slice(0, 5).join('; ')}`,
      );
    }
    await runner.watchFor(AUDIT_EVERY_SECONDS);
  }
}

function readyAt(readiness: Readiness | undefined): number {
  return readiness?.ready === true ? readiness.at : Number.MAX_SAFE_INTEGER;
}

async function workInAllWays(runner: LaunchedRunner): Promise<void> {
  const { capabilities, documented } = runner.target;
  const short = { WORKLOAD_LINES: '2' };
  await runner.submit('succeeds', { env: short, secretEnv: { CONFORMANCE_SECRET: 'for the agent alone' } });
  await runner.submit('fails', { env: { WORKLOAD_EXIT_CODE: '3' } });
  await runner.submit('no-image', { image: NO_IMAGE });
  // A prompt that does not fit into a pod's specification is delivered by other objects, which need other rights.
  if (runner.target.prompt !== 'none') {
    await runner.submit('long-prompt', { env: short, prompt: 'p'.repeat(LONG_PROMPT_BYTES) });
  }
  if (documented.cleanUp.retain === 'task') {
    await runner.submit('kept', { env: short, retain: true });
  }
  if (limitsTasks(runner.target)) {
    await runner.submit('runs-out', { env: LONG, timeoutSeconds: 5 });
  }
  const canCancel = capabilities.includes('cancel');
  if (canCancel) {
    const task = await runner.submit('cancelled', { env: LONG });
    await runner.until(() => runsOrIsOver(runner, task), TASK_SECONDS);
    await runner.cancel('cancelled');
  }
  const havePods = (): boolean => runner.tasks.every((task) => podsOf(runner, task).length > 0 || isOver(runner, task));
  await runner.until(havePods, TASK_SECONDS);
  await whileNoPodsAreMade(runner.cluster, runner.namespace, async () => {
    // Whoever looks for the cause needs rights that no other task does.
    await runner.submit('no-pod', { env: short });
    const longest = documented.faultSeconds['image-pull'] ?? FAULT_SECONDS;
    await runner.until(() => allOver(runner), Math.max(longest, NO_POD_SECONDS) + SLACK_SECONDS);
  });
  await runner.until(() => allOver(runner), TASK_SECONDS);
  await resumeSession(runner);
  const left = await runner.submit('left', { env: canCancel ? LONG : NOT_SO_LONG });
  await runner.until(() => runsOrIsOver(runner, left), TASK_SECONDS);
}

/** A second task in the session of the first, where one was reported (capability `session`). */
async function resumeSession(runner: LaunchedRunner): Promise<void> {
  const first = runner.tasks.find(({ label }) => label === 'succeeds');
  const session = first === undefined ? undefined : endsOf(runner, first)[0]?.session;
  if (first !== undefined && session !== undefined) {
    await runner.submit('resumes', { agent: first.task.agent, session, env: { WORKLOAD_LINES: '2' } });
    await runner.until(() => allOver(runner), TASK_SECONDS);
  }
}

/** As a Deployment's pod is replaced: SIGTERM, its documented time, and the next one. */
async function restartByKubelet(runner: LaunchedRunner): Promise<Readiness | undefined> {
  runner.started.signal('SIGTERM');
  await runner.until(() => runner.record().exit !== undefined, sigtermSeconds(runner.target) + SLACK_SECONDS);
  return runner.restart();
}

async function finishWhatIsLeft(runner: LaunchedRunner): Promise<void> {
  const { capabilities, documented } = runner.target;
  if (documented.onSigterm.jobs === 'delete' || !documented.reattaches) {
    return;
  }
  if (capabilities.includes('cancel')) {
    await runner.cancel('left');
  }
  await runner.until(() => allOver(runner), TASK_SECONDS);
}

/**
 * The documented exercise, from which most requirements of the suite are evaluated; a tally of its requests is the
 * evidence.
 */
export async function observeRights(t: RequirementContext): Promise<RightsRecord> {
  const record = await t.sharedByAllFiles('job runner: rights', () => exerciseRunner(t, 'rights'));
  t.evidence('requests to the API server', tally(record.requests));
  return record;
}

/** The same under what is documented and nothing else. */
export async function observeDocumentedRights(t: RequirementContext): Promise<RightsRecord> {
  t.evidence('the documented Role', documentedRole(jobRunnerTarget(t)));
  const { namespaced, undocumented } = jobRunnerTarget(t).rules;
  return undocumented.length === 0 ? observeRights(t) : exerciseRunner(t, 'documented', namespaced);
}

/** The same, with what the target file declares of sensitive rights as evidence. */
export async function observeSensitiveRights(t: RequirementContext): Promise<RightsRecord> {
  const record = await observeRights(t);
  t.evidence('declared', record.target.rules.declared);
  return record;
}

/** What the target file documents. */
export interface RulesRecord {
  target: Target<'job-runner'>;
  stalls: [];
}

export async function observeRules(t: RequirementContext): Promise<RulesRecord> {
  const target = jobRunnerTarget(t);
  t.evidence('documented rules', target.rules);
  return { target, stalls: [] };
}

/** How often each kind of request was made, and how it was answered: `list pods → 200`. */
function tally(requests: ApiRecord[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const request of requests) {
    const what = request.resource === undefined ? request.path : spelledResource(request);
    const key = `${request.verb} ${what} → ${request.code}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

/** @throws NotTestable where the runner does not accept work */
export async function observeWorkingRights(t: RequirementContext): Promise<RightsRecord> {
  const record = await observeRights(t);
  if (record.readiness?.ready !== true) {
    const { readiness } = record;
    throw new NotTestable(
      readiness === undefined
        ? 'the job runner does not accept work: it reported nothing'
        : quoting('the job runner does not accept work', readiness.reason),
    );
  }
  return record;
}

/** The exercise under the documented rules, and again under the smallest Role that allows what was asked for. */
export interface SmallestRoleRecord extends RightsRecord {
  /** Documented rights that the exercise did not use, and that are no surplus. */
  unused: UnusedRight[];
  /** Absent where the smallest Role gives the documented rights: the first exercise is its own proof. */
  underSmallest?: RightsRecord;
}

/** Why a right that was not used is not surplus either. */
const ASKED_BY_PREFLIGHT = 'without it the runner does not start, and says so';

export async function observeSmallestRole(t: RequirementContext): Promise<SmallestRoleRecord> {
  const target = jobRunnerTarget(t);
  const { rules } = target;
  const record = await observeWorkingRights(t);
  const documented = [...rules.namespaced, ...rules.cluster];
  const notExercised = unusedRights(rules, record.requests).flatMap((right) => {
    const rule = rules.unexercised.find((each) => ruleAllowsRight(each, right));
    return rule === undefined ? [] : [{ right, why: rule.why }];
  });
  let unused: UnusedRight[] = notExercised;
  let smallest = smallestRules(record.requests, documented);
  let underSmallest: RightsRecord | undefined;
  if (!sameRights(smallest, documented)) {
    underSmallest = await exerciseRunner(t, 'smallest', [...smallest, ...rules.undocumented]);
    const asked = askedBeforeStart(rules, record, underSmallest);
    if (asked.length > 0) {
      unused = [...notExercised, ...asked.map((right) => ({ right, why: ASKED_BY_PREFLIGHT }))];
      smallest = [...smallest, ...asked.map(ruleOf)];
      underSmallest = await exerciseRunner(t, 'smallest-that-starts', [...smallest, ...rules.undocumented]);
    }
    t.evidence('the exercise under the smallest Role', {
      role: roleYaml(target.name, '<namespace>', smallest),
      requests: tally(underSmallest.requests),
      runner: summarise(underSmallest),
    });
  }
  t.evidence(PERMISSIONS, permissionDiff(target, record.requests, unused));
  return { ...record, unused, ...(underSmallest === undefined ? {} : { underSmallest }) };
}

/** Documented rights that nothing needed; verbs that do not exist are RB-23's. */
export function unusedRights(rules: Target<'job-runner'>['rules'], requests: ApiRecord[]): Right[] {
  const documented = [...rules.namespaced, ...rules.cluster];
  const unknown = new Set(unknownVerbs(documented).map(describeRight));
  return surplusRights(documented, requests).filter((right) => !unknown.has(describeRight(right)));
}

/** True where a rule gives a right. */
function ruleAllowsRight(rule: PolicyRule, right: Right): boolean {
  return rightsOf([rule]).some((given) => describeRight(given) === describeRight(right));
}

/**
 * Unused rights that a runner names when it does not start without them: its own preflight asks for more than its work
 * does.
 */
export function askedBeforeStart(
  rules: Target<'job-runner'>['rules'],
  first: Pick<RightsRecord, 'requests'>,
  second: Pick<RightsRecord, 'readiness' | 'events'>,
): Right[] {
  if (second.readiness?.ready === true) {
    return [];
  }
  const said = saidBy(second);
  return unusedRights(rules, first.requests).filter((right) => namesRight(right, said));
}

/** True where two lists of rules give the same rights. */
export function sameRights(one: PolicyRule[], other: PolicyRule[]): boolean {
  const described = (rules: PolicyRule[]): string => rightsOf(rules).map(describeRight).sort().join();
  return described(one) === described(other);
}
