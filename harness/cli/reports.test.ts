/** The commands that work on reports: what they print, and their exit codes. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Outcome } from '../core/outcome.ts';
import { reportOf, resultOf } from '../report/report-builders.ts';
import { printed } from './printed.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'conformance-reports-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

function written(name: string, outcomes: Record<string, Outcome>): string {
  const file = join(folder, name);
  writeFileSync(file, JSON.stringify(reportOf(Object.entries(outcomes).map(([id, outcome]) => resultOf(id, outcome)))));
  return file;
}

test('compare: 1 where anything got worse, 2 where there is no verdict, else 0', async () => {
  const good = written('good.json', { 'TR-01': 'passed', 'TR-02': 'failed' });
  const worse = written('worse.json', { 'TR-01': 'failed', 'TR-02': 'failed' });
  const unknown = written('unknown.json', { 'TR-01': 'harness error', 'TR-02': 'failed' });
  expect(await printed('compare', good, worse)).toMatchObject({
    code: 1,
    out: expect.stringContaining('worse (1)\n  TR-01'),
  });
  expect(await printed('compare', worse, good)).toMatchObject({ code: 0, out: expect.stringContaining('better (1)') });
  expect(await printed('compare', good, unknown)).toMatchObject({
    code: 2,
    out: expect.stringContaining('no verdict (1)'),
  });
  const { out } = await printed('compare', good, worse, '--format', 'json');
  expect(JSON.parse(out)).toMatchObject({ worse: [{ id: 'TR-01', before: 'passed', after: 'failed' }] });
  expect((await printed('compare', good, worse, '--format', 'md')).out).toContain('### worse (1)\n\n- TR-01');
});

test('baseline: update writes one, check takes the run that it was written for, and no other', async () => {
  const report = written('report.json', { 'TR-01': 'passed', 'TR-02': 'failed' });
  const file = join(folder, 'baseline.yaml');
  expect(await printed('baseline', 'update', file, '--report', report)).toMatchObject({
    code: 64,
    err: expect.stringContaining('--owner NAME'),
  });
  const owned = ['--owner', 'platform', '--link', 'https://issues.test/7', '--expires', '2099-01-01'];
  expect(await printed('baseline', 'update', file, '--report', report, ...owned)).toMatchObject({
    code: 0,
    out: `${file}: added TR-02, removed nothing\n`,
  });
  expect(readFileSync(file, 'utf8')).toContain('owner: platform');
  expect(await printed('baseline', 'check', file, '--report', report)).toMatchObject({
    code: 0,
    out: expect.stringContaining('1 known failure, nothing new'),
  });
  const other = written('other.json', { 'TR-01': 'failed', 'TR-02': 'passed' });
  const { code, out } = await printed('baseline', 'check', file, '--report', other);
  expect(code).toBe(1);
  expect(out).toMatch(/new: TR-01\n {2}TR-02: the entry is stale/);
});

test('a baseline with a typing error is told before anything is started', async () => {
  const file = join(folder, 'baseline.yaml');
  const entry = { requirement: 'TR-O1', reason: 'x', link: 'https://x.test', owner: 'y', expires: '2099-01-01' };
  writeFileSync(file, JSON.stringify({ apiVersion: 'conformance-baseline/v1', failures: [entry] }));
  const { code, err } = await printed('run', '--baseline', file);
  expect(code).toBe(64);
  expect(err).toMatch(/names TR-O1, which is no requirement\..*TR-01/);
});

test('badge: a picture or JSON', async () => {
  const report = written('report.json', { 'TR-01': 'passed', 'TR-02': 'failed' });
  expect((await printed('badge', report)).out).toMatch(/^<svg .*1 MUST not met/);
  expect(JSON.parse((await printed('badge', report, '--format', 'json')).out)).toMatchObject({
    schemaVersion: 1,
    color: 'red',
  });
});

test('merge: the verdict of all shards; a missing one is no verdict; what does not fit is refused', async () => {
  const planned = ['TR-01', 'TR-02'];
  const shard = (index: number, outcome: Outcome, count = 2): string => {
    const file = join(folder, `${index}-of-${count}-${outcome}.json`);
    const own = { index, count, planDigest: 'd'.repeat(64), planned };
    const results = [resultOf(planned[index - 1] ?? '', outcome)];
    writeFileSync(file, JSON.stringify(reportOf(results, { shard: own })));
    return file;
  };
  const to = ['--report', join(folder, 'merged')];
  const [first, second, failed] = [shard(1, 'passed'), shard(2, 'passed'), shard(2, 'failed')];
  expect(await printed('merge', first, second, ...to)).toMatchObject({ code: 0, err: '' });
  expect(JSON.parse(readFileSync(join(folder, 'merged', 'report.json'), 'utf8'))).toMatchObject({
    planned,
    conformant: true,
  });
  expect((await printed('merge', first, failed, ...to)).code).toBe(1);
  expect(await printed('merge', first, ...to)).toMatchObject({
    code: 2,
    out: expect.stringContaining('shard 2/2 is missing'),
  });
  expect(await printed('merge', second, failed, ...to)).toMatchObject({
    code: 64,
    err: expect.stringContaining('shard 2/2 is there twice'),
  });
  expect(await printed('merge', first, shard(2, 'passed', 3), ...to)).toMatchObject({
    code: 64,
    err: expect.stringContaining('the number of shards'),
  });
  const baseline = join(folder, 'baseline.yaml');
  const owned = ['--owner', 'platform', '--link', 'https://issues.test/7', '--expires', '2099-01-01'];
  await printed('merge', first, failed, ...to);
  await printed('baseline', 'update', baseline, '--report', join(folder, 'merged'), ...owned);
  expect((await printed('merge', first, failed, '--baseline', baseline, ...to)).code).toBe(0);
});

test.each([
  ['run', '0/3', 'the first is 1/3'],
  ['run', '4/3', 'the last is 3/3'],
  ['run', 'a/b', 'two whole numbers'],
  ['run', '1/999', '--shard 1/999: '],
  ['prove', '0/3', 'the first is 1/3'],
  ['prove', '1/9999', 'a twin is not split'],
])('%s --shard %s is told before anything is started', async (command, shard, said) => {
  expect(await printed(command, '--shard', shard)).toMatchObject({ code: 64, err: expect.stringContaining(said) });
});

test('a shard does not go with a baseline', async () => {
  const { code, err } = await printed('run', '--shard', '1/2', '--baseline', 'baseline.yaml');
  expect({ code, err }).toEqual({ code: 64, err: expect.stringContaining('`conformance merge`') });
});
