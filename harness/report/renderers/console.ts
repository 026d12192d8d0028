import pc from 'picocolors';
import { OUTCOMES, type Outcome } from '../../core/outcome.ts';
import { cutMiddle } from '../../core/quotation.ts';
import { describeBaseline } from '../baseline.ts';
import { causesOf, type FailureGroup, failuresOf, firstFinding } from '../failures.ts';
import { PROGRAM } from '../invocation.ts';
import { renderMatrix } from '../matrix.ts';
import type { Report, ReportResult } from '../report.ts';
import { verdictOf } from '../verdict.ts';
import { countsOf, headlineOf } from './headline.ts';
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

/** A text that fits into some columns, its middle cut; never nothing. */
function fitted(text: string, columns: number): string {
  return cutMiddle(text.replace(/\s+/g, ' ').trim(), Math.max(columns, 8));
}

function line(result: ReportResult, width: number): string {
  const { id, level, outcome } = result;
  const [cause, ...others] = causesOf(result);
  const more = others.length > 0 ? [`and ${others.length} more`] : [];
  const counted = [...(cause !== undefined && cause.count > 1 ? [`${cause.count} times`] : []), ...more];
  const times = counted.length === 0 ? '' : ` (${counted.join(', ')})`;
  const head = `${id.padEnd(7)} ${level.padEnd(6)} `;
  const text = fitted(firstFinding(result), width - head.length - 4 - times.length);
  return `  ${SIGNS[outcome]} ${pc.bold(id.padEnd(7))} ${level.padEnd(6)} ${text}${pc.dim(times)}`;
}

/** The cause of a group in one line, and below it what shares it. */
function group({ results: [first, ...others] }: FailureGroup, width: number): string[] {
  if (first === undefined) {
    return [];
  }
  const shared = Map.groupBy(others, ({ level, outcome }) => `${level}, ${outcome}`);
  const items = [...shared].flatMap(([kind, own]) =>
    own.map(({ id }, index) => (index === own.length - 1 ? `${id} (${kind})` : id)),
  );
  return [line(first, width), ...wrapped('same cause: ', items, width)];
}

/** Items in as few lines as a width allows, indented below what they belong to. */
function wrapped(title: string, items: readonly string[], width: number): string[] {
  const indent = '    ';
  const lines: string[] = [];
  for (const item of items) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + item.length + 2 <= width - indent.length) {
      lines[lines.length - 1] = `${last}, ${item}`;
    } else {
      lines.push(lines.length === 0 ? `${title}${item}` : item);
    }
  }
  return lines.map((text) => pc.dim(`${indent}${text}`));
}

function failures(report: Report, width: number): string[] {
  const errors = report.results.filter(({ outcome }) => outcome === 'harness error');
  const groups = failuresOf(report);
  const shown = groups.slice(0, LINES);
  const left = groups.slice(LINES).reduce((sum, { results }) => sum + results.length, 0);
  return [
    ...shown.flatMap((one) => group(one, width)),
    ...(left > 0 ? [pc.dim(`    and ${left} more`)] : []),
    ...errors.slice(0, LINES).map((result) => line(result, width)),
    ...(errors.length > LINES ? [pc.dim(`    and ${errors.length - LINES} more harness errors`)] : []),
    ...report.faults.map((fault) => `  ${SIGNS['harness error']} ${fitted(`harness: ${fault}`, width - 4)}`),
  ];
}

/** `MUST: 22 passed, 2 failed`, a line for each level. */
function levels(report: Report): string[] {
  const { outcomes, rows } = countsOf(report);
  return rows.map(({ level, counts }) => {
    const named = counts.flatMap((count, index) => (count === 0 ? [] : [`${count} ${outcomes[index]}`]));
    return `  ${level.padEnd(6)} ${named.join(', ')}`;
  });
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
    ...levels(report),
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
