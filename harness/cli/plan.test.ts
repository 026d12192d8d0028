import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { loadCatalogue } from '../catalogue/catalogue.ts';
import { needsOf } from '../run/live/needs.ts';
import { planDocument, renderRbac, renderText } from './plan.ts';

const rows = loadCatalogue().requirements.filter(({ suite }) => suite === 'rbac-minimal');

interface RoleDocument {
  kind: string;
  metadata: { name: string; namespace?: string };
  rules: { apiGroups?: string[]; resources?: string[]; verbs: string[] }[];
}

const documents = (text: string): RoleDocument[] =>
  parseAllDocuments(text).map((document) => document.toJS() as RoleDocument);

test('the plan as text says objects, rights with why, images, time, and what is not applicable', () => {
  // TR-11 rolls over the key of the cluster.
  const all = loadCatalogue().requirements.filter(({ id, suite }) => suite === 'rbac-minimal' || id === 'TR-11');
  const text = renderText(needsOf(all), []);
  expect(text).toMatch(/^\d+ requirements can be evaluated on a live cluster, in about \d+ minutes\./);
  for (const part of [
    /Objects \(in namespaces kac-RUN-\*/,
    /pods: create.*\n +starts pods/,
    /Images/,
    /node:24-slim/,
    /TR-11: .*live cluster/,
  ]) {
    expect(text).toMatch(part);
  }
});

test('the plan as data names every requirement of a right', () => {
  const plan = planDocument(needsOf(rows), []) as {
    rights: { requirements: string[] }[];
    requirements: { id: string }[];
  };
  const ids = plan.requirements.map(({ id }) => id);
  for (const { requirements } of plan.rights) {
    expect(requirements.length).toBeGreaterThan(0);
    expect(ids).toEqual(expect.arrayContaining(requirements));
  }
});

test('the plan as RBAC is a ClusterRole without wildcards, or a Role for each namespace that a run is kept to', () => {
  const [whole, ...more] = documents(renderRbac(needsOf(rows), []));
  expect(more).toEqual([]);
  expect(whole).toMatchObject({ kind: 'ClusterRole', metadata: { name: 'kube-agent-conformance' } });
  expect(JSON.stringify(whole)).not.toContain('*');
  const kept = documents(renderRbac(needsOf(rows, { namespaces: ['a', 'b'] }), ['a', 'b']));
  expect(kept.filter(({ kind }) => kind === 'Role').map(({ metadata }) => metadata.namespace)).toEqual(['a', 'b']);
  expect(JSON.stringify(kept)).not.toMatch(/escalate|bind"|\*/);
});

test('a Role has the rights that are given to what is evaluated, but for those that reach further', () => {
  const needs = needsOf(rows, { namespaces: ['a'] });
  const text = renderRbac(needs, ['a']);
  // The reference job runner patches Jobs, which the harness does not.
  expect(needs.rights.some(({ verb, resource }) => verb === 'patch' && resource === 'jobs')).toBe(false);
  const jobs = documents(text).flatMap(({ rules }) => rules.filter(({ resources }) => resources?.includes('jobs')));
  expect(jobs).toContainEqual(expect.objectContaining({ verbs: expect.arrayContaining(['patch']) }));
  expect(text).toMatch(/^# Not in it, since they reach further: .*escalate roles[\s\S]*not applicable: .*RB-04/);
  expect(renderText(needs, ['a'])).toMatch(
    /to give them to what is evaluated:\n[\s\S]*nobody may give what they do not/,
  );
});

test('a Role says by what else it is bound, and what is left out without', () => {
  const sessions = loadCatalogue().requirements.filter(({ id }) => id === 'RB-20s' || id === 'RB-20m');
  const text = renderRbac(needsOf(sessions, { namespaces: ['a', 'b'] }), ['a', 'b']);
  expect(text).toMatch(/rolebinding .*--namespace a\n.*rolebinding .*--namespace b\n/);
  expect(text).toMatch(/unless the run is to leave out RB-20s, as\n.*clusterrolebinding/);
});

test('a second cluster has a section, data and a role of its own, with no pod and no image', () => {
  const ids = ['AI-01', 'AI-06', 'RB-01'];
  const selected = loadCatalogue().requirements.filter(({ id }) => ids.includes(id));
  const needs = needsOf(selected, { peer: true });
  const text = renderText(needs, []);
  expect(text).toMatch(
    /Objects on the second cluster.*no pod and no image:\n +1 {2}namespaces\n +2 {2}serviceaccounts/,
  );
  expect(text).toMatch(/Rights of paths, on the second cluster:\n {2}\/openid\/v1\/jwks: get/);
  expect(planDocument(needs, [])).toMatchObject({ secondCluster: { requirements: ['AI-01', 'AI-06'] } });
  const roles = documents(renderRbac(needs, []));
  expect(roles.map(({ kind }) => kind)).toEqual(['ClusterRole', 'ClusterRole']);
  expect(roles[1]?.rules.flatMap(({ resources = [] }) => resources).toSorted()).toEqual([
    'namespaces',
    'serviceaccounts',
    'serviceaccounts/token',
  ]);
  expect(documents(renderRbac(needsOf(selected), []))).toHaveLength(1);
  const none = selected.filter(({ id }) => id === 'RB-01');
  expect(renderText(needsOf(none, { peer: true }), [])).toMatch(/On the second cluster: nothing.*AI-01, AI-06, AI-11/);
});

test('a run that is kept to namespaces needs a Role for each of them on the second cluster, too', () => {
  const selected = loadCatalogue().requirements.filter(({ id }) => id === 'AI-06');
  const text = renderRbac(needsOf(selected, { peer: true, namespaces: ['a'] }), ['a']);
  const second = text.slice(text.indexOf('second cluster'));
  const [role] = documents(second.slice(second.indexOf('apiVersion')));
  expect(role).toMatchObject({ kind: 'Role', metadata: { namespace: 'a' } });
  expect(role?.rules).toEqual([
    { apiGroups: [''], resources: ['serviceaccounts'], verbs: ['create', 'delete'] },
    { apiGroups: [''], resources: ['serviceaccounts/token'], verbs: ['create'] },
  ]);
});
