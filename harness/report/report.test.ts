import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { LACKED, OUTCOMES, type Outcome } from '../core/outcome.ts';
import { junitRenderer } from './renderers/junit.ts';
import { type Report, type ReportResult, reportJsonSchema, reportSchema } from './report.ts';
import { assess, summarize } from './verdict.ts';

function result(id: string, outcome: Outcome, level: ReportResult['level'] = 'MUST'): ReportResult {
  const reason = outcome === 'passed' ? {} : { reason: `<${outcome}> "because" \u001b[31m&` };
  return {
    id,
    level,
    role: 'cluster',
    suite: 'token-rotation',
    outcome,
    ...reason,
    startedAt: '2026-01-01T00:00:00.000Z',
    durationMs: 1500,
    evidence: [{ label: 'seen', at: '2026-01-01T00:00:01.000Z', data: { claims: {} } }],
  };
}

function report(results: ReportResult[], planned = results.map(({ id }) => id)): Report {
  const { conformant, reasons } = assess(planned, results, []);
  return reportSchema.parse({
    apiVersion: 'conformance/v1',
    tool: { name: 'kube-agent-conformance', version: '0.1.0', node: 'v24.0.0' },
    runId: 'r1',
    startedAt: '2026-01-01T00:00:00.000Z',
    finishedAt: '2026-01-01T00:02:00.000Z',
    catalogue: { digest: 'a'.repeat(64), requirements: 2 },
    target: { name: 'references' },
    environment: { clusters: [] },
    requests: [{ component: 'cluster', counts: { TokenReview: 3 }, countedBy: 'its audit log' }],
    clock: { kind: 'accelerated', lifetimeSeconds: 60, clientLifetimeSeconds: 25, syncFrequencySeconds: 1 },
    planned,
    results,
    timeline: [],
    faults: [],
    summary: summarize(results),
    conformant,
    reasons,
  });
}

test('conformant: everything planned was executed and no MUST is broken', () => {
  const verdict = assess(['TR-01', 'TR-02'], [result('TR-01', 'passed'), result('TR-02', 'not applicable')], []);
  expect(verdict).toEqual({ conformant: true, harnessError: false, reasons: [] });
});

test.each(['failed', 'not testable', 'disabled'] as const)('a MUST that is %s: not conformant', (outcome) => {
  const verdict = assess(['TR-01', 'TR-02'], [result('TR-01', 'passed'), result('TR-02', outcome)], []);
  expect(verdict).toMatchObject({ conformant: false, harnessError: false });
  expect(verdict.reasons.join()).toContain('TR-02');
});

test.each(['failed', 'not testable'] as const)('a strict run is not conformant where a SHOULD is %s', (outcome) => {
  const results = [result('A', 'passed'), result('B', outcome, 'SHOULD'), result('C', 'failed', 'MAY')];
  expect(assess(['A', 'B', 'C'], results, [], true)).toEqual({
    conformant: false,
    harnessError: false,
    reasons: [`SHOULD not kept, and the run is strict: B (${outcome})`],
  });
  expect(assess(['A', 'B', 'C'], results, []).conformant).toBe(true);
  expect(assess(['A', 'C'], [result('A', 'passed'), result('C', 'failed', 'MAY')], [], true).conformant).toBe(true);
});

test('a SHOULD that failed does not change the verdict', () => {
  expect(assess(['A', 'B'], [result('A', 'passed'), result('B', 'failed', 'SHOULD')], []).conformant).toBe(true);
});

test.each([
  ['a harness error', ['A', 'B'], [result('A', 'passed'), result('B', 'harness error')], []],
  ['something planned and not executed', ['A', 'B'], [result('A', 'passed')], []],
  ['something executed and not planned', ['A'], [result('A', 'passed'), result('B', 'passed')], []],
  ['two results for one requirement', ['A'], [result('A', 'passed'), result('A', 'passed')], []],
  ['a fault outside of any requirement', ['A'], [result('A', 'passed')], ['a worker died']],
])('%s: no verdict', (_, planned, results, faults) => {
  expect(assess(planned, results, faults)).toMatchObject({ conformant: false, harnessError: true });
});

test('nothing green ran nothing', () => {
  expect(assess([], [], []).conformant).toBe(false);
  expect(assess(['A'], [result('A', 'not applicable')], []).conformant).toBe(false);
  const lacked = { ...result('A', 'not applicable'), reason: `${LACKED}: admission of a Pod` };
  expect(assess(['A', 'B'], [lacked, result('B', 'not applicable')], [])).toMatchObject({ harnessError: true });
  expect(assess(['A', 'B'], [lacked, result('B', 'failed')], [])).toMatchObject({ harnessError: false });
});

test('the published schema is the one of the code, and takes a report', () => {
  const published: unknown = JSON.parse(readFileSync(new URL('./report.schema.json', import.meta.url), 'utf8'));
  expect(published, 'run `npm run docs`').toEqual(reportJsonSchema());
  const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(published as object);
  const good = report(OUTCOMES.map((outcome, index) => result(`TR-0${index}`, outcome)));
  expect(validate(good), JSON.stringify(validate.errors)).toBe(true);
  expect(validate({ ...good, results: [{ ...good.results[0], outcome: 'skipped' }] })).toBe(false);
  expect(validate({ ...good, more: 1 })).toBe(false);
});

test('JUnit: beneath a failure stands everything that was found, and how to fix it', () => {
  const failed = result('TR-01', 'failed');
  const findings = [{ cause: 'call … failed', count: 2, texts: ['call 1 failed', 'call 2 failed'] }];
  const xml = junitRenderer.render(report([{ ...failed, findings, remedy: 'Retry <once>.' }]));
  expect(xml).toContain(
    '- call … failed (2 times)\n    call 1 failed\n    call 2 failed\nHow to fix it: Retry &lt;once&gt;.</failure>',
  );
});

test('JUnit: failures, errors and skips are told apart, and the text is well-formed', () => {
  const xml = junitRenderer.render(
    report(
      OUTCOMES.map((outcome, index) => result(`TR-0${index}`, outcome)),
      ['TR-00', 'TR-01', 'TR-02', 'TR-03', 'TR-04', 'TR-05', 'TR-99'],
    ),
  );
  expect(xml).toContain('tests="6" failures="2" errors="1" skipped="2"');
  expect(xml).toContain('TR-99 was planned but not executed');
  expect(xml).toContain('&lt;failed&gt; &quot;because&quot; [31m&amp;');
  expect(xml).not.toContain('\u001b');
});
