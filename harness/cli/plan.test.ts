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
  expect(JSON.stringify(kept)).not.toMatch(/escalate|bind"/);
});
