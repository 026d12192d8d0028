import type { Cause } from '../../core/causes.ts';
import { cutMiddle, quotedIn } from '../../core/quotation.ts';
import { standingOf } from '../../kubernetes/permissions.ts';
import {
  causesOf,
  type FailureGroup,
  failuresOf,
  firstFinding,
  followsFrom,
  idsByLevel,
  prerequisites,
  repeatCommand,
  sourcesByKind,
  whatToDo,
} from '../failures.ts';
import type { Report, ReportResult } from '../report.ts';
import { verdictOf } from '../verdict.ts';
import { describeClock, describeRepeat, readable } from '../words.ts';
import { countsOf, headlineOf, ORDER } from './headline.ts';
import { escapeHtml } from './html/markup.ts';
import type { Renderer } from './renderer.ts';

/** A job page takes a megabyte; nobody reads more details than these. */
const DETAILS = 40;
const LENGTH = 300;

/** Text in a paragraph or a field of a table: nothing in it is Markdown or HTML. */
function plain(text: string): string {
  return htmlText(escaped(text));
}

const escaped = (text: string): string => text.replace(/[\\`*_[\]|~#]/g, (character) => `\\${character}`);

/** Text in an HTML element, where Markdown does not reach. */
function htmlText(text: string): string {
  return escapeHtml(text.replace(/\s+/g, ' ').trim());
}

/** Prose of the catalogue: what stands in backticks stays code. */
function prose(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .trim()
    .split(/(`[^`]+`)/)
    .map((part) => (/^`[^`]+`$/.test(part) ? part.replaceAll('|', '\\|') : escapeHtml(escaped(part))))
    .join('');
}

const cut = (text: string): string => cutMiddle(text, LENGTH);

function fenced(text: string): string[] {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = '`'.repeat(longest + 1);
  return [fence, text, fence];
}

/** Findings of one result, and lines of a quotation, that are written out. */
const FINDINGS = 10;
const LINES = 20;

/** A finding, and apart from it the product's own words. */
function finding({ cause, count, texts }: Cause, role: ReportResult['role']): string[] {
  const { fact, how, lines } = quotedIn(texts[0] ?? cause);
  const times = count > 1 ? ` (${count} times)` : '';
  if (lines.length === 0) {
    return [`- ${prose(cut(readable(fact, role)))}${times}`];
  }
  const shown = lines.slice(-LINES).map((line) => readable(line, role));
  const left = lines.length - shown.length;
  const words = [...(left > 0 ? [`… ${left} lines before`] : []), ...shown];
  return [
    `- ${prose(cut(readable(fact, role)))}${times}. ${how}:`,
    '',
    ...fenced(words.join('\n')).map((line) => `  ${line}`),
  ];
}

function detail(report: Report, result: ReportResult, groups: FailureGroup[]): string[] {
  const { id, level, outcome, statement, rationale, source, role, disturbedBefore } = result;
  const causes = causesOf(result);
  const fact = (term: string, text: string | undefined): string[] =>
    text === undefined ? [] : ['', `**${term}**: ${prose(text)}`];
  const more = causes.length - FINDINGS;
  return [
    `<details><summary>${id} (${level}, ${outcome}): ${htmlText(cut(firstFinding(result)))}</summary>`,
    ...fact('Requirement', statement),
    '',
    outcome === 'not testable' ? '**What is missing**' : '**What was seen**',
    '',
    ...causes.slice(0, FINDINGS).flatMap((cause) => finding(cause, role)),
    ...(more > 0 ? [`- and ${more} more in report.html`] : []),
    ...fact('Why it matters', rationale),
    ...whatToDo(result, followsFrom(result, report, groups)).flatMap(([term, text]) => fact(term, text)),
    ...fact(
      'Source',
      source &&
        sourcesByKind(source)
          .map(([how, own]) => how + own.join('; '))
          .join('; '),
    ),
    ...fact('Evaluated twice', disturbedBefore === undefined ? undefined : describeRepeat(disturbedBefore, outcome)),
    '',
    '**Run it again**',
    '',
    ...fenced(repeatCommand(report, id)),
    '',
    '</details>',
    '',
  ];
}

function failures(report: Report): string[] {
  const groups = failuresOf(report);
  const all = groups.flatMap(({ results }) => results);
  const [first] = all;
  if (first === undefined) {
    return [];
  }
  const rows = groups.map((group) => {
    const levels = idsByLevel(group);
    const outcomes = [...new Set(group.results.map(({ outcome }) => outcome))].join(', ');
    const [head] = group.results;
    const ids = levels.map(([level, own]) => (levels.length > 1 ? `${own.join(', ')} (${level})` : own.join(', ')));
    const seen = head === undefined ? '' : prose(cut(firstFinding(head)));
    return `| ${ids.join('; ')} | ${levels.map(([level]) => level).join(', ')} | ${outcomes} | ${seen.replaceAll('\n', ' ')} |`;
  });
  return [
    `### What to fix (${all.length})`,
    '',
    plain(`${all.length} requirements, ${groups.length} ${groups.length === 1 ? 'cause' : 'causes'}. ${ORDER}`),
    '',
    '| requirement | level | outcome | what was seen |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
    '<details><summary>Prerequisites to repeat</summary>',
    '',
    ...prerequisites(report).map((line) => `- ${prose(line)}`),
    '',
    ...fenced(repeatCommand(report, first.id)),
    '',
    '</details>',
    '',
    ...all.slice(0, DETAILS).flatMap((result) => detail(report, result, groups)),
    ...(all.length > DETAILS ? [`and ${all.length - DETAILS} more in report.html`, ''] : []),
  ];
}

function harness(report: Report): string[] {
  const errors = report.results.filter(({ outcome }) => outcome === 'harness error');
  if (errors.length + report.faults.length === 0) {
    return [];
  }
  return [
    '### What went wrong in the harness',
    '',
    ...report.faults.map((fault) => `- ${plain(cut(fault))}`),
    ...errors.map(({ id, reason = '' }) => `- ${id}: ${plain(cut(reason))}`),
    '',
  ];
}

function permissions({ permissions: diffs = [] }: Report): string[] {
  return diffs.flatMap(({ of, rights, smallest }) => {
    const wrong = rights.filter((right) => !['needed', 'not exercised'].includes(standingOf(right)));
    if (wrong.length === 0) {
      return [];
    }
    return [
      `### Permissions of ${plain(of)}`,
      '',
      ...wrong.map((right) => `- ${standingOf(right)}: ${plain(`${right.verb} ${right.resource}`)}`),
      '',
      '<details><summary>The smallest Role for what it did</summary>',
      '',
      ...fenced(smallest.trimEnd()),
      '',
      '</details>',
      '',
    ];
  });
}

/** A summary in GitHub's Markdown, for the page of a job or a comment. */
export const markdownRenderer: Renderer = {
  format: 'md',
  render(report) {
    const { conformant, harnessError } = verdictOf(report);
    const { title, sentence } = headlineOf(report);
    const sign = conformant ? '✅' : harnessError ? '⚠️' : '❌';
    const { outcomes, rows } = countsOf(report);
    const { tool, clock, catalogue, runId } = report;
    return [
      `## ${sign} ${title}: ${plain(report.target.name)}`,
      '',
      plain(sentence),
      '',
      `| level | ${outcomes.join(' | ')} | all |`,
      `| --- | ${outcomes.map(() => '---:').join(' | ')} | ---: |`,
      ...rows.map(({ level, counts, total }) => `| ${level} | ${counts.join(' | ')} | ${total} |`),
      '',
      ...harness(report),
      ...failures(report),
      ...permissions(report),
      `${tool.name} ${tool.version}, run ${runId}, catalogue ${catalogue.digest.slice(0, 12)}`,
      `Clock ${plain(describeClock(clock))}.`,
      '',
    ].join('\n');
  },
};
