import { describe, expect, it } from 'vitest';
import { type Finding, textOf } from '../../harness/core/findings.ts';
import type { PolicyRule } from '../../harness/core/policy-rule.ts';
import { type ApiRecord, askedFor } from '../../harness/kubernetes/api-record.ts';
import { namesRight } from '../../harness/kubernetes/refusals.ts';
import type { RunnerEvent } from '../../harness/roles/job-runner/driver.ts';
import { together } from '../../harness/roles/job-runner/record.ts';
import { record as runnerRecord, seen, target, task } from '../../harness/roles/job-runner/record-builders.ts';
import { askedBeforeStart, type RightsRecord } from '../../harness/roles/job-runner/scenarios/permissions.ts';
import type { StartWithout, WorkWithout } from '../../harness/roles/job-runner/scenarios/withheld-rights.ts';
import {
  declaresSensitiveRights,
  documentsKnownVerbs,
  documentsOnlyWhatItUses,
  namesWhatIsMissing,
  reportsRefusedCalls,
  staysInItsNamespace,
  usesDeclaredAccounts,
  worksUnderItsRules,
  worksUnderTheSmallestRole,
} from './job-runner.checks.ts';

const READY = Date.parse('2026-11-21T10:00:10Z');
const BEFORE = '2026-11-21T10:00:05Z';
const AFTER = '2026-11-21T10:00:15Z';

function request(method: string, url: string, code = 200, at = AFTER): ApiRecord {
  return { at, user: 'system:serviceaccount:a:runner', ...askedFor(method, url), code, durationMs: 1 };
}

const LIST_JOBS = request('GET', '/apis/batch/v1/namespaces/a/jobs');
const REFUSED = request('GET', '/api/v1/namespaces/a/events', 403);

function record(requests: ApiRecord[], more: Partial<RightsRecord> = {}): RightsRecord {
  const task = { label: 'succeeds', task: { id: 'one', agent: 'x', prompt: '' }, marker: 'm', at: 0 };
  return {
    ...runnerRecord({
      namespace: 'a',
      startedAt: READY - 10_000,
      readiness: { ready: true, at: READY },
      tasks: [task],
      events: [{ at: READY + 1, type: 'ended', task: 'one', outcome: 'succeeded' }],
      endedAt: READY + 60_000,
    }),
    requests,
    preflights: [{ from: READY - 10_000, to: READY }],
    ...more,
  };
}

const rules = (namespaced: PolicyRule[], cluster: PolicyRule[] = [], declared: Record<string, string> = {}) =>
  target({ rules: { namespaced, cluster, undocumented: [], unexercised: [], declared } });
const rule = (group: string, resource: string, ...verbs: string[]): PolicyRule => ({
  apiGroups: [group],
  resources: [resource],
  verbs,
});

describe('RB-20', () => {
  it('holds where nothing was refused at work', () => {
    expect(worksUnderItsRules(record([LIST_JOBS, { ...REFUSED, at: BEFORE }]))).toEqual([]);
  });

  it('fails by a refusal, by a runner that does not start, and by work that was not done', () => {
    expect(worksUnderItsRules(record([REFUSED, REFUSED]))).toEqual(['refused list events in a (403): no reason given']);
    const refuses = record([{ ...REFUSED, at: BEFORE }], { readiness: { ready: false, at: READY, reason: 'no' } });
    expect(worksUnderItsRules(refuses)[0]).toContain(
      'the runner refused to start; refused by the API server: list events in a. It printed:\n    no',
    );
    expect(worksUnderItsRules(record([LIST_JOBS], { events: [] }))).toHaveLength(1);
  });
});

it('RB-21 names what was not needed, but not a verb that does not exist', () => {
  const documented = rules([rule('batch', 'jobs', 'list', 'get'), rule('', 'pods', 'exec')]);
  expect(documentsOnlyWhatItUses({ ...record([LIST_JOBS], { target: documented }), unused: [] })).toEqual([
    'documented but never used: get jobs.batch',
  ]);
  const right = { verb: 'get', group: 'batch', resource: 'jobs' };
  const excused = { ...record([LIST_JOBS], { target: documented }), unused: [{ right, why: 'another mode' }] };
  expect(documentsOnlyWhatItUses(excused)).toEqual([]);
  const first = record([LIST_JOBS, REFUSED]);
  const second = record([request('GET', '/api/v1/namespaces/b/events', 403)], { namespace: 'b' });
  expect(worksUnderTheSmallestRole({ ...first, unused: [], underSmallest: second })).toEqual([]);
  expect(worksUnderTheSmallestRole({ ...first, unused: [] })).toEqual([]);
  second.requests.push(request('GET', '/api/v1/namespaces/b/pods', 403));
  expect(worksUnderTheSmallestRole({ ...first, unused: [], underSmallest: second })).toEqual([
    'under the smallest Role, refused list pods in its namespace',
  ]);
});

