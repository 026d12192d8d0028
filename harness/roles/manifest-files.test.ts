import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkFiles, readObjects } from './manifest-files.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'conformance-manifests-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const target = () => ({ file: join(folder, 'target.yaml'), folder });

function read(text: string): unknown[] {
  writeFileSync(join(folder, 'objects.yaml'), text);
  return readObjects(target(), { field: 'install.files', names: ['objects.yaml'] });
}

const ROLE = '{ apiVersion: v1, kind: ConfigMap, metadata: { name: one }, data: { text: "${text}" } }';

describe('manifests', () => {
  test('are read document by document, and those of a List one by one', () => {
    expect(read(`${ROLE}\n---\n# nothing\n---\n${ROLE}`)).toHaveLength(2);
    expect(read(`{ apiVersion: v1, kind: List, items: [${ROLE}, ${ROLE}, ${ROLE}] }`)).toHaveLength(3);
    expect(read(ROLE)).toEqual([expect.objectContaining({ kind: 'ConfigMap', data: { text: '${text}' } })]);
  });

  test.each([
    [
      'a web page',
      '<!DOCTYPE html>\n<html><body>Sign in</body></html>',
      /is a web page, and no YAML.*download the raw file/,
    ],
    ['not YAML', 'a: [', /is not YAML: /],
    ['a text', 'Not Found', /no object of Kubernetes.*begins with "Not Found"/],
    ['an object without a kind', '{ apiVersion: v1, metadata: { name: one } }', /no object of Kubernetes/],
    ['a list with something else', '{ apiVersion: v1, kind: List, items: [1] }', /no object of Kubernetes/],
  ])('that are %s name the file and the field of the target file', (_, text, message) => {
    expect(() => read(text)).toThrow(message);
    expect(() => read(text)).toThrow(/objects\.yaml, which `install\.files` of .*target\.yaml names,/);
  });

  test('that are not there name both, too', () => {
    const names = ['no-such-file.yaml'];
    expect(() => readObjects(target(), { field: 'manifests.files', names })).toThrow(
      /no-such-file\.yaml, which `manifests\.files` of .*target\.yaml names, cannot be read: ENOENT/,
    );
  });
});

describe('the program of a command', () => {
  test('has to be there where it is a relative path', () => {
    expect(() => checkFiles(target(), { command: ['node', './no-such-file.js'] })).toThrow(
      /`start\.command` of .*target\.yaml names \.\/no-such-file\.js, and there is no .*no-such-file\.js/,
    );
    writeFileSync(join(folder, 'main.js'), '');
    expect(() => checkFiles(target(), { command: ['node', './main.js', '--out', './later'] })).not.toThrow();
  });

  test('may be something that only a run knows', () => {
    expect(() => checkFiles(target(), { command: ['node', '../${workload}/main.ts'] })).not.toThrow();
    expect(() => checkFiles(target(), { command: ['bun', 'run'] })).not.toThrow();
  });
});
