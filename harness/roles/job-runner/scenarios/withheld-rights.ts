import type { PolicyRule } from '../../../core/policy-rule.ts';
import type { ApiRecord } from '../../../kubernetes/api-record.ts';
import {
  describeRight,
  isSelfReview,
  type Right,
  rightsOf,
  ruleAllows,
  ruleOf,
  rulesWithout,
} from '../../../kubernetes/rbac.ts';
import { namesRight, tellsOfRefusal } from '../../../kubernetes/refusals.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { Target } from '../../../targets/load.ts';
import type { Readiness, RunnerEvent } from '../driver.ts';
import { type LaunchedRunner, withJobRunner, withReadyJobRunner } from '../launch.ts';
import {
  endsOf,
  isOver,
  LAST_OUTPUT_SECONDS,
  type RunnersRecord,
  refusalOf,
  type SubmittedTask,
  together,
} from '../record.ts';
import { jobRunnerTarget } from '../target.ts';
import { observeWorkingRights } from './permissions.ts';

/** A start with one right less. */
export interface StartWithout {
  right: Right;
  /** Absent: it reported nothing in time. */
  readiness?: Readiness;
  /** All that it reported. */
  said: string;
}

/** How many runners are started at once. */
const STARTS_AT_ONCE = 3;

/** The runner's starts without each of the rights that it uses. */
export interface StartsRecord extends RunnersRecord {
  starts: StartWithout[];
}

export async function observeStarts(t: RequirementContext): Promise<StartsRecord> {
  const target = jobRunnerTarget(t);
  const record = await observeWorkingRights(t);
  const starts = await startWithoutEach(
    t,
    usedRights(target, record.requests).filter((right) => !isSelfReview(right)),
  );
  t.evidence(
    'starts with one right less',
    starts.map(({ right, readiness, said }) => ({
      without: describeRight(right),
      ready: readiness?.ready ?? 'reported nothing',
      said: said.slice(-300),
    })),
  );
  return { ...together(target, [record]), starts };
}

/** Starts the runner once for each right, without it. */
function startWithoutEach(t: RequirementContext, rights: Right[]): Promise<StartWithout[]> {
  const { namespaced, undocumented } = jobRunnerTarget(t).rules;
  const rules = [...namespaced, ...undocumented];
  return sideBySide(rights, STARTS_AT_ONCE, (right, index) =>
    withJobRunner(t, { purpose: `without ${index}`, rules: rulesWithout(rules, right) }, async (runner) => {
      const { readiness } = runner.record();
      const said = (): string =>
        [
          ...runner.events.flatMap((event) => (event.type === 'log' ? [event.text] : [])),
          ...(readiness?.ready === false ? [readiness.reason] : (readiness?.warnings ?? [])),
        ].join('\n');
      // A line that it wrote before it was ready may come later than its report, which takes another way.
      await runner.until(() => namesRight(right, said()), LAST_OUTPUT_SECONDS);
      return { right, ...(readiness === undefined ? {} : { readiness }), said: said() };
    }),
  );
}

/** Does the same with each item, so many at once, and resolves to what came of them, in their order. */
export async function sideBySide<T, R>(
  items: readonly T[],
  atOnce: number,
  act: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const waiting = [...items.entries()];
  const done: R[] = [];
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, item] = next;
      done[index] = await act(item, index);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return done;
}

/** The rights, documented or not, that some requests used. */
export function usedRights({ rules }: Target<'job-runner'>, requests: ApiRecord[]): Right[] {
  const allowed = requests.filter(({ code }) => code !== 0 && code !== 401 && code !== 403);
  return rightsOf([...rules.namespaced, ...rules.undocumented]).filter((right) =>
    allowed.some((action) => ruleAllows(ruleOf(right), action)),
  );
}

/** A task under way while some rights are taken away. */
export interface WorkWithout {
  /** In words. */
  without: string;
  task: SubmittedTask;
  /** When the API server first refused one of them. Absent: it was not asked. */
  refusedAt?: number;
  /** What was refused, and in which words. */
  refusals: string[];
  /** All that the runner reported from then on, ends and refusals too. */
  said: string[];
  outcome?: string;
}

/** How long a task may go on without the right; a runner that watches asks again within a poll of 30 s. */
const WITHOUT_SECONDS = 40;
/** After a task's end what is done for it is done. */
const AFTER_END_SECONDS = 4;
/** Every watch that the runner has is asked for again. */
const ALL_WATCHES = 100;

/** Seconds after a refusal in which the runner may still report it. */
const REPORT_SECONDS = 20;

