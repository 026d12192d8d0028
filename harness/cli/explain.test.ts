import { expect, test } from 'vitest';
import { UsageError } from '../core/errors.ts';
import type { ReportResult } from '../report/report.ts';
import { explainResult } from './explain.ts';

const RESULT: ReportResult = {
  id: 'TR-04',
  level: 'MUST',
  role: 'cluster',
  suite: 'token-rotation',
  outcome: 'not testable',
  reason: 'the token did not rotate within 60 s',
  startedAt: '2026-01-01T00:00:00.000Z',
  durationMs: 1500,
  evidence: [{ label: 'reads', at: '2026-01-01T00:00:01.000Z', data: { missing: 0, partial: 2 } }],
};

const report = (...results: ReportResult[]) => ({
  runId: 'r1',
  finishedAt: '2026-01-01T00:02:00.000Z',
  planned: ['TR-04', 'TR-05'],
  results,
});

test('the outcome, the reason and the evidence of a result', () => {
  const text = explainResult('TR-04', 'reports/latest', report(RESULT));
  for (const part of ['not testable', 'Reason: the token did not rotate within 60 s', 'reads', '"partial": 2']) {
    expect(text).toContain(part);
  }
});

test('a second run in isolation is told', () => {
  const text = explainResult('TR-04', 'reports/latest', report({ ...RESULT, disturbedBefore: 'CPU-starved' }));
  expect(text).toContain('CPU-starved');
});

test('findings that the reason leaves out are told by cause', () => {
  const texts = [1, 2, 3, 4, 5, 6, 7].map((n) => `read ${n} found no file`);
  const findings = [{ cause: 'read … found no file', count: 7, texts }];
  const text = explainResult('TR-04', 'reports/latest', report({ ...RESULT, findings }));
  for (const part of ['Findings: read … found no file (7)', 'read 5 found no file', '2 more in report.json']) {
    expect(text).toContain(part);
  }
});

test('a finding that the reason tells is not told twice', () => {
  const reason = 'read 1 found no file';
  const findings = [{ cause: reason, count: 1, texts: [reason] }];
  const text = explainResult('TR-04', 'reports/latest', report({ ...RESULT, reason, findings }));
  expect(text.split(reason)).toHaveLength(2);
});

test('evidence is cut, and says how much is left', () => {
  const long = { ...RESULT, evidence: [{ label: 'log', at: '2026-01-01T00:00:01.000Z', data: 'x'.repeat(10_000) }] };
  const text = explainResult('TR-04', 'reports/latest', report(long));
  expect(text.length).toBeLessThan(5000);
  expect(text).toContain('6002 more characters in report.json');
});

test('a requirement that was planned and not executed says so', () => {
  expect(explainResult('TR-05', 'reports/latest', report(RESULT))).toContain('planned, but not executed');
});

test('a requirement that the run did not plan is a usage error with the command that runs it', () => {
  const act = () => explainResult('AI-01', 'reports/latest', report(RESULT));
  expect(act).toThrow(UsageError);
  expect(act).toThrow('conformance run --requirement AI-01 --report reports/latest');
});
