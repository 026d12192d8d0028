import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { sampleReport } from '../report/report-builders.ts';
import { printed } from './printed.ts';
import { openerOf } from './show.ts';

// The first test loads every renderer, which takes seconds on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'conformance-show-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

test('prints where the page is, and makes it where there is none', async () => {
  writeFileSync(join(folder, 'report.json'), JSON.stringify(sampleReport(20)));
  const { code, out } = await printed('show', folder, '--no-open');
  expect({ code, out }).toEqual({ code: 0, out: `${join(folder, 'report.html')}\n` });
  expect(existsSync(join(folder, 'report.html'))).toBe(true);
});

test('a page that is older than its report is made anew', async () => {
  writeFileSync(join(folder, 'report.html'), 'of another run');
  utimesSync(join(folder, 'report.html'), 1, 1);
  writeFileSync(join(folder, 'report.json'), JSON.stringify(sampleReport(20)));
  await printed('show', folder, '--no-open');
  expect(readFileSync(join(folder, 'report.html'), 'utf8')).toContain('Not conformant');
});

test.each([
  ['md', '## ❌ Not conformant'],
  ['html', '<!doctype html>'],
  ['json', '"apiVersion": "conformance/v1"'],
  ['junit', '<testsuites'],
  ['text', 'not conformant'],
])('--format %s', async (format, expected) => {
  writeFileSync(join(folder, 'other.json'), JSON.stringify(sampleReport(20)));
  const { code, out } = await printed('show', join(folder, 'other.json'), '--format', format);
  expect(code).toBe(0);
  expect(out).toContain(expected);
});

test.each([
  [
    'of another major version',
    '{"apiVersion":"conformance/v2","tool":{"version":"9.0.0"}}',
    'conformance/v2, written by version 9.0.0',
  ],
  ['that was cut off', JSON.stringify(sampleReport(5)).slice(0, 1000), 'ends in the middle, after 1000 characters'],
  ['that is none', '[]', 'no apiVersion like conformance/v1'],
])('a report %s: 64, and its own message', async (_, content, message) => {
  writeFileSync(join(folder, 'report.json'), content);
  const { code, err } = await printed('show', folder);
  expect(code).toBe(64);
  expect(err).toContain(message);
});

test('a page is opened on a desktop, and nowhere else', () => {
  expect(openerOf('darwin', {})).toEqual(['open']);
  expect(openerOf('linux', { DISPLAY: ':0' })).toEqual(['xdg-open']);
  expect(openerOf('linux', {})).toBeUndefined();
  expect(openerOf('darwin', { CI: 'true' })).toBeUndefined();
  expect(openerOf('linux', { DISPLAY: ':10', SSH_CONNECTION: 'a b' })).toBeUndefined();
});
