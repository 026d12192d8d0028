import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { UsageError } from '../core/errors.ts';
import { loadTarget } from './load.ts';

const folder = mkdtempSync(join(tmpdir(), 'kube-agent-conformance-'));
afterAll(() => rmSync(folder, { recursive: true }));

const TARGETS = fileURLToPath(new URL('../../fixtures/targets/', import.meta.url));

function write(text: string): string {
  const file = join(folder, 'target.yaml');
  writeFileSync(file, text);
  return file;
}

const provider = `apiVersion: conformance/v1
role: identity-provider
name: mine
server: { kind: running }
providers:
  - name: production
    issuer: \${set.issuer}
    audience: \${cluster.issuer}
    grants: [{ grant: jwt-bearer, clientAuthentication: none }]
    accessTokenAudience: inference
    accessTokenLifetimeSeconds: 60
`;

test('a target file is read with the values that are given; what a run knows stays', () => {
  const target = loadTarget(write(provider), { issuer: 'https://idp.example.com' });
  expect(target).toMatchObject({
    role: 'identity-provider',
    name: 'mine',
    capabilities: [],
    folder,
    providers: [{ issuer: 'https://idp.example.com', audience: '${cluster.issuer}' }],
  });
  expect(target.digest).toMatch(/^[0-9a-f]{64}$/);
});

test.each([
  [
    'a value that is not given',
    provider,
    /target\.yaml\.providers\[0\]\.issuer: \$\{set\.issuer\} has no value\. Give it by --set issuer=VALUE/,
  ],
  ['no YAML', 'a: [', /target\.yaml is not YAML/],
  ['an unknown role', 'apiVersion: conformance/v1\nrole: cook\nname: x', /does not have the right shape[\s\S]*role/],
  ['an unknown key', `${provider.replace('${set.issuer}', 'https://i')}colour: blue\n`, /colour/],
])('%s is wrong use, and is named', (_, text, said) => {
  const act = () => loadTarget(write(text));
  expect(act).toThrow(UsageError);
  expect(act).toThrow(said);
});

test('what is wrong with the shape is told even where a value is missing, and the missing value is told once', () => {
  const act = () => loadTarget(write(provider.replace('accessTokenLifetimeSeconds: 60', 'colour: blue')));
  expect(act).toThrow(/\$\{set\.issuer\} has no value/);
  expect(act).toThrow(/colour/);
  expect(act).toThrow(/accessTokenLifetimeSeconds/);
});

test('a number may be given by --set', () => {
  const text = provider.replace('accessTokenLifetimeSeconds: 60', 'accessTokenLifetimeSeconds: ${set.life}');
  const given = { issuer: 'https://idp.example.com', life: '90' };
  expect(loadTarget(write(text), given)).toMatchObject({ providers: [{ accessTokenLifetimeSeconds: 90 }] });
  expect(() => loadTarget(write(text), { ...given, life: 'long' })).toThrow(/accessTokenLifetimeSeconds/);
  expect(() => loadTarget(write(text), { issuer: 'https://idp.example.com' })).toThrow(
    /^[^\n]*accessTokenLifetimeSeconds: \$\{set\.life\} has no value\. Give it by --set life=VALUE\.$/,
  );
});

test('a label selector may be set-based, and a malformed one is told with what is wrong with it', () => {
  const reference = readFileSync(join(TARGETS, 'job-runners/reference/target.yaml'), 'utf8');
  const selecting = (jobs: string): string => write(reference.replace(/( jobs: ).*/, `$1"${jobs}"`));
  const set = 'app.kubernetes.io/managed-by in (reference-job-runner, other), !canary';
  expect(loadTarget(selecting(set))).toMatchObject({ selectors: { jobs: set } });
  expect(() => loadTarget(selecting('managed-by in reference'))).toThrow(
    /selectors\.jobs[\s\S]*has "reference" where "\(" is expected|has "reference" where "\(" is expected[\s\S]*selectors\.jobs/,
  );
});

test('a file that is not there is named', () => {
  expect(() => loadTarget(join(folder, 'none.yaml'))).toThrow(/none\.yaml cannot be read/);
});

const shipped = readdirSync(TARGETS, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.yaml'));

test.each(shipped)('the shipped target file %s has the right shape', (file) => {
  const names = [...readFileSync(join(TARGETS, file), 'utf8').matchAll(/\$\{set\.([\w-]+)\}/g)].map(
    ([, name]) => name ?? '',
  );
  const given = Object.fromEntries(names.map((name) => [name, 'given']));
  expect(loadTarget(join(TARGETS, file), given).name).toMatch(/./);
});
