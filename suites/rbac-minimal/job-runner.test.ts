import { NotTestable } from '../../harness/core/errors.ts';
import { expectNone } from '../../harness/core/findings.ts';
import type { ApiRecord } from '../../harness/kubernetes/api-record.ts';
import { PERMISSIONS, permissionDiff } from '../../harness/kubernetes/permissions.ts';
import {
  describeRight,
  isSelfReview,
  type Right,
  smallestRules,
  spelledResource,
} from '../../harness/kubernetes/rbac.ts';
import {
  lostUnderSmallest,
  namesWhatIsMissing,
  outsideItsNamespace,
  sameRights,
  surplusOf,
  tellsRefusals,
  undeclared,
  verbsThatDoNotExist,
  worksUnderItsRules,
} from '../../harness/roles/job-runner/checks/permissions.ts';
import { needsCapability, withReadyJobRunner } from '../../harness/roles/job-runner/launch.ts';
import {
  exerciseRunner,
  observeRights,
  type RightsRecord,
  startWithoutEach,
  usedRights,
  workWithoutEach,
} from '../../harness/roles/job-runner/scenarios/permissions.ts';
import { endsOf, podsOf, refusalOf } from '../../harness/roles/job-runner/scenarios/tasks.ts';
import { jobRunnerTarget } from '../../harness/roles/job-runner/target.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';

/** How often each kind of request was made, and how it was answered: `list pods → 200`. */
function tally(requests: ApiRecord[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const request of requests) {
    const what = request.resource === undefined ? request.path : `${spelledResource(request)}`;
    const key = `${request.verb} ${what} → ${request.code}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

function working(record: RightsRecord): RightsRecord {
  if (record.readiness?.ready === true) return record;
  const why = record.readiness === undefined ? 'it said nothing' : record.readiness.reason;
  throw new NotTestable(`the job runner does not accept work: ${why}`);
}

async function observed(t: RequirementContext): Promise<RightsRecord> {
  const record = await observeRights(t);
  t.evidence('requests to the API server', tally(record.requests));
  return record;
}

requirement('RB-20', async (t) => {
  const { namespaced, undocumented } = jobRunnerTarget(t).rules;
  const record = undocumented.length === 0 ? await observed(t) : await exerciseRunner(t, 'documented', namespaced);
  expectNone(worksUnderItsRules(record), record.stalls);
});

requirement('RB-21', async (t) => {
  const target = jobRunnerTarget(t);
  const { rules } = target;
  const record = working(await observed(t));
  const surplus = surplusOf(rules, record.requests);
  const documented = [...rules.namespaced, ...rules.cluster];
  const smallest = smallestRules(record.requests, documented);
  t.evidence(PERMISSIONS, permissionDiff(target.name, rules, record.requests));
  // Under the same rights the first run is its own proof.
  const lost = sameRights(smallest, documented)
    ? []
    : lostUnderSmallest(record, await exerciseRunner(t, 'smallest', [...smallest, ...rules.undocumented]));
  expectNone([...surplus.map((right) => `it documents ${describeRight(right)} and never needed it`), ...lost], []);
});

requirement('RB-22', async (t) => {
  const { rules } = jobRunnerTarget(t);
  const { requests } = await observed(t);
  t.evidence('declared', rules.declared);
  expectNone(undeclared(rules, requests), []);
});

requirement('RB-23', async (t) => {
  const { rules } = jobRunnerTarget(t);
  t.evidence('documented rules', rules);
  expectNone(verbsThatDoNotExist(rules), []);
});

requirement('RB-24', async (t) => {
  const { requests } = working(await observed(t));
  const used = usedRights(jobRunnerTarget(t), requests).filter((right) => !isSelfReview(right));
  // Events are asked for when a pod does not come up, which none of these tasks has.
  const rights = used.filter(({ resource }) => resource !== 'events');
  const of = (resource: string): Right[] => rights.filter((right) => right.resource === resource);
  const reads = new Set(['get', 'list', 'watch']);
  // Who may list may find out by that what it may not watch: a resource's reading goes as one.
  const reading = [...new Set(rights.map(({ resource }) => resource))].map((resource) =>
    of(resource).filter(({ verb }) => reads.has(verb)),
  );
  const writing = rights.filter(({ verb }) => !reads.has(verb)).map((right) => [right]);
  const groups = [...writing, ...reading].filter((group) => group.length > 0);
  // Who lost sight of things may need some time to find them again: what is watched comes last.
  const isWatched = (group: Right[]): number => Number(group.some(({ verb }) => verb !== 'get' && reads.has(verb)));
  const work = await workWithoutEach(
    t,
    groups.toSorted((one, other) => isWatched(one) - isWatched(other)),
  );
  t.evidence(
    'what was taken away',
    work.map(({ without, refusals, outcome, said }) => ({ without, refusals, outcome, said: said.slice(0, 5) })),
  );
  expectNone(tellsRefusals(work), []);
});

requirement('RB-25', async (t) => {
  const target = needsCapability(t, 'preflight');
  const { requests } = working(await observed(t));
  const rights = usedRights(target, requests).filter((right) => !isSelfReview(right));
  const starts = await startWithoutEach(t, rights);
  t.evidence(
    'starts with one right less',
    starts.map(({ right, readiness, said }) => ({
      without: describeRight(right),
      ready: readiness?.ready ?? 'said nothing',
      said: said.slice(-300),
    })),
  );
  expectNone(namesWhatIsMissing(starts), []);
});

requirement('RB-26', async (t) => {
  const record = await observed(t);
  expectNone(outsideItsNamespace(jobRunnerTarget(t).rules, record.requests, record.namespace), []);
});

/** Who no task may be: it is there, so that a pod of its would start. */
const STRANGER = 'conformance-stranger';
const TASK_SECONDS = 90;

requirement('RB-31', (t) =>
  withReadyJobRunner(
    t,
    {
      purpose: 'accounts',
      objects: [{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: STRANGER } }],
    },
    async (runner) => {
      const control = await runner.submit('control', {});
      const task = await runner.submit('stranger', { serviceAccount: STRANGER });
      const isOver = (one: typeof task): boolean =>
        endsOf(runner, one).length > 0 || refusalOf(runner, one) !== undefined;
      await runner.until(() => (isOver(control) && isOver(task) ? true : undefined), TASK_SECONDS);
      const accounts = (one: typeof task): (string | undefined)[] =>
        podsOf(runner, one).map(
          ({ first }) => (first as { spec?: { serviceAccountName?: string } }).spec?.serviceAccountName,
        );
      const seen = { control: accounts(control), stranger: accounts(task), refused: refusalOf(runner, task) };
      t.evidence('ServiceAccounts of the pods', { ...seen, declared: runner.target.serviceAccounts });
      if (seen.control.length === 0) throw new NotTestable('a task that asks for nothing had no pod');
      const others = [...seen.control, ...seen.stranger].filter(
        (name) => !runner.target.serviceAccounts.includes(name ?? 'default'),
      );
      expectNone(
        others.map(
          (name) => `a pod runs as the ServiceAccount ${name}; declared: ${runner.target.serviceAccounts.join(', ')}`,
        ),
        [],
      );
    },
  ),
);
