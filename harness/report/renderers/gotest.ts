import type { Outcome } from '../../core/outcome.ts';
import { inOneLine } from '../../core/quotation.ts';
import { causesOf } from '../failures.ts';
import type { Report, ReportResult } from '../report.ts';
import type { Renderer } from './renderer.ts';

/** How an outcome is called by `go test`. It knows of no third colour: what has no verdict is a failure there. */
const ACTIONS: Record<Outcome, 'pass' | 'fail' | 'skip'> = {
  passed: 'pass',
  failed: 'fail',
  'not testable': 'fail',
  'harness error': 'fail',
  'not applicable': 'skip',
  disabled: 'skip',
};

const endOf = ({ startedAt, durationMs }: ReportResult): string =>
  new Date(Date.parse(startedAt) + durationMs).toISOString();

function lines(result: ReportResult): string[] {
  const { id, level, role, outcome, statement, durationMs } = result;
  const action = ACTIONS[outcome].toUpperCase();
  return [
    `=== RUN   ${id}`,
    `    ${id}: ${level}, ${role}${statement === undefined ? '' : `: ${statement.replace(/\s+/g, ' ')}`}`,
    ...(outcome === 'passed'
      ? []
      : causesOf(result).flatMap(({ cause, count }) => [
          `    ${id}: ${outcome}: ${inOneLine(cause)}${count > 1 ? ` (${count} times)` : ''}`,
        ])),
    `--- ${action}: ${id} (${(durationMs / 1000).toFixed(2)}s)`,
  ];
}

function suitesOf({ results }: Report): Map<string, ReportResult[]> {
  return Map.groupBy(results, ({ suite }) => suite);
}

const worst = (results: ReportResult[]): 'pass' | 'fail' =>
  results.some(({ outcome }) => ACTIONS[outcome] === 'fail') ? 'fail' : 'pass';

/** The log of `go test -v`: the form in which conformance programmes take `e2e.log`. */
export const e2eLogRenderer: Renderer = {
  format: 'e2e-log',
  render: (report) =>
    [...suitesOf(report)]
      .flatMap(([suite, results]) => [
        ...results.flatMap(lines),
        worst(results).toUpperCase(),
        `${worst(results) === 'pass' ? 'ok  ' : 'FAIL'}\t${report.tool.name}/${suite}\t${(
          results.reduce((sum, { durationMs }) => sum + durationMs, 0) / 1000
        ).toFixed(3)}s`,
      ])
      .concat('')
      .join('\n'),
};

/** The events of `go test -json` (`go doc test2json`), one a line: the form in which they take `results.json`. */
export const goTestJsonRenderer: Renderer = {
  format: 'go-test-json',
  render(report) {
    const events = [...suitesOf(report)].flatMap(([suite, results]) => {
      const Package = `${report.tool.name}/${suite}`;
      const own = results.flatMap((result) => {
        const { id: Test, startedAt, durationMs, outcome } = result;
        return [
          { Time: startedAt, Action: 'run', Package, Test },
          ...lines(result).map((line) => ({
            Time: endOf(result),
            Action: 'output',
            Package,
            Test,
            Output: `${line}\n`,
          })),
          { Time: endOf(result), Action: ACTIONS[outcome], Package, Test, Elapsed: durationMs / 1000 },
        ];
      });
      const elapsed = results.reduce((sum, { durationMs }) => sum + durationMs, 0) / 1000;
      return [...own, { Time: report.finishedAt, Action: worst(results), Package, Elapsed: elapsed }];
    });
    return events.map((event) => `${JSON.stringify(event)}\n`).join('');
  },
};
