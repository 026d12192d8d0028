import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { UsageError } from '../core/errors.ts';
import { readReport } from './read.ts';
import { reportOf, resultOf } from './report-builders.ts';
import { writeReport } from './write.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'report-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test.each([
  ['not there', undefined, /there is no report .*: `conformance run` writes one/],
  ['no JSON', '{', 'report.json cannot be read'],
  ['of another shape', '{"apiVersion":"conformance/v0"}', 'is not a report of this version'],
])('a report that is %s is a usage error that names the file', (_, content, message) => {
  if (content !== undefined) {
    writeFileSync(join(folder, 'report.json'), content);
  }
  expect(() => readReport(folder)).toThrow(UsageError);
  expect(() => readReport(folder)).toThrow(message);
});

test('the file itself can be named', () => {
  const file = join(folder, 'other.json');
  writeFileSync(file, '[]');
  expect(() => readReport(file)).toThrow(`${file} is not a report of this version`);
});

test('what a run wrote is read', () => {
  const report = reportOf([resultOf('TR-01', 'passed'), resultOf('TR-04', 'not testable')]);
  writeReport(folder, report);
  expect(readReport(folder)).toEqual(report);
});
