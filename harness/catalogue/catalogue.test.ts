import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadCatalogue, SUITES_FOLDER } from './catalogue.ts';
import { loadDocuments, resolveSource } from './sources.ts';

const catalogue = loadCatalogue();

test('ids, levels and roles are frozen', () => {
  const now = Object.fromEntries(catalogue.requirements.map(({ id, level, role }) => [id, `${level} ${role}`]).sort());
  const frozen: unknown = JSON.parse(readFileSync(new URL('../../suites/frozen.json', import.meta.url), 'utf8'));
  expect(now, 'a changed meaning gets a new id; a new row is added to suites/frozen.json').toEqual(frozen);
});

test('ids in data and in code match in both directions, suite by suite', () => {
  for (const suite of catalogue.suites) {
    const code = readdirSync(join(SUITES_FOLDER, suite))
      .filter((file) => file.endsWith('.test.ts') && !file.endsWith('.unit.test.ts'))
      .flatMap((file) => [
        ...readFileSync(join(SUITES_FOLDER, suite, file), 'utf8').matchAll(/^requirement\(\s*'([^']+)'/gm),
      ])
      .map(([, id]) => id);
    const data = catalogue.requirements.filter((row) => row.suite === suite).map(({ id }) => id);
    expect(code.sort(), `the tests of ${suite}, one for each requirement`).toEqual(data.sort());
  }
});

test('every requirement has a twin of its role that must fail it', () => {
  for (const { id, role, twins } of catalogue.requirements) {
    const own = catalogue.twins.filter((twin) => twins.includes(twin.name));
    expect(own.length, id).toBeGreaterThan(0);
    expect(
      own.every((twin) => twin.role === role && twin.mustFail.includes(id)),
      id,
    ).toBe(true);
  }
});

test('statements, reasons and faults are whole sentences', () => {
  const sentences = [
    ...catalogue.requirements.flatMap(({ id, statement, rationale, observed, remedy }) =>
      [statement, rationale, observed, remedy].map((sentence) => [id, sentence]),
    ),
    ...catalogue.twins.map(({ name, fault }) => [name, fault]),
  ];
  for (const [of = '', sentence] of sentences) {
    expect(sentence, of).toMatch(/^[A-Z0-9"`].*[.)"]$/s);
    expect(sentence, `${of}: a document has a name (suites/sources.yaml)`).not.toMatch(/\bseed \d/);
  }
});

test('every source is a document of suites/sources.yaml, a published standard, or the project itself', () => {
  const documents = loadDocuments();
  const unknown = catalogue.requirements.flatMap(({ id, source }) =>
    source.filter((each) => resolveSource(each, documents) === undefined).map((each) => `${id}: ${each}`),
  );
  expect(unknown, 'cite a document by its title in suites/sources.yaml, a standard as sources.ts knows it').toEqual([]);
});

describe('what is wrong in the data is told with its place', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'catalogue-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const row = (
    id: string,
    twin: string,
  ) => `  - {id: ${id}, level: MUST, role: cluster, statement: s, source: [KEP-1205],
      rationale: r, observed: o, remedy: m, twins: [${twin}]}\n`;
  const twin = (name: string, role = 'cluster') => `  - {name: ${name}, role: ${role}, fault: f, cluster: {}}\n`;

  function write(files: Record<string, string>): string {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    return folder;
  }

  test('a good one is taken', () => {
    const loaded = loadCatalogue(
      write({ 's/requirements.yaml': `requirements:\n${row('ZZ-01', 'a')}`, 's/twins.yaml': `twins:\n${twin('a')}` }),
    );
    expect(loaded.twins[0]?.mustFail).toEqual(['ZZ-01']);
  });

  test.each([
    ['no YAML', { 's/requirements.yaml': 'requirements: [' }, 's/requirements.yaml is not YAML'],
    ['no requirements', { 's/twins.yaml': `twins:\n${twin('a')}` }, 'has no requirements.yaml'],
    ['an unknown key', { 's/requirements.yaml': 'requirements: []\nmore: 1' }, 'more'],
    ['no twin', { 's/requirements.yaml': `requirements:\n${row('ZZ-01', '')}` }, 'twins'],
    ['a twin that is not there', { 's/requirements.yaml': `requirements:\n${row('ZZ-01', 'ghost')}` }, 'ghost'],
    [
      'an id given twice',
      {
        's/requirements.yaml': `requirements:\n${row('ZZ-01', 'a')}${row('ZZ-01', 'a')}`,
        's/twins.yaml': `twins:\n${twin('a')}`,
      },
      'given twice',
    ],
    [
      'a twin that proves nothing',
      {
        's/requirements.yaml': `requirements:\n${row('ZZ-01', 'a')}`,
        's/twins.yaml': `twins:\n${twin('a')}${twin('idle')}`,
      },
      'idle',
    ],
  ])('%s', (_, files, message) => {
    expect(() => loadCatalogue(write(files as Record<string, string>))).toThrow(message);
  });
});
