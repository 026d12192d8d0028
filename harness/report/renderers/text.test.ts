import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { LACKED } from '../../core/outcome.ts';
import { reportOf, resultOf, sampleReport } from '../report-builders.ts';
import { consoleSummary } from './console.ts';
import { markdownRenderer } from './markdown.ts';

const failing = sampleReport(158);
// biome-ignore lint/suspicious/noControlCharactersInRegex: the colours of a terminal
const withoutColours = (text: string): string => text.replace(/\x1b\[\d*m/g, '');
const summary = (columns?: number): string[] =>
  withoutColours(consoleSummary(failing, { columns, folder: 'reports/latest' })).split('\n');

test('the end of a run: one line for each failure, what to do next, the verdict last', () => {
  const lines = summary();
  const red = failing.results.filter(({ outcome }) => outcome === 'failed' || outcome === 'not testable');
  for (const { id } of red) {
    // At the head of its cause, or below it.
    expect(lines.filter((line) => new RegExp(`^(?: {2}[✕?] ${id} | {4}.*\\b${id}\\b)`).test(line))).toHaveLength(1);
  }
  expect(lines).toContainEqual(expect.stringMatching(/TR-22 +MUST +call 4 presented the token .* \(7 times\)/));
  expect(lines).toContainEqual(expect.stringMatching(/npm run conformance -- explain AI-01 --report reports\/latest/));
  expect(lines).toContainEqual(
    expect.stringMatching(/RB-21 +SHOULD documented but never used: delete secrets \(and 1 more\)/),
  );
  expect(lines.at(-2)).toBe('not conformant');
});

test.each([40, 60, 80])('a terminal of %i columns: no line of a failure is longer', (columns) => {
  const lines = summary(columns).filter((line) => /^ {2}[✕?]|^ {4}/.test(line));
  expect(lines.length).toBeGreaterThan(5);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
});

test('a matrix that is as it must be is not printed, one that is not is', () => {
  expect(summary().join('\n')).toContain('ACCEPTED (!)');
  const { matrix } = failing;
  const good = reportOf([resultOf('AI-01', 'passed')], {
    ...(matrix === undefined ? {} : { matrix: { ...matrix, subjectTokens: matrix.subjectTokens.slice(0, 1) } }),
  });
  expect(consoleSummary(good, { folder: 'x' })).not.toContain('token for');
});

test('NO_COLOR: not one escape sequence', () => {
  const script = `const { consoleSummary } = await import('${new URL('./console.ts', import.meta.url).href}');
    const { reportOf, resultOf } = await import('${new URL('../report-builders.ts', import.meta.url).href}');
    process.stdout.write(consoleSummary(reportOf([resultOf('TR-01', 'failed')]), { folder: 'x' }));`;
  const printed = (env: NodeJS.ProcessEnv): string =>
    execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      env: { PATH: process.env.PATH, ...env },
    });
  expect(printed({ NO_COLOR: '1' })).not.toContain('\u001b');
  expect(printed({ FORCE_COLOR: '1' })).toContain('\u001b');
});

test('what a cluster lacked something for is not said to have been evaluated', () => {
  const lacked = { reason: `${LACKED}: right: create pods (not allowed)` };
  const results = [
    resultOf('RB-01', 'passed'),
    resultOf('RB-02', 'not applicable', lacked),
    resultOf('RB-03', 'not applicable', { reason: 'the target file declares no storage' }),
  ];
  expect(consoleSummary(reportOf(results), { folder: 'x' })).toContain(
    '1 of 3 planned requirements could not be evaluated here: the cluster lacks something for the harness. ' +
      'Of the others 1 passed, 1 do not apply, no MUST failed.',
  );
  expect(consoleSummary(reportOf([resultOf('RB-01', 'passed')]), { folder: 'x' })).toContain(
    'All 1 planned requirements were evaluated: 1 passed, no MUST failed.',
  );
});

test('no verdict: what failed in the harness, and where to look', () => {
  const report = reportOf([resultOf('TR-01', 'passed'), resultOf('TR-02', 'harness error')], {
    faults: ['a worker died'],
  });
  const text = withoutColours(consoleSummary(report, { folder: '/x' }));
  expect(text).toMatch(/! TR-02 .*\n {2}! harness: a worker died/);
  expect(text).toMatch(/conformance -- doctor.*\n\nno verdict: harness error\n$/s);
});

test('Markdown: the verdict, a line for each cause, details that open, the command', () => {
  const text = markdownRenderer.render(failing);
  expect(text).toMatch(/^## ❌ Not conformant: example-agent\n/);
  expect(text).toMatch(/\| JL-20, JL-21, [^|]*JL-27 \| MUST \| not testable \|/);
  expect(text).toMatch(/\| MUST \| \d+ \|/);
  expect(text).toMatch(/### What to fix \((\d+)\)\n\n\1 requirements,/);
  expect(text).toContain('npm run conformance -- run --target example-agent.yaml --requirement TR-22');
  expect(text).toContain('- surplus: delete secrets');
  expect(text.match(/<details>/g)?.length).toBe(text.match(/<\/details>/g)?.length);
});

test('Markdown: what others wrote is text', () => {
  const text = markdownRenderer.render(
    reportOf([resultOf('TR-01', 'failed', { reason: 'a | b\n</details><img src=x> [x](javascript:y) `z`' })], {
      target: { name: '# <b>*x*' },
    }),
  );
  expect(text).not.toMatch(/<(?:img|b>)/);
  // The prerequisites, and the one result.
  expect(text.match(/<\/details>/g)).toHaveLength(2);
  expect(text).not.toMatch(/[^\\]\]\(javascript/);
  expect(text).toContain('a \\| b');
});
