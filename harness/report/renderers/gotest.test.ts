import { expect, test } from 'vitest';
import { OUTCOMES } from '../../core/outcome.ts';
import { reportOf, resultOf } from '../report-builders.ts';
import { e2eLogRenderer, goTestJsonRenderer } from './gotest.ts';

const report = reportOf(OUTCOMES.map((outcome, index) => resultOf(`TR-0${index}`, outcome)));

test('results.json: each test runs, says something and ends once; the package ends last', () => {
  const events = goTestJsonRenderer
    .render(report)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { Action: string; Test?: string; Elapsed?: number });
  const ends = events.filter(({ Test, Action }) => Test !== undefined && ['pass', 'fail', 'skip'].includes(Action));
  expect(ends.map(({ Test, Action }) => `${Test} ${Action}`)).toEqual([
    'TR-00 pass',
    'TR-01 fail',
    'TR-02 skip',
    'TR-03 fail',
    'TR-04 skip',
    'TR-05 fail',
  ]);
  expect(events.filter(({ Action }) => Action === 'run')).toHaveLength(6);
  expect(events.at(-1)).toMatchObject({ Action: 'fail', Package: 'kube-agent-conformance/token-rotation' });
});

test('e2e.log: as go test -v prints it', () => {
  expect(e2eLogRenderer.render(reportOf([resultOf('TR-01', 'failed', { statement: 'The cluster\nrotates.' })]))).toBe(
    `=== RUN   TR-01
    TR-01: MUST, cluster: The cluster rotates.
    TR-01: failed: TR-01 is failed for a reason
--- FAIL: TR-01 (1.50s)
FAIL
FAIL	kube-agent-conformance/token-rotation	1.500s
`,
  );
});