it('RB-22 finds what is documented or asked for, and not declared', () => {
  const secrets = request('GET', '/api/v1/namespaces/a/secrets/x', 403);
  const undeclared = (of: ReturnType<typeof rules>, requests: ApiRecord[]): string[] =>
    declaresSensitiveRights(record(requests, { target: of })).map(textOf);
  expect(undeclared(rules([rule('batch', 'jobs', 'create')]), [LIST_JOBS])).toEqual([]);
  expect(undeclared(rules([]), [secrets])[0]).toContain('`secrets`: get secrets');
  expect(undeclared(rules([rule('', 'secrets', 'get')]), [])).toHaveLength(1);
  expect(undeclared(rules([rule('', 'secrets', 'get')], [], { secrets: 'why' }), [secrets])).toEqual([]);
  expect(undeclared(rules([], [rule('', 'nodes', 'list')]), [])[0]).toContain('in the whole cluster');
});

it('RB-23 names verbs that do not exist', () => {
  const documented = rules([rule('', 'pods', 'get', 'exec')]);
  expect(documentsKnownVerbs({ target: documented, stalls: [] })).toHaveLength(1);
});

it('RB-26 names what is asked for elsewhere, whatever came of it', () => {
  const all = request('GET', '/api/v1/pods', 403);
  const other = request('GET', '/api/v1/namespaces/b/pods');
  const nodes = request('GET', '/api/v1/nodes');
  const self = request('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', 201);
  const own = request('GET', '/api/v1/namespaces/a');
  const outside = (of: ReturnType<typeof rules>, ...requests: ApiRecord[]): string[] =>
    staysInItsNamespace(record(requests, { target: of })).map(textOf);
  expect(outside(rules([]), LIST_JOBS, self, own, request('GET', '/version'))).toEqual([]);
  expect(outside(rules([]), all, other, nodes)).toHaveLength(3);
  expect(outside(rules([], [rule('', 'nodes', 'list')]), nodes)).toEqual([]);
});

it('RB-22 and RB-26 say nothing of a runner that did no work', () => {
  const self = request('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', 201);
  const idle = record([self, request('GET', '/version')], { target: rules([]) });
  expect(() => declaresSensitiveRights(idle)).toThrow(/did none of its work/);
  expect(() => staysInItsNamespace(idle)).toThrow(/did none of its work/);
  const wildcard = record([self], { target: rules([rule('', 'secrets', 'get')]) });
  expect(declaresSensitiveRights(wildcard)).toHaveLength(1);
});

describe('RB-25', () => {
  const right = { verb: 'get', group: '', resource: 'pods/log' };
  const found = (start: Omit<StartWithout, 'right'>) =>
    namesWhatIsMissing({ ...together(target(), []), starts: [{ right, ...start }] });
  const refusal = (said: string) => ({ readiness: { ready: false as const, at: 0, reason: said }, said });

  it.each([
    ['pods "x" is forbidden: User "u" cannot get resource "pods/log" in API group "" in the namespace "a"', 0],
    ['missing rights: get pods/log', 0],
    ['cannot get logs of pods', 0],
    ['RBAC is wrong', 1],
    ['cannot list pods', 1],
    ['may not get\nthe log', 1],
  ])('%s', (said, findings) => {
    expect(found(refusal(said))).toHaveLength(findings);
  });

  it('fails by a runner that starts, or reports nothing', () => {
    const started = (said: string) => found({ readiness: { ready: true, at: 0 }, said });
    expect(started('')).toHaveLength(1);
    expect(started('ready to get logs')).toHaveLength(1);
    expect(started('warning: missing right get pods/log')).toEqual([]);
    expect(found({ said: 'get pods/log' })).toHaveLength(1);
  });

  it('takes one Job for Jobs', () => {
    expect(namesRight({ verb: 'create', resource: 'jobs' }, 'not allowed to create a Job')).toBe(true);
  });
});

describe('RB-24', () => {
  const found = (...work: WorkWithout[]) => reportsRefusedCalls({ ...together(target(), []), work });
  const without = (more: Partial<WorkWithout>): WorkWithout => ({
    without: 'get pods/log',
    task: { label: 'x', task: { id: 'one', agent: 'x', prompt: '' }, marker: 'm', at: 0 },
    refusedAt: 1,
    refusals: ['pods "x" is forbidden'],
    said: [],
    ...more,
  });

  it.each([
    ['an empty result', without({ outcome: 'succeeded' }), 1],
    ['nothing at all', without({}), 1],
    ['a failed task', without({ outcome: 'failed' }), 0],
    ['a refused task', without({ outcome: 'refused' }), 0],
    ['a line of its own', without({ outcome: 'succeeded', said: ['log of x: Forbidden'] }), 0],
    ['a line about something else', without({ outcome: 'succeeded', said: ['the task is done'] }), 1],
  ])('%s', (_, work, findings) => {
    expect(found(work)).toHaveLength(findings);
  });

  it('is not content with nothing refused', () => {
    const { refusedAt: _, ...asked } = without({ outcome: 'succeeded' });
    expect(found(asked)).toHaveLength(1);
    expect(found(asked, without({ outcome: 'failed' }))).toEqual([]);
  });
});

