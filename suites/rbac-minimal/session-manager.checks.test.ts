import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { textOf } from '../../harness/core/findings.ts';
import type { ApiRecord } from '../../harness/kubernetes/api-record.ts';
import type { SessionRightsRecord } from '../../harness/roles/session-manager/sessions/permissions.ts';
import type { ResourceTarget } from '../../harness/roles/session-manager/target.ts';
import { loadTarget } from '../../harness/targets/load.ts';
import {
  sessionsDeclareSensitiveRights,
  sessionsDocumentKnownVerbs,
  sessionsNeedNoMore,
  sessionsStayInTheirNamespace,
  sessionsUseWhatIsDocumented,
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
