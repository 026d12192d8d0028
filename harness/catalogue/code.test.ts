import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadCatalogue, SUITES_FOLDER } from './catalogue.ts';
import { codeOf } from './code.ts';

test('the test of every requirement is found, and the file of every check exists', () => {
  const { requirements } = loadCatalogue();
  const found = requirements.map((requirement) => ({ id: requirement.id, code: codeOf(requirement) }));
  expect(found.filter(({ code }) => code === undefined).map(({ id }) => id)).toEqual([]);
  const checks = found.flatMap(({ code }) => code?.checks ?? []);
  expect(checks.length).toBeGreaterThan(60);
  for (const { file, name, line } of checks) {
    expect(existsSync(join(SUITES_FOLDER, file)), file).toBe(true);
    expect(line, `${name} is exported by ${file}`).toBeGreaterThan(1);
  }
});

test('a test names the checks in its own body and no others', () => {
  const names = codeOf({ id: 'TR-22', suite: 'token-rotation' })?.checks.map(({ name }) => name);
  expect(names).toEqual(['rereadsAtEveryExchange']);
});

test('an id that no test has', () => {
  expect(codeOf({ id: 'TR-99', suite: 'token-rotation' })).toBeUndefined();
});
