import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { missing, textOf } from '../../harness/core/findings.ts';
import type { ApiRecord } from '../../harness/kubernetes/api-record.ts';
import type { Call } from '../../harness/roles/session-manager/driver.ts';
import type { PermissionsRecord } from '../../harness/roles/session-manager/scenarios/permissions.ts';
import type { WorkRecord } from '../../harness/roles/session-manager/scenarios/work.ts';
import type { SessionRightsRecord } from '../../harness/roles/session-manager/sessions/permissions.ts';
import type { ResourceTarget } from '../../harness/roles/session-manager/target.ts';
import { loadTarget } from '../../harness/targets/load.ts';
import {
  documentsOnlyWhatItUses,
  sessionsDeclareSensitiveRights,
  sessionsDocumentKnownVerbs,
  sessionsNeedNoMore,
  sessionsStayInTheirNamespace,
  sessionsUseWhatIsDocumented,
  tellsRefusals,
  worksUnderItsRules,
} from './session-manager.checks.ts';

const reference = loadTarget(
  fileURLToPath(new URL('../../fixtures/targets/session-managers/reference/custom-resource.yaml', import.meta.url)),
) as ResourceTarget;

const request = (change: Partial<ApiRecord> = {}): ApiRecord => ({
  ...{
    at: '2030-01-01T00:00:00Z',
    user: 'u',
    verb: 'list',
    group: '',
    resource: 'pods',
    namespace: 'sessions-of-a-test',
  },
  ...{ code: 200, durationMs: 1, path: '' },
  ...change,
});

function record(requests: ApiRecord[], rules: Partial<ResourceTarget['rules']> = {}): SessionRightsRecord {
  const target = { ...reference, rules: { ...reference.rules, ...rules } };
  return { observations: [{ target, namespace: 'sessions-of-a-test', requests }], stalls: [] };
}

const texts = (findings: ReturnType<typeof sessionsNeedNoMore>): string => findings.map(textOf).join('; ');

test('what is refused, what is documented nowhere, and no request at all are findings (RB-20s)', () => {
  expect(sessionsNeedNoMore(record([request()]))).toEqual([]);
  expect(texts(sessionsNeedNoMore(record([])))).toMatch(/asked the API server for nothing/);
  expect(texts(sessionsNeedNoMore(record([request({ resource: 'events', code: 403 })])))).toMatch(
    /refused list events/,
  );
  const undocumented = [{ apiGroups: [''], resources: ['events'], verbs: ['create'] }];
  const beyond = record([request({ verb: 'create', resource: 'events' })], { undocumented });
  expect(texts(sessionsNeedNoMore(beyond))).toMatch(/needs create events.*not documented/);
});

test('a documented right that nothing needed is a finding (RB-21s)', () => {
  const documented = (verbs: string[]) => ({ namespaced: [{ apiGroups: [''], resources: ['pods'], verbs }] });
  expect(sessionsUseWhatIsDocumented(record([request()], documented(['list'])))).toEqual([]);
  expect(texts(sessionsUseWhatIsDocumented(record([request()], documented(['list', 'patch']))))).toMatch(/patch pods/);
});

test('wildcards, verbs that do not exist and other namespaces are findings (RB-22s, RB-23s, RB-26s)', () => {
  const good = record([request()]);
  expect(sessionsDeclareSensitiveRights(good)).toEqual([]);
  expect(sessionsDocumentKnownVerbs(good)).toEqual([]);
  expect(sessionsStayInTheirNamespace(good)).toEqual([]);
  const namespaced = [{ apiGroups: [''], resources: ['*'], verbs: ['exec'] }];
  const bad = record([request({ namespace: 'other' })], { namespaced });
  expect(texts(sessionsDeclareSensitiveRights(bad))).toMatch(/a wildcard/);
  expect(texts(sessionsDocumentKnownVerbs(bad))).toMatch(/verb `exec`/);
  expect(texts(sessionsStayInTheirNamespace(bad))).toMatch(/asked for list pods/);
});

test('what had not come by the end may be the machine’s fault, and what was seen is not', () => {
  expect(sessionsNeedNoMore(record([]))).toEqual([missing('it asked the API server for nothing')]);
  const get: Call = {
    ...{ operation: 'getPod', input: { name: 'agent', namespace: 'n' } },
    at: 5,
    endedAt: 6,
    text: '',
  };
  const ready = { conditions: [{ type: 'Ready', status: 'True' }] };
  const rule = { apiGroups: [''], resources: ['pods'], verbs: ['list'] };
  const work = (at: number) =>
    worksUnderItsRules({
      ...{ steps: { get: { ...get, status: 404 } }, requests: [], namespace: 'n' },
      objects: [{ at, type: 'MODIFIED', kind: 'Pod', object: { metadata: { name: 'agent' }, status: ready } }],
    } as unknown as WorkRecord);
  expect(work(1)).toEqual([expect.stringContaining('does not create a pod and get it')]);
  expect(work(7)).toEqual([missing('under its documented rules it does not create a pod and get it')]);
  const surplus = (at: number) =>
    documentsOnlyWhatItUses({
      ...{ steps: { get }, requests: [] },
      target: { rules: { ...reference.rules, cluster: [], namespaced: [rule] } },
      objects: [{ at, type: 'MODIFIED', kind: 'Pod', object: { metadata: { name: 'agent' }, status: ready } }],
    } as unknown as Parameters<typeof documentsOnlyWhatItUses>[0]);
  expect(surplus(1)).toEqual(['documented but never used: list pods']);
  expect(surplus(7)).toEqual([missing('documented but never used: list pods')]);
  const refused = (call: Partial<Call>) =>
    tellsRefusals({
      work: [
        {
          right: { verb: 'get', group: '', resource: 'pods' },
          refused: [{ call: { ...get, ...call }, messages: ['forbidden'] }],
        },
      ],
    } as unknown as PermissionsRecord);
  expect(refused({ status: 200 })).toEqual([expect.stringContaining('as if nothing had happened')]);
  expect(refused({ late: true })).toEqual([{ text: expect.stringContaining('was not answered'), missing: true }]);
});
