import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { loadTarget } from './load.ts';

const TEMPLATE = fileURLToPath(new URL('../../fixtures/targets/templates/session-operator.yaml', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'session-operator-target-'));
afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  ['hashLabel: example.com/session-hash', 'hashLabel: example.com/other', 'sessions.hashLabel'],
  [
    'example.com/session-hash: ${session.hash}',
    'example.com/session-hash: fixed',
    'the hash label has no ${session.hash}',
  ],
  ['host: ${session.hash}-s', 'host: s', 'documented.host'],
  ['recordRemovedWith: pod', 'recordRemovedWith: claim', 'sessions.claimLabels'],
  ['errorLines: \\b(error', 'errorLines: \\b((error', 'documented.errorLines'],
  ['command: [node, ./dist/index.js]', 'command: []', 'start.command'],
  ['command: [node, ./dist/index.js]', 'command: node ./dist/index.js', 'expected array, received string'],
  ['command: [node, ./dist/index.js]', 'commands: [node, ./dist/index.js]', 'start.command'],
  ['signInService: oauth2-proxy/oauth2-proxy', 'signInService: oauth2-proxy', 'documented.signInService'],
  ['rules:', 'rights:', 'rights'],
])('a target file with %s changed to %s is refused, and %s is named', (right, wrong, named) => {
  const good = readFileSync(TEMPLATE, 'utf8');
  expect(good).toContain(right);
  const file = join(folder, 'target.yaml');
  writeFileSync(file, good.replace(right, wrong));
  expect(() => loadTarget(file)).toThrow(named);
  writeFileSync(file, good);
  expect(loadTarget(file).role).toBe('session-operator');
});
