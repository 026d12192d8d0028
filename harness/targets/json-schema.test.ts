import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { targetJsonSchema } from './json-schema.ts';

const TARGETS = fileURLToPath(new URL('../../fixtures/targets/', import.meta.url));
const schema = targetJsonSchema();
const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);

test('the published schema is that of the code', () => {
  const published: unknown = JSON.parse(readFileSync(new URL('./target.schema.json', import.meta.url), 'utf8'));
  expect(published, 'npm run docs').toEqual(schema);
});

test.each(globSync('**/*.yaml', { cwd: TARGETS }).filter((file) => !file.includes('manifests')))(
  'an editor takes the shipped file %s as it is written',
  (file) => {
    const written: unknown = parse(readFileSync(join(TARGETS, file), 'utf8'));
    expect(validate(written), JSON.stringify(validate.errors?.slice(0, 3))).toBe(true);
  },
);

test('an editor marks an unknown key and a wrong role', () => {
  expect(validate({ apiVersion: 'conformance/v1', role: 'cluster', name: 'x', colour: 'blue' })).toBe(false);
  expect(validate({ apiVersion: 'conformance/v1', role: 'cook', name: 'x' })).toBe(false);
});
