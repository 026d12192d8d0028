import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { jsonRenderer } from './renderers/json.ts';
import { junitRenderer } from './renderers/junit.ts';
import { reportOf, resultOf } from './report-builders.ts';
import { writeReport } from './write.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'conformance-write-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('every form is a file, and no token in any of them is whole', () => {
  const signature = 's'.repeat(86);
  const token = `eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EifQ.${signature}`;
  const report = reportOf([resultOf('TR-01', 'failed', { reason: `it printed ${token}` })]);
  const files = writeReport(join(folder, 'new'), report);
  expect(files.map((file) => file.slice(folder.length))).toEqual([
    '/new/report.json',
    '/new/report.html',
    '/new/junit.xml',
  ]);
  for (const file of files) {
    const text = readFileSync(file, 'utf8');
    expect(text, file).toContain('SIGNATURE-CUT');
    expect(text, file).not.toContain(signature);
  }
});

test('a form that cannot be made takes no other with it', () => {
  const broken = {
    format: 'html',
    file: 'report.html',
    render: (): string => {
      throw new Error('no such section');
    },
  };
  const write = (): unknown =>
    writeReport(folder, reportOf([resultOf('TR-01', 'passed')]), [jsonRenderer, broken, junitRenderer]);
  expect(write).toThrow(/of the report only .*report.json, .*junit.xml could be written/);
  expect(readdirSync(folder).sort()).toEqual(['junit.xml', 'report.json']);
});

test('a folder that cannot be written is named', () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  expect(() => writeReport(join(file, 'x'), reportOf([]))).toThrow(
    /cannot be written to .*file\/x; give another folder/,
  );
});
