import { appendFileSync } from 'node:fs';
import { causesOf, failuresOf } from './failures.ts';
import { markdownRenderer } from './renderers/markdown.ts';
import type { Report } from './report.ts';
import { decides, verdictOf } from './verdict.ts';

/** Workflow commands take one line; what would end it is escaped (GitHub, "Workflow commands for GitHub Actions"). */
function escaped(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function property(text: string): string {
  return escaped(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

/**
 * One annotation for each failure: an error for what decides the verdict and for the harness, a warning for the rest.
 */
export function annotations(report: Report): string[] {
  const red = failuresOf(report).flatMap(({ results }) => results);
  const errors = report.results.filter(({ outcome }) => outcome === 'harness error');
  return [
    ...[...red, ...errors].map((result) => {
      const { id, level, outcome, remedy } = result;
      const kind = decides(level, report.strict) || outcome === 'harness error' ? 'error' : 'warning';
      const seen = causesOf(result).map(({ cause, count }) => (count > 1 ? `${cause} (${count} times)` : cause));
      const text = [
        ...seen,
        ...(remedy === undefined || outcome === 'harness error' ? [] : [`How to fix it: ${remedy}`]),
      ];
      return `::${kind} title=${property(`${id} ${outcome} (${level})`)}::${escaped(text.join('\n'))}`;
    }),
    ...report.faults.map((fault) => `::error title=harness::${escaped(fault)}`),
  ];
}

/**
 * In a job of GitHub Actions: annotations, the summary of the job's page, and outputs for the steps after this one.
 * Elsewhere nothing.
 *
 * @param files what was written, report.json first
 * @param write takes the annotations
 */
export function tellGitHub(
  report: Report,
  files: string[],
  write: (text: string) => unknown,
  { GITHUB_ACTIONS, GITHUB_STEP_SUMMARY, GITHUB_OUTPUT }: NodeJS.ProcessEnv = process.env,
): void {
  if (GITHUB_ACTIONS !== 'true') {
    return;
  }
  for (const annotation of annotations(report)) {
    write(`${annotation}\n`);
  }
  if (GITHUB_STEP_SUMMARY !== undefined) {
    appendFileSync(GITHUB_STEP_SUMMARY, markdownRenderer.render(report));
  }
  if (GITHUB_OUTPUT !== undefined) {
    const { conformant, harnessError } = verdictOf(report);
    const verdict = conformant ? 'conformant' : harnessError ? 'harness-error' : 'not-conformant';
    const { passed, failed } = report.summary;
    const page = files.find((file) => file.endsWith('.html')) ?? '';
    appendFileSync(GITHUB_OUTPUT, `verdict=${verdict}\npassed=${passed}\nfailed=${failed}\nreport=${page}\n`);
  }
}
