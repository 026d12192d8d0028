/** What a session operator asks of the API server, and what it says when that is refused (suite rbac-minimal). */
import type { PolicyRule } from '../../../core/policy-rule.ts';
import type { ApiRecord } from '../../../kubernetes/api-record.ts';
import { documentedRole, PERMISSIONS, permissionDiff } from '../../../kubernetes/permissions.ts';
import {
  describeRight,
  neededActions,
  type Right,
  rightsOf,
  ruleAllows,
  ruleOf,
  rulesWithout,
  smallestRules,
} from '../../../kubernetes/rbac.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { Target } from '../../../targets/load.ts';
import { sameRights } from '../../job-runner/scenarios/permissions.ts';
import { type OperatorFixture, patience, startHealthy, withSessionOperator } from '../launch.ts';
import { type OperatorRecord, summarise } from '../record.ts';
import { sessionOperatorTarget } from '../target.ts';
import { EVENTUALLY_SECONDS } from './sessions.ts';

const EXIT_SECONDS = 15;
/** A refusal is reported when it happens. */
const REFUSAL_SECONDS = 10;

/** Its work from start to end, and what it asked of the API server for it. Plain data. */
export interface WorkRecord extends OperatorRecord {
  target: Target<'session-operator'>;
  requests: ApiRecord[];
}

function work(t: RequirementContext, purpose: string, rules?: PolicyRule[]): Promise<WorkRecord> {
  return t.shared(`session operator: ${purpose}`, async () => {
    const { record } = await withSessionOperator(t, { purpose, ...(rules === undefined ? {} : { rules }) }, doAll);
    t.evidence(purpose, summarise(record));
    return { ...record, target: sessionOperatorTarget(t), requests: record.apiRequests };
  });
}

/** Sessions come and go, a second replica joins, the first one is replaced. What fails is for the checks to say. */
async function doAll(fixture: OperatorFixture): Promise<void> {
  const { capabilities, documented, sessions } = fixture.target;
  const eventually = patience(fixture, EVENTUALLY_SECONDS);
  await startHealthy(fixture);
  const session = await fixture.begin('works');
  await eventually(() => fixture.isComplete(session));
  if (capabilities.includes('replicas')) {
    await startHealthy(fixture, 'b');
  }
  await fixture.end(session);
  if (sessions.claimLabels !== undefined) {
    await fixture.endClaim(session);
  }
  await eventually(() => fixture.isGone(session));
  await fixture.signal('SIGTERM', documented.sigtermSeconds + EXIT_SECONDS);
  await startHealthy(fixture);
  const after = await fixture.begin('works after a restart');
  await eventually(() => fixture.isComplete(after));
}

/** The work with the documented permissions and what the target file calls undocumented. */
export function observeWork(t: RequirementContext): Promise<WorkRecord> {
  return work(t, 'work');
}

/** The work under the documented permissions alone. */
export function observeDocumentedRights(t: RequirementContext): Promise<WorkRecord> {
  const target = sessionOperatorTarget(t);
  const { rules } = target;
  t.evidence('the documented Role', documentedRole(target));
  return rules.undocumented.length === 0 ? observeWork(t) : work(t, 'documented', rules.namespaced);
}

/** The work once more under the smallest Role that it needs, where that is another. */
export interface SmallestRoleRecord extends WorkRecord {
  underSmallest?: WorkRecord;
}

export async function observeSmallestRole(t: RequirementContext): Promise<SmallestRoleRecord> {
  const target = sessionOperatorTarget(t);
  const { rules } = target;
  const record = await observeWork(t);
  const documented = [...rules.namespaced, ...rules.cluster];
  const smallest = smallestRules(record.requests, documented);
  t.evidence(PERMISSIONS, permissionDiff(target, record.requests));
  // Under the same rights the first run is its own proof.
  return sameRights(smallest, documented)
    ? record
    : { ...record, underSmallest: await work(t, 'smallest', [...smallest, ...rules.undocumented]) };
}

/** What was seen while a permission was missing. */
export interface WithoutRight {
  right: Right;
  /** Requests that the API server refused for that. */
  refused: ApiRecord[];
  /** What it printed meanwhile. */
  lines: string[];
  /** It exited, or said that it is not healthy. */
  gaveUp: boolean;
}

export interface MissingRightsRecord extends OperatorRecord {
  without: WithoutRight[];
}

/** Takes each permission that the work needed away, one after the other, while a session comes and another one goes. */
export async function observeMissingRights(t: RequirementContext): Promise<MissingRightsRecord> {
  const { rules } = sessionOperatorTarget(t);
  const documented = [...rules.namespaced, ...rules.undocumented];
  const needed = neededActions((await observeWork(t)).requests);
  const used = rightsOf(documented).filter((right) => needed.some((action) => ruleAllows(ruleOf(right), action)));
  const { record, result } = await withSessionOperator(t, { purpose: 'missing-rights' }, async (fixture) => {
    const without: WithoutRight[] = [];
    await startHealthy(fixture);
    for (const right of used) {
      without.push(await workWithout(fixture, right, documented));
    }
    return without;
  });
  t.evidence(
    'calls with each right revoked',
    result.map(({ right, refused, lines, gaveUp }) => ({
      without: describeRight(right),
      refused: refused.length,
      output: lines.slice(-5),
      gaveUp,
    })),
  );
  return { ...record, without: result };
}

const READS = new Set(['get', 'list', 'watch']);

async function workWithout(fixture: OperatorFixture, right: Right, documented: PolicyRule[]): Promise<WithoutRight> {
  const { access, target } = fixture;
  const name = `${right.verb} ${right.resource}`;
  const ended = await fixture.begin(`before the loss of ${name}`);
  await fixture.until(() => fixture.isComplete(ended), REFUSAL_SECONDS);
  const [known, printed] = [(await access.records()).length, fixture.lines.length];
  const since = (): string[] => fixture.lines.slice(printed).map(({ text }) => text);
  await access.setRules(rulesWithout(documented, right));
  try {
    if (READS.has(right.verb)) {
      // What is open stays open, whatever its Role is now.
      await access.setFaults([{ kind: 'cut-watch', forSeconds: 1 }]);
    }
    await fixture.begin(`without ${name}`);
    await fixture.end(ended);
    const isFailure = new RegExp(target.documented.errorLines, 'i');
    await fixture.until(() => since().some((line) => isFailure.test(line)), REFUSAL_SECONDS);
    const refused = (await access.records()).slice(known).filter(({ code }) => code === 403);
    const status = await fixture.health();
    return { right, refused, lines: since(), gaveUp: status !== 200 };
  } finally {
    await access.setFaults([]);
    await access.setRules(documented);
  }
}
