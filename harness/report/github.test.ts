import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { annotations, tellGitHub } from './github.ts';
import { reportOf, resultOf, sampleReport } from './report-builders.ts';

test('an error for a MUST, a warning for a SHOULD, each in one line', () => {
  const told = annotations(
    reportOf([
      resultOf('TR-01', 'failed', { reason: 'a: 50 %\nb, c', remedy: 'repair it' }),
      resultOf('TR-02', 'failed', { level: 'SHOULD' }),
      resultOf('TR-03', 'passed'),
      resultOf('TR-04', 'harness error', { level: 'MAY' }),
    ]),
  );
  expect(told).toEqual([
    '::error title=TR-01 failed (MUST)::a: 50 %25%0Ab, c%0AHow to fix it: repair it',
    '::warning title=TR-02 failed (SHOULD)::TR-02 is failed for a reason',
    '::error title=TR-04 harness error (MAY)::TR-04 is harness error for a reason',
  ]);
});

test('in a job: annotations, the summary of its page, outputs; elsewhere nothing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'conformance-github-'));
  try {
    const [GITHUB_STEP_SUMMARY, GITHUB_OUTPUT] = [join(folder, 'summary'), join(folder, 'output')];
    const written: string[] = [];
    const tell = (env: NodeJS.ProcessEnv): void =>
      tellGitHub(sampleReport(40), ['r/report.json', 'r/report.html'], (text) => written.push(text), env);
    tell({});
    expect(written).toEqual([]);
    tell({ GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY, GITHUB_OUTPUT });
    expect(written.length).toBeGreaterThan(2);
    expect(readFileSync(GITHUB_STEP_SUMMARY, 'utf8')).toContain('Not conformant');
    expect(readFileSync(GITHUB_OUTPUT, 'utf8')).toMatch(
      /^verdict=not-conformant\npassed=\d+\nfailed=\d+\nreport=r\/report\.html\n$/,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
