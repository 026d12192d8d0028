import { expect, test } from 'vitest';
import { evidenceOfResult, shareEvidence } from '../report/evidence.ts';
import { htmlRenderer } from '../report/renderers/html/html.ts';
import { reportOf, resultOf } from '../report/report-builders.ts';
import { explainResult } from './explain.ts';

const at = '2026-03-02T09:00:01.000Z';
const session = { calls: Array.from({ length: 40 }, (_, call) => ({ call, status: 200 })) };
const results = [
  resultOf('TR-20', 'passed', { evidence: [{ label: 'client session', at, data: session }] }),
  resultOf('TR-21', 'failed', {
    evidence: [
      { label: 'client session', at, data: session },
      { label: 'calls', at, data: session },
    ],
  }),
  resultOf('TR-22', 'passed', {
    evidence: [
      { label: 'client session', at, data: { ...session, more: 1 } },
      { label: 'seen', at, data: 1 },
    ],
  }),
  resultOf('TR-23', 'passed', { evidence: [{ label: 'seen', at, data: 1 }] }),
];

test('what several results have is with the first red one, and the others name it', () => {
  const shared = shareEvidence(results);
  expect(shared.map(({ id, evidence }) => [id, evidence.map(({ sameAs = 'its own' }) => sameAs)])).toEqual([
    ['TR-20', ['TR-21']],
    // Under another label it is something else.
    ['TR-21', ['its own', 'its own']],
    ['TR-22', ['its own', 'its own']],
    // A reference would be longer.
    ['TR-23', ['its own']],
  ]);
  const report = reportOf(shared);
  expect(report.results.map((result) => evidenceOfResult(report, result))).toEqual(
    results.map(({ evidence }) => evidence),
  );
});

test('the page leads there, and `explain` shows it', () => {
  const report = reportOf(shareEvidence(results));
  expect(htmlRenderer.render(report)).toMatch(/client session .*the same as under <a href="#TR-21">TR-21<\/a>/);
  expect(explainResult('TR-20', 'reports/latest', report)).toContain('"status": 200');
});