it('RB-31 names a ServiceAccount that is not declared', () => {
  const one = task('one');
  const control = task('control');
  const found = (serviceAccountName?: string, serviceAccounts?: string[]) =>
    usesDeclaredAccounts(
      runnerRecord({
        target: target({ serviceAccounts: serviceAccounts ?? ['default', 'agents'] }),
        tasks: [control, one],
        objects: [
          seen(1, 'ADDED', 'Pod', control, { spec: {} }),
          seen(1, 'ADDED', 'Pod', one, { spec: { serviceAccountName } }),
        ],
      }),
    ).map(textOf);
  expect(found()).toEqual([]);
  expect(found('agents')).toEqual([]);
  expect(found('other')).toEqual(['a pod runs as the ServiceAccount other; declared: default, agents']);
});

it('RB-31 says nothing of a task that has neither a pod nor an end', () => {
  const [control, one] = [task('control'), task('one')];
  const objects = [seen(1, 'ADDED', 'Pod', control, { spec: {} })];
  const found = (events: RunnerEvent[]) =>
    usesDeclaredAccounts(
      runnerRecord({ target: target({ serviceAccounts: ['default'] }), tasks: [control, one], objects, events }),
    ).map(textOf);
  expect(found([])).toEqual(['the task one had no pod and no end, so that nothing is known of it']);
  expect(found([{ at: 1, type: 'refused', task: one.task.id, reason: 'not declared' }])).toEqual([]);
});

it('RB-31 takes the account of a task that asks for none where nothing is declared', () => {
  const [control, one] = [task('control'), task('one')];
  const found = (serviceAccountName: string) => {
    const { serviceAccounts: _, ...undeclared } = target({ serviceAccounts: [] });
    const pod = (of: typeof one, name: string) => seen(1, 'ADDED', 'Pod', of, { spec: { serviceAccountName: name } });
    const objects = [pod(control, 'agents'), pod(one, serviceAccountName)];
    return usesDeclaredAccounts(runnerRecord({ target: undeclared, tasks: [control, one], objects })).map(textOf);
  };
  expect(found('agents')).toEqual([]);
  expect(found('other')).toEqual(['a pod runs as the ServiceAccount other; a task that asks for none has agents']);
});

it('RB-21 takes a right that the runner names when it does not start without it for needed', () => {
  const documented = rules([rule('batch', 'jobs', 'list', 'delete'), rule('', 'secrets', 'get')]).rules;
  const asked = (reason: string) =>
    askedBeforeStart(documented, record([LIST_JOBS]), {
      readiness: { ready: false, at: READY, reason },
      events: [],
    });
  expect(asked('RBAC: cannot delete jobs in the namespace')).toEqual([
    { verb: 'delete', group: 'batch', resource: 'jobs' },
  ]);
  expect(asked('the cluster is not reachable')).toEqual([]);
  expect(askedBeforeStart(documented, record([LIST_JOBS]), { readiness: { ready: true, at: 1 }, events: [] })).toEqual(
    [],
  );
});

describe('what had not come by the end may be the machine’s fault', () => {
  const { readiness: _, ...silent } = record([LIST_JOBS]);
  const open = record([LIST_JOBS], { events: [], target: rules([rule('batch', 'jobs', 'list', 'get')]) });
  const said = {
    ...together(target(), []),
    starts: [{ right: { verb: 'get', group: '', resource: 'pods' }, said: '' }],
  };
  const work = (more: Partial<WorkWithout>): Finding[] =>
    reportsRefusedCalls({
      ...together(target(), []),
      work: [{ without: 'get pods', task: task('x'), refusedAt: 1, refusals: ['no'], said: [], ...more }],
    });

  it.each<[id: string, findings: Finding[], text: string]>([
    ['RB-20', worksUnderItsRules(silent), 'it reported nothing'],
    ['RB-20', worksUnderItsRules(open), 'no task was reported as succeeded'],
    ['RB-21', documentsOnlyWhatItUses({ ...open, unused: [] }), 'documented but never used'],
    ['RB-21', worksUnderTheSmallestRole({ ...open, unused: [], underSmallest: silent }), 'it reported nothing'],
    ['RB-24', work({}), 'had no end'],
    ['RB-24', reportsRefusedCalls({ ...together(target(), []), work: [] }), 'none of its calls was refused'],
    ['RB-25', namesWhatIsMissing(said), 'it reported nothing in time'],
  ])('%s: %#', (_id, findings, text) => {
    expect(findings).toContainEqual({ text: expect.stringContaining(text), missing: true });
  });

  it.each<[id: string, findings: Finding[], text: string]>([
    [
      'RB-20',
      worksUnderItsRules(record([], { readiness: { ready: false, at: READY, reason: 'no' } })),
      'the runner refused to start',
    ],
    ['RB-24', work({ outcome: 'succeeded' }), 'was reported as succeeded'],
  ])('%s, seen: %#', (_id, findings, text) => {
    expect(findings).toContainEqual(expect.stringContaining(text));
  });
});
