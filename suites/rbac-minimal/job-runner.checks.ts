/** What the requirements of job runners in this suite ask of a record. No check is content with having seen nothing. */

import { NotTestable } from '../../harness/core/errors.ts';
import { type Finding, missing, missingIf, presupposing } from '../../harness/core/findings.ts';
import type { SensitiveRight } from '../../harness/core/policy-rule.ts';
import { lastErrorLines, quoting } from '../../harness/core/quotation.ts';
import { type ApiRecord, describeRecord } from '../../harness/kubernetes/api-record.ts';
import {
  describeRight,
  isSelfReview,
  ruleAllows,
  sensitiveRights,
  sensitivitiesOf,
  unknownVerbs,
} from '../../harness/kubernetes/rbac.ts';
import { namesRight, REFUSED, tellsOfRefusal } from '../../harness/kubernetes/refusals.ts';
import {
  aboutOutcome,
  assumes,
  isOver,
  podsOf,
  type RunnerRecord,
  type SubmittedTask,
  specOf,
  taskNamed,
} from '../../harness/roles/job-runner/record.ts';
import {
  type RightsRecord,
  type RulesRecord,
  type SmallestRoleRecord,
  unusedRights,
} from '../../harness/roles/job-runner/scenarios/permissions.ts';
import type { RefusalsRecord, StartsRecord } from '../../harness/roles/job-runner/scenarios/withheld-rights.ts';
import type { Target } from '../../harness/targets/load.ts';

/** What is known of the requests of any role: the documented rules, and where its namespace is. */
export interface Asked {
  target: { rules: Pick<Target<'job-runner'>['rules'], 'namespaced' | 'cluster' | 'declared'> };
  requests: ApiRecord[];
  namespace: string;
}

/** The requests that the API server refused (401, 403) when the runner had said that it is ready. */
export function refusedAtWork({ requests, preflights }: Pick<RightsRecord, 'requests' | 'preflights'>): ApiRecord[] {
  return requests.filter(
    ({ at, code }) =>
      (code === 401 || code === 403) &&
      !preflights.some(({ from, to }) => from <= Date.parse(at) && Date.parse(at) < to),
  );
}

/** `list events in a` for each kind of request, its name left out. */
function kindOf({ name: _, ...request }: ApiRecord): string {
  return describeRecord(request);
}

/** RB-20: it does its work, and nothing that it asks for is refused. */
export function worksUnderItsRules(record: RightsRecord): Finding[] {
  if (record.readiness?.ready !== true) {
    const words = record.readiness === undefined ? 'it reported nothing' : record.readiness.reason;
    const refused = record.requests.filter(({ code }) => code === 403).map(kindOf);
    const what = refused.length === 0 ? '' : `; refused by the API server: ${[...new Set(refused)].join(', ')}`;
    return [
      missingIf(
        record.readiness === undefined,
        quoting(`with exactly the documented Role bound, the runner refused to start${what}`, words),
      ),
    ];
  }
  const task = record.tasks.find(({ label }) => label === 'succeeds');
  const succeeded = record.events.some(
    (event) => event.type === 'ended' && event.task === task?.task.id && event.outcome === 'succeeded',
  );
  const refusals = new Map(refusedAtWork(record).map((request) => [kindOf(request), request]));
  return [
    ...(succeeded ? [] : [aboutTask(record, task, 'under its documented rules no task was reported as succeeded')]),
    ...[...refusals].map(([kind, { code, message }]) => `refused ${kind} (${code}): ${message ?? 'no reason given'}`),
  ];
}

function aboutTask(record: RunnerRecord, task: SubmittedTask | undefined, text: string): Finding {
  return task === undefined ? missing(text) : aboutOutcome(record, task, text);
}

/** RB-21: no documented right is surplus: never used by an exercise that does all that is declared. */
export function documentsOnlyWhatItUses({ unused, ...record }: SmallestRoleRecord): Finding[] {
  const { target, requests } = record;
  const excused = new Set(unused.map(({ right }) => describeRight(right)));
  const task = taskNamed(record, 'succeeds');
  // It had no use for a right in what it did not come to.
  return presupposing(
    task !== undefined && isOver(record, task),
    neverUsed(
      unusedRights(target.rules, requests)
        .map(describeRight)
        .filter((right) => !excused.has(right)),
    ),
  );
}

/** Rights that are documented and never used are one finding, with the list of them. */
export function neverUsed(rights: readonly string[]): Finding[] {
  return rights.length === 0 ? [] : [`documented but never used: ${rights.join(', ')}`];
}

/** RB-21: under the smallest Role the second exercise could do what the first could. */
export function worksUnderTheSmallestRole({ underSmallest: second, ...first }: SmallestRoleRecord): Finding[] {
  if (second === undefined || first.readiness?.ready !== true) {
    return [];
  }
  if (second.readiness?.ready !== true) {
    const words = second.readiness === undefined ? 'it reported nothing' : second.readiness.reason;
    return [
      missingIf(
        second.readiness === undefined,
        quoting('with the smallest Role bound, the runner refused to start', words),
      ),
    ];
  }
  const known = new Set(
    refusedAtWork(first)
      .map(kindOf)
      .map((kind) => neutral(kind, first)),
  );
  const refused = refusedAtWork(second)
    .map(kindOf)
    .map((kind) => neutral(kind, second));
  const lost = [...new Set(refused.filter((kind) => !known.has(kind)))];
  return lost.map((kind) => `under the smallest Role, refused ${kind}`);
}

function neutral(kind: string, { namespace }: RightsRecord): string {
  return kind.replaceAll(namespace, 'its namespace');
}

