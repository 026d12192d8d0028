import { expect, test } from 'vitest';
import type { ApiRecord } from './api-record.ts';
import { documentedRules, refusedBeyondControls } from './harness-rights.ts';
import { sensitiveRights, unknownVerbs } from './rbac.ts';

const ROLES = ['kube-agent-conformance', 'kube-agent-conformance-controls'];

test.each(ROLES)('%s spells every right, without a wildcard', (name) => {
  const rules = documentedRules(name);
  expect(unknownVerbs(rules)).toEqual([]);
  expect(sensitiveRights(rules).filter(({ kind }) => kind === 'wildcard')).toEqual([]);
});

test('what is bound neither impersonates anybody nor binds or escalates beyond Roles', () => {
  const found = sensitiveRights(documentedRules('kube-agent-conformance')).filter(({ kind }) => kind === 'escalation');
  expect(found.map(({ right }) => right)).toEqual([
    'bind roles.rbac.authorization.k8s.io',
    'escalate roles.rbac.authorization.k8s.io',
  ]);
});

test('a ClusterRole that the manifest does not have is named', () => {
  expect(() => documentedRules('none')).toThrow(/has no ClusterRole none/);
});

test('a refusal is reported unless it is one of a documented control', () => {
  const record = (verb: string, resource: string, code: number): ApiRecord => ({
    at: '2030-01-01T00:00:00Z',
    user: 'u',
    verb,
    group: '',
    resource,
    path: `/api/v1/${resource}`,
    code,
    durationMs: 1,
  });
  const impersonating = { ...record('create', 'selfsubjectreviews', 403), group: 'authentication.k8s.io' };
  expect(refusedBeyondControls([record('list', 'secrets', 403), record('get', 'nodes', 200), impersonating])).toEqual(
    [],
  );
  expect(refusedBeyondControls([record('get', 'nodes', 403), record('get', 'nodes', 403)])).toEqual([
    expect.stringMatching(/refused to the harness: get nodes/),
  ]);
});
