import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { UsageError } from '../core/errors.ts';
import { loadSettings, settingsJsonSchema } from './settings.ts';

const TEMPLATE = fileURLToPath(new URL('../../fixtures/manifests/settings.yaml', import.meta.url));

function read(text: string): ReturnType<typeof loadSettings> {
  const file = join(mkdtempSync(join(tmpdir(), 'settings-')), 'settings.yaml');
  writeFileSync(file, text);
  return loadSettings(file);
}

test('the template is read, and asks for nothing', () => {
  expect(loadSettings(TEMPLATE)).toEqual(read(''));
});

test('everything that a policy may ask for has a setting', () => {
  expect(
    read(`
labels: { team: platform }
namespaces: { labels: { tier: test }, annotations: { example.org/cost: "1" } }
pods:
  resources: { requests: { cpu: 10m }, limits: { memory: 64Mi } }
  nodeSelector: { pool: ci }
  tolerations: [{ key: ci, operator: Exists, effect: NoSchedule }]
  runtimeClassName: gvisor
  priorityClassName: low
  imagePullSecrets: [{ name: registry, fromNamespace: default }]
storageClassName: gp3
patches: [{ kinds: [Pod], merge: { spec: { hostUsers: false } } }]
`),
  ).toMatchObject({
    labels: { team: 'platform' },
    pods: { resources: { limits: { memory: '64Mi' } }, imagePullSecrets: [{ name: 'registry' }] },
    storageClassName: 'gp3',
  });
});

test.each([
  ['labels: { "a b": x }', /a b/],
  ['labels: { team: "not a label value" }', /not the value of a label/],
  ['pods: { resources: { limits: { memory: 64MB } } }', /not a quantity/],
  ['pods: { toleration: [] }', /toleration/],
  ['labels: [', /are not YAML/],
])('%s is refused with its place', (text, message) => {
  expect(() => read(text)).toThrow(UsageError);
  expect(() => read(text)).toThrow(message);
});

test('a file that is not there is named', () => {
  expect(() => loadSettings('/nowhere/settings.yaml')).toThrow(/\/nowhere\/settings.yaml cannot be read/);
});

test('the published schema is that of the code: `npm run docs`', () => {
  const published: unknown = JSON.parse(readFileSync(new URL('./settings.schema.json', import.meta.url), 'utf8'));
  expect(published).toEqual(JSON.parse(JSON.stringify(settingsJsonSchema())));
});