/** RB-22: rights that reach further, documented or asked for, are declared. */
export function declaresSensitiveRights({ target: { rules }, requests }: Omit<Asked, 'namespace'>): Finding[] {
  const declared = new Set(Object.keys(rules.declared));
  const documented = [...sensitiveRights(rules.namespaced), ...sensitiveRights(rules.cluster, true)]
    .filter(({ kind }) => !declared.has(kind))
    .map(({ kind, right }) => `documented but not declared as \`${kind}\`: ${right}, which is ${CALLED[kind]}`);
  const asked = requests.flatMap((request) =>
    sensitivitiesOf(request)
      .filter((kind) => !declared.has(kind))
      .map((kind) => `requested but not declared as \`${kind}\`: ${kindOf(request)}, which is ${CALLED[kind]}`),
  );
  return ofItsWork(requests, [...new Set([...documented, ...asked])]);
}

/**
 * Findings about the requests of a candidate. Having found nothing says nothing of one that did no work: one that does
 * not start asks for its own rights at the most.
 *
 * @throws NotTestable where there are no findings and no request of its work
 */
function ofItsWork(requests: ApiRecord[], findings: Finding[]): Finding[] {
  if (findings.length === 0 && requests.every((request) => request.resource === undefined || isSelfReview(request))) {
    throw new NotTestable('it asked the API server for nothing but its own rights: it did none of its work');
  }
  return findings;
}

const CALLED: Record<SensitiveRight, string> = {
  wildcard: 'a wildcard',
  'cluster-wide': 'a right in the whole cluster',
  secrets: 'a right to read secrets',
  escalation: 'a right to gain rights',
  'token-minting': 'a right to mint tokens of ServiceAccounts',
};

/** RB-23: every verb exists. */
export function documentsKnownVerbs({ target: { rules } }: RulesRecord | Pick<Asked, 'target'>): Finding[] {
  const byVerb = Map.groupBy(unknownVerbs([...rules.namespaced, ...rules.cluster]), ({ verb }) => verb);
  return [...byVerb].map(([verb, rights]) => {
    const named = rights.map(describeRight).join(', ');
    return `Kubernetes has no verb \`${verb}\` for these, so the rules grant nothing: ${named}`;
  });
}

/**
 * RB-26: nothing is asked for outside its namespace, whatever the answer, but for what a documented ClusterRole allows.
 */
export function staysInItsNamespace({ target: { rules }, requests, namespace }: Asked): Finding[] {
  const outside = requests.filter(
    (request) =>
      request.resource !== undefined &&
      request.namespace !== namespace &&
      !isSelfReview(request) &&
      !rules.cluster.some((rule) => ruleAllows(rule, request)),
  );
  const where = (request: ApiRecord): string => (request.namespace === undefined ? ' in no namespace or all' : '');
  const asked = outside.map((request) => `it asked for ${kindOf(request)}${where(request)} (${request.code})`);
  return ofItsWork(requests, [...new Set(asked)]);
}

/** RB-25: before it accepts work it names a right that it uses and lacks; what it can do without, it may warn of. */
export function namesWhatIsMissing({ target, starts }: StartsRecord): Finding[] {
  assumes({ target }, 'preflight');
  return starts.flatMap(({ right, readiness, said }) => {
    const text = describeRight(right);
    if (readiness === undefined) {
      return [missing(`with \`${text}\` revoked, it reported nothing in time`)];
    }
    // A runner that goes on must have reported that something is wrong, and not only mentioned it.
    const lines = readiness.ready ? said.split('\n').filter((line) => PROBLEM.test(line)) : [said];
    if (lines.some((line) => namesRight(right, line))) {
      return [];
    }
    const what = readiness.ready ? 'accepted work' : 'refused work';
    return [
      quoting(`with \`${text}\` revoked, it ${what} and did not name that right`, lastErrorLines(said.split('\n'))),
    ];
  });
}

const PROBLEM = new RegExp(`${REFUSED.source}|missing|lacks?\\b|warn|fail`, 'i');

/** RB-24: where a call was refused, it reports that, or the task is not reported as succeeded. */
export function reportsRefusedCalls({ work }: RefusalsRecord): Finding[] {
  const asked = work.filter(({ refusedAt }) => refusedAt !== undefined);
  if (asked.length === 0) {
    return [missing('none of its calls was refused, whichever right was revoked')];
  }
  return asked
    .filter(({ said, outcome }) => !said.some(tellsOfRefusal) && outcome !== 'failed' && outcome !== 'refused')
    .map(({ without, refusals, outcome }) => {
      const task = outcome === undefined ? 'had no end' : `was reported as ${outcome}`;
      const refused = `with \`${without}\` revoked, the API server refused (${refusals.join('; ')})`;
      return missingIf(outcome === undefined, `${refused}; it reported nothing of that, and the task ${task}`);
    });
}

/** RB-31: every pod has a ServiceAccount that is declared. */
export function usesDeclaredAccounts(record: RunnerRecord): Finding[] {
  const accountsOf = (task: SubmittedTask): string[] =>
    podsOf(record, task).map((pod) => specOf(pod).serviceAccountName ?? 'default');
  const { serviceAccounts: declared } = record.target;
  const [control] = record.tasks;
  const allowed = declared ?? (control === undefined ? [] : accountsOf(control));
  const where = declared === undefined ? 'a task that asks for none has' : 'declared:';
  // A task that has neither a pod nor an end may get its pod yet.
  const open = record.tasks.filter((task) => podsOf(record, task).length === 0 && !isOver(record, task));
  return [
    ...record.tasks
      .flatMap(accountsOf)
      .filter((name) => !allowed.includes(name))
      .map((name) => `a pod runs as the ServiceAccount ${name}; ${where} ${allowed.join(', ')}`),
    ...open.map(({ label }) => missing(`the task ${label} had no pod and no end, so that nothing is known of it`)),
  ];
}
