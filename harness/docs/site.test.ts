import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { JSDOM } from 'jsdom';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildSite } from './site.ts';

let folder: string;
let written: string[];
const documents = new Map<string, Document>();

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'conformance-site-'));
  written = buildSite(folder);
  const parser = new new JSDOM('').window.DOMParser();
  for (const file of written.filter((one) => one.endsWith('.html'))) {
    documents.set(file, parser.parseFromString(readFileSync(join(folder, file), 'utf8'), 'text/html'));
  }
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

test('every link leads to a page, to an anchor of it, or to a file', () => {
  const broken: string[] = [];
  let count = 0;
  for (const [file, document] of documents) {
    for (const link of document.querySelectorAll('a[href], img[src]')) {
      const address = link.getAttribute('href') ?? link.getAttribute('src') ?? '';
      if (/^[a-z]+:/.test(address)) {
        continue;
      }
      count += 1;
      const [path = '', anchor] = address.split('#');
      const to = path === '' ? file : posix.normalize(posix.join(posix.dirname(file), decodeURI(path)));
      const isThere = written.includes(to) && (anchor === undefined || documents.get(to)?.getElementById(anchor));
      if (!isThere) {
        broken.push(`${file}: ${address}`);
      }
    }
  }
  expect(broken).toEqual([]);
  expect(count).toBeGreaterThan(2_000);
});

test('every page has a title and one first heading, and loads nothing from elsewhere', () => {
  expect(documents.size).toBeGreaterThan(50);
  for (const [file, document] of documents) {
    expect(document.title, file).toMatch(/.+ · kube-agent-conformance$/);
    expect(document.querySelectorAll('main h1'), file).toHaveLength(1);
    expect(document.querySelectorAll('script, link, [src^="http"]'), file).toHaveLength(0);
  }
  expect(documents.get('index.html')?.querySelector('img')?.getAttribute('alt')).toContain('not conformant');
});
