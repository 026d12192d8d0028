import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { loadCatalogue } from '../catalogue/catalogue.ts';
import type { Report } from '../report/report.ts';
import { keep, RECORDED_PROVIDERS, readRecorded, recordOf } from './recorded.ts';

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
  expect(recordOf(report())).toEqual({
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
  expect(() => recordOf(report({ harnessError: true }))).toThrow(/run it again/);
  expect(() => recordOf(report({ target: { name: 'references' } }))).toThrow(/identity-provider/);
});

test('a record takes the place of an earlier one of its target', () => {
  const file = join(folder, 'recorded.json');
  writeFileSync(file, '[]');
  const [one, two] = ['one', 'two'].map((target) => ({ ...recordOf(report()), target }));
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

test('what is kept names requirements that there are', () => {
  const ids = loadCatalogue().requirements.map(({ id }) => id);
  for (const { target, results } of readRecorded(RECORDED_PROVIDERS)) {
    expect(ids, target).toEqual(expect.arrayContaining(Object.keys(results)));
  }
});
