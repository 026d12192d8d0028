import { expect, test } from 'vitest';
import { UsageError } from '../core/errors.ts';
import { inOrder } from '../probes/timeline.ts';
import { mergeReports, type Part } from './merge.ts';
import { headlineOf } from './renderers/headline.ts';
import type { Report, ReportResult } from './report.ts';
import { reportOf, resultOf, sampleReport } from './report-builders.ts';

const PLANNED = ['TR-01', 'TR-02', 'AI-01', 'AI-02', 'RB-01', 'RB-02'];

/** Two of six rows, as `run --shard INDEX/3` writes them. */
function part(index: number, more: Partial<Report> = {}, results?: ReportResult[]): Part {
  const own = results ?? PLANNED.slice(index * 2 - 2, index * 2).map((id) => resultOf(id, 'passed'));
  const shard = { index, count: 3, planDigest: 'd'.repeat(64), planned: PLANNED };
  return { file: `part-${index}`, report: reportOf(own, { shard, runId: `run${index}`, ...more }) };
}

const shardOf = (index: number, more: Partial<NonNullable<Report['shard']>>): NonNullable<Report['shard']> => ({
  index,
  count: 3,
  planDigest: 'd'.repeat(64),
  planned: PLANNED,
  ...more,
});

test('all shards, in any order, are one report of the whole plan', () => {
  const merged = mergeReports([
    part(3, { finishedAt: '2026-03-02T10:00:00.000Z' }),
    part(1),
    part(2, { startedAt: '2026-03-02T08:00:00.000Z' }),
  ]);
  expect(merged).toMatchObject({
    conformant: true,
    harnessError: false,
    reasons: [],
    planned: PLANNED,
    startedAt: '2026-03-02T08:00:00.000Z',
    finishedAt: '2026-03-02T10:00:00.000Z',
    summary: { passed: 6 },
    requests: [{ component: 'cluster', counts: { TokenReview: 9, 'list pods': 123 } }],
    environment: { clusters: [{ name: 'reference' }] },
  });
  expect(merged.results.map(({ id }) => id)).toEqual(PLANNED);
  expect(merged).not.toHaveProperty('shard');
});

test('what is red in one shard is red in all', () => {
  const failed = part(2, {}, [resultOf('AI-01', 'failed'), resultOf('AI-02', 'passed')]);
  expect(mergeReports([part(1), failed, part(3)])).toMatchObject({
    conformant: false,
    harnessError: false,
    reasons: ['MUST not kept: AI-01 (failed)'],
  });
});

test('a strict run is one as a whole, too', () => {
  const results = [resultOf('AI-01', 'failed', { level: 'SHOULD' }), resultOf('AI-02', 'passed')];
  const strict = { strict: true } as const;
  expect(mergeReports([part(1), part(2, {}, results), part(3)]).conformant).toBe(true);
  expect(mergeReports([part(1, strict), part(2, strict, results), part(3, strict)])).toMatchObject({
    conformant: false,
    reasons: ['SHOULD not kept, and the run is strict: AI-01 (failed)'],
  });
});

test('a missing shard was not executed: no verdict, and it is named', () => {
  expect(mergeReports([part(1), part(3)])).toMatchObject({
    conformant: false,
    harnessError: true,
    faults: ['shard 2/3 is missing'],
    reasons: ['planned but not executed: AI-01, AI-02', 'harness fault: shard 2/3 is missing'],
  });
});

test('a fault of a shard is one of the whole, and its shard is named', () => {
  const { faults, harnessError } = mergeReports([part(1), part(2, { faults: ['the run was aborted'] }), part(3)]);
  expect({ faults, harnessError }).toEqual({ faults: ['shard 2/3: the run was aborted'], harnessError: true });
});

test.each<[string, Part[], string]>([
  ['nothing', [], 'there is no report to merge'],
  ['a report that is no shard', [part(1), { file: 'whole', report: reportOf([]) }], 'whole is a whole report'],
  ['one shard twice', [part(1), part(2), part(2)], 'shard 2/3 is there twice: part-2 and part-2'],
  [
    'another plan',
    [part(1), part(2, { shard: shardOf(2, { planDigest: 'e'.repeat(64) }) })],
    'the plan (digest) of part-1',
  ],
  [
    'another number of shards',
    [part(1), part(2, { shard: shardOf(2, { count: 4 }) })],
    'the number of shards of part-1 is 3',
  ],
  [
    'another version',
    [part(1), part(2, { tool: { name: 'kube-agent-conformance', version: '0.2.0', node: 'v24.0.0' } })],
    'the tool version of part-1 is kube-agent-conformance 0.1.0, of part-2 it is kube-agent-conformance 0.2.0',
  ],
  [
    'another catalogue',
    [part(1), part(2, { catalogue: { digest: 'b'.repeat(64), requirements: 158 } })],
    'the catalogue (digest) of part-1',
  ],
  ['a strict one and one that is not', [part(1), part(2, { strict: true })], 'the verdict of part-1 is not strict'],
  ['another target', [part(1), part(2, { target: { name: 'other' } })], 'the target of part-1 is references'],
  [
    'another content of the target file',
    ['1'.repeat(64), '2'.repeat(64)].map((digest, index) =>
      part(index + 1, {
        target: { name: 'agent', files: [{ name: 'agent', role: 'token-client', capabilities: [], digest }] },
      }),
    ),
    'the target files (digest) of part-1 is token-client 1111',
  ],
  [
    'a requirement of two shards',
    [part(1), part(2, {}, [resultOf('TR-01', 'passed')])],
    'part-1 and part-2 both planned TR-01',
  ],
  [
    'a requirement of no plan',
    [part(1, {}, [resultOf('ZZ-01', 'passed')])],
    'planned ZZ-01, which is not in its own plan',
  ],
])('%s is refused', (_, parts, said) => {
  expect(() => mergeReports(parts)).toThrow(UsageError);
  expect(() => mergeReports(parts)).toThrow(said);
});

test('the sections of a run come together', () => {
  const sample = sampleReport(100);
  const ids = sample.results.map(({ id }) => id);
  const halves = [ids.slice(0, 60), ids.slice(60)].map((planned, index): Part => {
    const results = sample.results.filter(({ id }) => planned.includes(id));
    const sections =
      index === 0 ? { timeline: sample.timeline } : { matrix: sample.matrix, permissions: sample.permissions };
    const shard = { index: index + 1, count: 2, planDigest: 'd'.repeat(64), planned: ids };
    const { catalogue, target, sources } = sample;
    return { file: `${index}`, report: reportOf(results, { ...sections, shard, planned, catalogue, target, sources }) };
  });
  const { results, timeline, matrix, permissions, conformant, reasons, summary, sources } = mergeReports(halves);
  expect({ results, timeline, matrix, permissions, conformant, reasons, summary, sources }).toEqual({
    results: sample.results,
    timeline: inOrder(sample.timeline),
    matrix: sample.matrix,
    permissions: sample.permissions,
    conformant: sample.conformant,
    reasons: sample.reasons,
    summary: sample.summary,
    sources: sample.sources,
  });
});

test('a shard is not called conformant as a run is', () => {
  expect(headlineOf(part(1).report)).toEqual({
    title: 'Shard 1/3: conformant',
    sentence: expect.stringContaining('This is shard 1 of 3; `conformance merge` evaluates all of them.'),
  });
});
