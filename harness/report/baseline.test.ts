import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { UsageError } from '../core/errors.ts';
import {
  applyBaseline,
  expiredEntries,
  isAsExpected,
  type KnownFailure,
  readBaseline,
  updatedBaseline,
} from './baseline.ts';
import { reportOf, resultOf } from './report-builders.ts';

const NOW = new Date('2026-03-02T23:59:00Z');
const entry = (requirement: string, more: Partial<KnownFailure> = {}): KnownFailure => ({
  requirement,
  reason: 'being fixed',
  link: 'https://issues.test/1',
  owner: 'platform',
  expires: '2026-03-02',
  ...more,
});
const KNOWN = ['TR-01', 'TR-02', 'TR-03'];
const report = reportOf([
  resultOf('TR-01', 'passed'),
  resultOf('TR-02', 'failed'),
  resultOf('TR-03', 'failed', { level: 'SHOULD' }),
]);

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'conformance-baseline-'));
  file = join(folder, 'baseline.yaml');
});
afterEach(() => rmSync(folder, { recursive: true }));

function written(...failures: KnownFailure[]): string {
  writeFileSync(file, JSON.stringify({ apiVersion: 'conformance-baseline/v1', failures }));
  return file;
}

describe('a run held against a baseline', () => {
  const apply = (...failures: KnownFailure[]) => applyBaseline({ file: 'b', failures }, report, NOW);

  test('a failure that is known is expected, to the end of its last day; the verdict stays', () => {
    const outcome = apply(entry('TR-02'));
    expect(outcome).toEqual({ file: 'b', known: [entry('TR-02')], unexpected: [], problems: [] });
    expect(isAsExpected(report, outcome)).toBe(true);
    expect(report.conformant).toBe(false);
  });

  test('a failure that is not known is not', () => {
    const outcome = apply();
    expect(outcome.unexpected).toEqual(['TR-02']);
    expect(isAsExpected(report, outcome)).toBe(false);
  });

  test('an entry that has expired explains nothing', () => {
    const outcome = apply(entry('TR-02', { expires: '2026-03-01' }));
    expect(outcome.unexpected).toEqual(['TR-02']);
    expect(outcome.problems).toEqual([expect.stringMatching(/TR-02: the entry expired on 2026-03-01; platform is to/)]);
    expect(isAsExpected(report, outcome)).toBe(false);
    expect(expiredEntries({ file: 'b', failures: [entry('TR-02', { expires: '2026-03-01' })] }, NOW)).toHaveLength(1);
  });

  test('an entry for what passes is stale, and fails', () => {
    const outcome = apply(entry('TR-01'), entry('TR-02'));
    expect(outcome.problems).toEqual([expect.stringMatching(/TR-01: the entry is stale, the requirement is passed/)]);
    expect(isAsExpected(report, outcome)).toBe(false);
  });

  test('a run without a verdict is never as expected', () => {
    const failed = reportOf([resultOf('TR-01', 'passed'), resultOf('TR-02', 'harness error')]);
    expect(isAsExpected(failed, applyBaseline({ file: 'b', failures: [entry('TR-02')] }, failed, NOW))).toBe(false);
  });
});

test.each([
  ['is not there', undefined, /baseline.yaml cannot be read: ENOENT.*baseline update/],
  ['is no YAML', 'a: [', /is not YAML/],
  ['has an entry without an owner', '{apiVersion: conformance-baseline/v1, failures: [{requirement: TR-01}]}', /owner/],
  [
    'has a date that is none',
    JSON.stringify({ apiVersion: 'conformance-baseline/v1', failures: [entry('TR-01', { expires: 'soon' })] }),
    /expires/,
  ],
  ['is of another version', '{apiVersion: conformance-baseline/v2, failures: []}', /apiVersion/],
  [
    'names what does not exist',
    JSON.stringify({ apiVersion: 'conformance-baseline/v1', failures: [entry('TR-99')] }),
    /names TR-99, which is no requirement/,
  ],
  [
    'has one twice',
    JSON.stringify({ apiVersion: 'conformance-baseline/v1', failures: [entry('TR-01'), entry('TR-01')] }),
    /two entries for TR-01/,
  ],
])('a baseline that %s is a usage error', (_, content, message) => {
  if (content !== undefined) {
    writeFileSync(file, content);
  }
  expect(() => readBaseline(file, KNOWN)).toThrow(UsageError);
  expect(() => readBaseline(file, KNOWN)).toThrow(message);
});

describe('update', () => {
  const more = { owner: 'team', link: 'https://issues.test/2', expires: '2026-06-01' };

  test('what fails comes, what passes goes, the rest and its comments stay', () => {
    writeFileSync(
      file,
      `apiVersion: conformance-baseline/v1
failures:
  # until the provider answers
  - requirement: TR-02
    reason: being fixed
    link: https://issues.test/1
    owner: platform
    expires: 2026-03-02
  - requirement: TR-01
    reason: being fixed
    link: https://issues.test/1
    owner: platform
    expires: 2026-03-02
`,
    );
    const { text, added, removed } = updatedBaseline(file, report, more);
    expect({ added, removed }).toEqual({ added: ['TR-03'], removed: ['TR-01'] });
    writeFileSync(file, text);
    expect(readBaseline(file, KNOWN).failures.map(({ requirement, owner }) => [requirement, owner])).toEqual([
      ['TR-02', 'platform'],
      ['TR-03', 'team'],
    ]);
    expect(readFileSync(file, 'utf8')).toContain('# until the provider answers');
  });

  test('a first one', () => {
    writeFileSync(file, updatedBaseline(undefined, report, more).text);
    expect(readBaseline(file, KNOWN).failures.map(({ requirement }) => requirement)).toEqual(['TR-02', 'TR-03']);
  });

  test('something new needs an owner and a link', () => {
    expect(() => updatedBaseline(written(), report, { expires: '2026-06-01' })).toThrow(
      /TR-02, TR-03.*--owner NAME --link URL/,
    );
    expect(() => updatedBaseline(written(), report, { ...more, link: 'ftp://x' })).toThrow(/link/);
  });
});
