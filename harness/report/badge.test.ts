import { JSDOM } from 'jsdom';
import { expect, test } from 'vitest';
import { badgeOf, badgeSvg, shieldsJson } from './badge.ts';
import { reportOf, resultOf } from './report-builders.ts';

const catalogue = (...ids: string[]) =>
  ({ requirements: ids.map((id) => ({ id, level: 'MUST', role: 'cluster' })) }) as unknown as Parameters<
    typeof badgeOf
  >[1];

test.each([
  ['everything passed', [resultOf('A-1', 'passed')], ['A-1'], 'conformant', 'brightgreen'],
  ['part of it was asked', [resultOf('A-1', 'passed')], ['A-1', 'A-2'], '1 of 2 passed', 'blue'],
  [
    'a MUST failed',
    [resultOf('A-1', 'passed'), resultOf('A-2', 'not testable')],
    ['A-1', 'A-2'],
    '1 MUST not met',
    'red',
  ],
  ['nothing passed', [resultOf('A-1', 'not applicable')], ['A-1'], 'not conformant', 'red'],
  ['the harness failed', [resultOf('A-1', 'harness error')], ['A-1'], 'no verdict', 'lightgrey'],
] as const)('%s', (_, results, ids, message, color) => {
  const badge = badgeOf(reportOf([...results]), catalogue(...ids));
  expect(badge).toEqual({ label: 'agent conformance', message, color });
  expect(JSON.parse(shieldsJson(badge))).toEqual({ schemaVersion: 1, label: 'agent conformance', message, color });
  const svg = new JSDOM(badgeSvg(badge), { contentType: 'image/svg+xml' }).window.document.documentElement;
  expect(svg.getAttribute('aria-label')).toBe(`agent conformance: ${message}`);
});
