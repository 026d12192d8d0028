import pc from 'picocolors';
import { OUTCOMES, type Outcome } from '../../core/outcome.ts';
import { describeBaseline } from '../baseline.ts';
import { causesOf, failuresOf } from '../failures.ts';
import { PROGRAM } from '../invocation.ts';
import { renderMatrix } from '../matrix.ts';
import type { Report, ReportResult } from '../report.ts';
import { verdictOf } from '../verdict.ts';
import { headlineOf } from './headline.ts';
import type { Renderer } from './renderer.ts';

const SIGNS: Record<Outcome, string> = {
  passed: pc.green('✓'),
  failed: pc.red('✕'),
  'not testable': pc.yellow('?'),
  'not applicable': pc.dim('–'),
  disabled: pc.dim('○'),
  'harness error': pc.magenta('!'),
};

/** Failures that get a line; beyond them the report is the better place. */
const LINES = 60;
/** Where there is no terminal a line is cut here, so that a log stays readable. */
const WITHOUT_TERMINAL = 240;
const NARROWEST = 40;

/** The begin of a text that fits into some columns; never nothing. */
function fitted(text: string, columns: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  const room = Math.max(columns, 8);
  return line.length <= room ? line : `${line.slice(0, room - 1)}…`;
}

function line(result: ReportResult, width: number): string {
  const { id, level, outcome } = result;
  const [cause, ...others] = causesOf(result);
  const more = others.length > 0 ? [`and ${others.length} more`] : [];
  const counted = [...(cause !== undefined && cause.count > 1 ? [`${cause.count} times`] : []), ...more];
  const times = counted.length === 0 ? '' : ` (${counted.join(', ')})`;
  const head = `${id.padEnd(7)} ${level.padEnd(6)} `;
  const text = fitted(`${cause?.texts[0] ?? outcome}`, width - head.length - 4 - times.length);
  return `  ${SIGNS[outcome]} ${pc.bold(id.padEnd(7))} ${level.padEnd(6)} ${text}${pc.dim(times)}`;
}

function failures(report: Report, width: number): string[] {
  const errors = report.results.filter(({ outcome }) => outcome === 'harness error');
  const red = [...failuresOf(report).flatMap(({ results }) => results), ...errors];
  return [
    ...red.slice(0, LINES).map((result) => line(result, width)),
    ...(red.length > LINES ? [pc.dim(`    and ${red.length - LINES} more`)] : []),
    ...report.faults.map((fault) => `  ${SIGNS['harness error']} ${fitted(`harness: ${fault}`, width - 4)}`),
  ];
}

function incompatibilities({ incompatibilities: pairs = [] }: Report): string[] {
  return pairs.map(({ between: [one, other], why, remedy, requirements }) =>
    pc.yellow(`  ${one} and ${other} cannot work together (${requirements.join(', ')}): ${why} Remedy: ${remedy}`),
  );
}

function matrixLines({ matrix }: Report): string[] {
  if (matrix === undefined) {
    return [];
  }
  const isRight = [...matrix.subjectTokens, ...matrix.accessTokens].every(({ asItMust }) => asItMust);
  // As it must be, it is a picture of the report; where it is not, everybody should see it.
  return isRight ? [] : ['', ...renderMatrix(matrix).map((row) => `  ${row}`)];
}

/** What somebody does next, as commands. */
function nextSteps(report: Report, folder: string): string[] {
  const { conformant, harnessError } = verdictOf(report);
  const [first] = failuresOf(report).flatMap(({ results }) => results);
  const where = folder === DEFAULT_FOLDER ? '' : ` ${folder}`;
  const steps: [string, string][] = [
    [`${PROGRAM} show${where}`, 'the report in a browser'],
    ...(conformant || first === undefined
      ? []
      : [
          [`${PROGRAM} explain ${first.id} --report ${folder}`, 'why it is asked, what was seen, how to fix it'] as [
            string,
            string,
          ],
        ]),
    ...(harnessError ? [[`${PROGRAM} doctor`, 'what the environment lacks'] as [string, string]] : []),
  ];
  const longest = Math.max(...steps.map(([command]) => command.length));
  return steps.map(([command, what]) => `  ${pc.cyan(command.padEnd(longest))}  ${pc.dim(what)}`);
}

export const DEFAULT_FOLDER = 'reports/latest';

/**
 * The end of a run for a terminal: one line for each failure, counts, where the report is, what to do next, and in the
 * last line the verdict.
 *
 * @param columns of the terminal; undefined where there is none
 * @param folder where the report was written
 */
export function consoleSummary(
  report: Report,
  { columns, folder }: { columns?: number | undefined; folder: string },
): string {
  const width = Math.max(columns ?? WITHOUT_TERMINAL, NARROWEST);
  const verdict = verdictOf(report);
  const { sentence } = headlineOf(report);
  const { planned, clock } = report;
  const counts = OUTCOMES.filter((outcome) => report.summary[outcome] > 0).map(
    (outcome) => `${report.summary[outcome]} ${outcome}`,
  );
  const lines = [
    '',
    ...failures(report, width),
    ...matrixLines(report),
    ...incompatibilities(report),
    '',
    `${planned.length} requirements planned: ${counts.join(', ') || 'none executed'}; clock ${clock.kind}`,
    sentence,
    ...(report.baseline === undefined ? [] : describeBaseline(report.baseline)),
    '',
    ...nextSteps(report, folder),
    '',
    verdict.conformant
      ? pc.green('conformant')
      : verdict.harnessError
        ? pc.magenta('no verdict: harness error')
        : pc.red('not conformant'),
    '',
  ];
  return lines.join('\n');
}

/** The same as plain text, in lines of eighty columns. */
export const textRenderer: Renderer = {
  format: 'text',
  render: (report) => consoleSummary(report, { columns: 100, folder: DEFAULT_FOLDER }),
};
