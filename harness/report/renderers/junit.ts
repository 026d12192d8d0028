import { causesOf } from '../failures.ts';
import type { Report, ReportResult } from '../report.ts';
import type { Renderer } from './renderer.ts';

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escapeXml(text: string): string {
  const escaped = text.replace(/[&<>"]/g, (character) => ENTITIES[character] ?? character);
  // Characters that XML 1.0 (section 2.2) has no form for, as terminals' escape sequences.
  return [...escaped].filter((character) => character >= ' ' || '\t\n\r'.includes(character)).join('');
}

/** What a CI system shows beneath a failure: everything that was found, and how to fix it. */
function body(result: ReportResult): string {
  const { statement, rationale, remedy, source } = result;
  const fact = (term: string, text: string | undefined): string[] => (text === undefined ? [] : [`${term}: ${text}`]);
  return [
    ...fact('Requirement', statement),
    ...causesOf(result).flatMap(({ cause, count, texts }) => [
      `- ${cause}${count > 1 ? ` (${count} times)` : ''}`,
      ...(texts.length > 1 ? texts.map((text) => `    ${text}`) : []),
    ]),
    ...fact('Why it matters', rationale),
    ...fact('How to fix it', remedy),
    ...fact('Source', source?.join('; ')),
  ].join('\n');
}

function element(result: ReportResult): string {
  const { id, level, role, outcome, reason = '', durationMs } = result;
  const open = `    <testcase classname="${escapeXml(result.suite)}" name="${escapeXml(`${id} (${level}, ${role})`)}" time="${(durationMs / 1000).toFixed(3)}"`;
  const message = escapeXml(`${outcome}: ${reason}`);
  switch (outcome) {
    case 'passed':
      return `${open}/>`;
    case 'failed':
    case 'not testable':
      return `${open}><failure message="${message}">${escapeXml(body(result))}</failure></testcase>`;
    case 'harness error':
      return `${open}><error message="${message}"/></testcase>`;
    default:
      return `${open}><skipped message="${message}"/></testcase>`;
  }
}

/**
 * The report in the JUnit form that CI systems read. "Not testable" is a failure there, as it is in the verdict;
 * a planned requirement without a result is an error.
 */
function toJunit(report: Report): string {
  const executed = new Set(report.results.map(({ id }) => id));
  const missing = report.planned.filter((id) => !executed.has(id));
  const suites = [...new Set(report.results.map(({ suite }) => suite))];
  const lines = ['<?xml version="1.0" encoding="UTF-8"?>', `<testsuites name="${escapeXml(report.tool.name)}">`];
  for (const suite of suites) {
    const results = report.results.filter((result) => result.suite === suite);
    const count = (...outcomes: string[]): number => results.filter(({ outcome }) => outcomes.includes(outcome)).length;
    lines.push(
      `  <testsuite name="${escapeXml(suite)}" tests="${results.length}" failures="${count('failed', 'not testable')}" errors="${count('harness error')}" skipped="${count('not applicable', 'disabled')}">`,
      ...results.map(element),
      '  </testsuite>',
    );
  }
  const faults = [...missing.map((id) => `${id} was planned but not executed`), ...report.faults];
  if (faults.length > 0) {
    lines.push(
      `  <testsuite name="harness" tests="${faults.length}" errors="${faults.length}">`,
      ...faults.map(
        (fault, index) =>
          `    <testcase classname="harness" name="fault ${index + 1}"><error message="${escapeXml(fault)}"/></testcase>`,
      ),
      '  </testsuite>',
    );
  }
  lines.push('</testsuites>', '');
  return lines.join('\n');
}

export const junitRenderer: Renderer = { format: 'junit', file: 'junit.xml', render: toJunit };
