import { OUTCOMES } from '../../core/outcome.ts';
import { standingOf } from '../../kubernetes/permissions.ts';
import { causesOf, failuresOf, repeatCommand, sourceInWords, whatToDo } from '../failures.ts';
import type { Report, ReportResult } from '../report.ts';
import { verdictOf } from '../verdict.ts';
import { headlineOf } from './headline.ts';
import { escapeHtml } from './html/markup.ts';
import type { Renderer } from './renderer.ts';

/** A job page takes a megabyte; nobody reads more details than these. */
const DETAILS = 40;
const LENGTH = 300;

/** Text in a paragraph or a field of a table: nothing in it is Markdown or HTML. */
function plain(text: string): string {
  return htmlText(text.replace(/[\\`*_[\]|~#]/g, (character) => `\\${character}`));
}

/** Text in an HTML element, where Markdown does not reach. */
function htmlText(text: string): string {
  return escapeHtml(text.replace(/\s+/g, ' ').trim());
}

/** Prose of the catalogue: what stands in backticks stays code. */
function prose(text: string): string {
  return text
    .split(/(`[^`]+`)/)
    .map((part) => (/^`[^`]+`$/.test(part) ? part.replaceAll('|', '\\|') : plain(` ${part} `)))
    .join(' ');
}

function cut(text: string): string {
  return text.length <= LENGTH ? text : `${text.slice(0, LENGTH - 1)}…`;
}

function fenced(text: string): string[] {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = '`'.repeat(longest + 1);
  return [fence, text, fence];
}

function detail(report: Report, result: ReportResult): string[] {
  const { id, statement, rationale, source } = result;
  const causes = causesOf(result);
  const fact = (term: string, text: string | undefined): string[] =>
    text === undefined ? [] : ['', `**${term}**: ${prose(text)}`];
  return [
    `<details><summary>${id}: ${htmlText(cut(causes[0]?.cause ?? result.outcome))}</summary>`,
    ...fact('Requirement', statement),
    '',
    '**What was seen**',
    '',
    ...causes.slice(0, 10).map(({ cause, count }) => `- ${plain(cut(cause))}${count > 1 ? ` (${count} times)` : ''}`),
    ...fact('Why it matters', rationale),
    ...whatToDo(result).flatMap(([term, text]) => fact(term, text)),
    ...fact('Source', source?.map(sourceInWords).join('; ')),
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
  if (groups.length === 0) {
    return [];
  }
  const rows = groups.map(({ results }) => {
    const [first] = results;
    if (first === undefined) {
      return '';
    }
    const more = results.length > 1 ? ` and ${results.length - 1} more` : '';
    const [cause] = causesOf(first);
    return `| ${first.id}${more} | ${first.level} | ${first.outcome} | ${plain(cut(cause?.texts[0] ?? ''))} |`;
  });
  const all = groups.flatMap(({ results }) => results);
  return [
    '### What to fix',
    '',
    '| requirement | level | outcome | what was seen |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
    ...all.slice(0, DETAILS).flatMap((result) => detail(report, result)),
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
    const counted = OUTCOMES.filter((outcome) => report.summary[outcome] > 0);
    const { tool, clock, catalogue, runId } = report;
    return [
      `## ${sign} ${title}: ${plain(report.target.name)}`,
      '',
      plain(sentence),
      '',
      `| ${counted.join(' | ')} |`,
      `| ${counted.map(() => '---:').join(' | ')} |`,
      `| ${counted.map((outcome) => report.summary[outcome]).join(' | ')} |`,
      '',
      ...harness(report),
      ...failures(report),
      ...permissions(report),
      `${tool.name} ${tool.version}, run ${runId}, clock ${clock.kind}, catalogue ${catalogue.digest.slice(0, 12)}`,
      '',
    ].join('\n');
  },
};
