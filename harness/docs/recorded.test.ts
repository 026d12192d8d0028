import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { loadCatalogue } from '../catalogue/catalogue.ts';
import { isRed } from '../core/outcome.ts';
import type { Report } from '../report/report.ts';
import { causesOf, keep, RECORDED, type RecordedKind, readRecorded, recordOf } from './recorded.ts';

const folder = mkdtempSync(join(tmpdir(), 'kube-agent-conformance-'));
afterAll(() => rmSync(folder, { recursive: true }));

const report = (changes: object = {}): Report =>
  ({
    target: { name: 'one', role: 'identity-provider' },
    startedAt: '2026-11-29T23:33:10.930Z',
    environment: {
      clusters: [{ kubernetesVersion: 'v1.35.4' }],
      identityProviders: [
        { kind: 'hydra', version: 'v2.3.0' },
        { kind: 'embedded', version: '1' },
      ],
    },
    clock: { kind: 'accelerated' },
    results: [
      { id: 'TX-15', outcome: 'failed', reason: 'refuses https://192.168.1.1:4711: additional-issuer-0a1b2c3d\nmore' },
      { id: 'AI-01', outcome: 'passed' },
    ],
    ...changes,
  }) as unknown as Report;

test('what is kept of a report does not differ from run to run', () => {
  expect(recordOf('provider', report())).toEqual({
    target: 'one',
    version: 'hydra v2.3.0',
    date: '2026-11-29',
    kubernetes: 'v1.35.4',
    clock: 'accelerated',
    results: {
      'AI-01': { outcome: 'passed' },
      'TX-15': { outcome: 'failed', reason: 'refuses https://additional-issuer: additional-issuer' },
    },
  });
});

test('a report without a verdict, or on something else, is not kept', () => {
  expect(() => recordOf('provider', report({ harnessError: true }))).toThrow(/run it again/);
  expect(() => recordOf('provider', report({ target: { name: 'references' } }))).toThrow(/identity-provider/);
});

test('a record takes the place of an earlier one of its target', () => {
  const file = join(folder, 'recorded.json');
  writeFileSync(file, '[]');
  const [one, two] = ['one', 'two'].map((target) => ({ ...recordOf('provider', report()), target }));
  if (one === undefined || two === undefined) {
    throw new Error('there are two');
  }
  keep(file, [two, one]);
  keep(file, [{ ...one, date: '2026-12-24' }]);
  expect(readRecorded(file).map(({ target, date }) => [target, date])).toEqual([
    ['one', '2026-12-24'],
    ['two', '2026-11-29'],
  ]);
});

test('a report on an SDK is kept with the version of its target file', () => {
  const files = [{ name: 'one', role: 'token-client', version: '1.2.3', capabilities: [], digest: '' }];
  const client = report({ target: { name: 'one', role: 'token-client', files } });
  expect(recordOf('sdk', client)).toMatchObject({ target: 'one', version: '1.2.3' });
  expect(() => recordOf('sdk', report())).toThrow(/token-client/);
});

test.for(Object.keys(RECORDED) as RecordedKind[])(
  'what is kept of each %s names requirements that there are',
  (kind) => {
    const ids = loadCatalogue().requirements.flatMap(({ id, role }) => (role === RECORDED[kind].role ? [id] : []));
    for (const { target, results } of readRecorded(RECORDED[kind].file)) {
      expect(ids, target).toEqual(expect.arrayContaining(Object.keys(results)));
    }
  },
);

test('each red row of an SDK has its cause in the source, and nothing else has one', () => {
  const red = readRecorded(RECORDED.sdk.file).map(({ target, results }) => [
    target,
    Object.keys(results).filter((id) => isRed(results[id]?.outcome ?? 'passed')),
  ]);
  const explained = Object.entries(causesOf('sdk')).map(([target, causes]) => [target, Object.keys(causes).sort()]);
  expect(Object.fromEntries(explained)).toEqual(Object.fromEntries(red));
});