/** What the runner reported in words: its own output, and why a task ended or was not taken. */
function textsOf(event: RunnerEvent): string[] {
  if (event.type === 'log') {
    return [event.text];
  }
  return (event.type === 'ended' || event.type === 'refused') && event.reason !== undefined ? [event.reason] : [];
}

/** The runner's work without each group of the rights that it uses. */
export interface RefusalsRecord extends RunnersRecord {
  work: WorkWithout[];
}

export async function observeRefusedCalls(t: RequirementContext): Promise<RefusalsRecord> {
  const target = jobRunnerTarget(t);
  const record = await observeWorkingRights(t);
  const work = await workWithoutEach(t, groupsOf(usedRights(target, record.requests)));
  t.evidence(
    'calls with each right revoked',
    work.map(({ without, refusals, outcome, said }) => ({ without, refusals, outcome, said: said.slice(0, 5) })),
  );
  return { ...together(target, [record]), work };
}

/** The verbs by which a resource is read. */
const READS = new Set(['get', 'list', 'watch']);

/**
 * The rights that are taken away together: a resource's reading as one, since a runner that may list learns by that
 * what it may not watch. What is watched comes first: a runner that lost sight of things takes longest.
 */
export function groupsOf(used: Right[]): Right[][] {
  // Events are asked for when a pod does not come up, which none of these tasks has.
  const rights = used.filter((right) => !isSelfReview(right) && right.resource !== 'events');
  const reading = [...new Set(rights.map(({ resource }) => resource))].map((resource) =>
    rights.filter((right) => right.resource === resource && READS.has(right.verb)),
  );
  const writing = rights.filter(({ verb }) => !READS.has(verb)).map((right) => [right]);
  const isWatched = (group: Right[]): number => Number(group.some(({ verb }) => verb !== 'get' && READS.has(verb)));
  return [...writing, ...reading]
    .filter((group) => group.length > 0)
    .toSorted((one, other) => isWatched(other) - isWatched(one));
}

/** How many runners work at once, each without some rights. */
const WORK_AT_ONCE = 4;

/** Takes each group of rights away from a runner of its own that works, and gives it a task. */
function workWithoutEach(t: RequirementContext, groups: Right[][]): Promise<WorkWithout[]> {
  return sideBySide(groups, WORK_AT_ONCE, (group, index) =>
    withReadyJobRunner(t, { purpose: `refusals ${index}` }, (runner) => workWithout(runner, group)),
  );
}

async function workWithout(runner: LaunchedRunner, group: Right[]): Promise<WorkWithout> {
  const { namespaced, undocumented } = runner.target.rules;
  const rules = group.reduce<PolicyRule[]>(
    (less, right) => rulesWithout(less, right),
    [...namespaced, ...undocumented],
  );
  const from = Date.now();
  const events = runner.events.length;
  await runner.access.setRules(rules);
  // Rights are asked for when a watch begins, and never again.
  await runner.access.setFaults([{ kind: 'cut-watch', times: ALL_WATCHES, forSeconds: 1, clean: true, seconds: 0 }]);
  const env = { WORKLOAD_LINES: '2' };
  const task = await runner.submit('without', { env });
  // What is kept needs other rights than what is removed.
  const kept = keepsTasks(runner) ? [await runner.submit('without-kept', { env, retain: true })] : [];
  const tasks = [task, ...kept];
  await runner.until(() => tasks.every((each) => isOver(runner, each)), WITHOUT_SECONDS);
  await runner.watchFor(AFTER_END_SECONDS);
  const refusals = (await runner.access.records()).filter(
    ({ at, code, ...action }) =>
      code === 403 && Date.parse(at) >= from && group.some((right) => ruleAllows(ruleOf(right), action)),
  );
  const said = (): string[] => runner.events.slice(events).flatMap(textsOf);
  if (refusals.length > 0) {
    await runner.until(() => said().some(tellsOfRefusal), REPORT_SECONDS);
  }
  const [first] = refusals;
  const refusedAt = first === undefined ? undefined : Date.parse(first.at);
  return {
    without: group.map(describeRight).join(', '),
    task,
    ...(refusedAt === undefined ? {} : { refusedAt }),
    refusals: [...new Set(refusals.map(({ message }) => message ?? 'Forbidden'))],
    said: said(),
    ...outcomeOf(runner, task),
  };
}

function keepsTasks({ target }: LaunchedRunner): boolean {
  return target.documented.cleanUp.retain === 'task';
}

function outcomeOf(runner: LaunchedRunner, task: SubmittedTask): { outcome?: string } {
  const [end] = endsOf(runner, task);
  const refusal = refusalOf(runner, task);
  if (end !== undefined) {
    return { outcome: end.outcome };
  }
  return refusal === undefined ? {} : { outcome: 'refused' };
}
