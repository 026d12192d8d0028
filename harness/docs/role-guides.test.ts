/** The examples of the pages "certify your … in ten minutes", as somebody would type them. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { parseDocument } from 'yaml';
import { commandLine, createProgram } from '../cli/program.ts';
import { loadProduct } from '../report/certification/product.ts';
import { ROLES } from '../role-data/index.ts';
import { guideFile } from './role-guides.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** What needs an engine, or a report: it is only held against the command line. */
const NOT_HERE = ['doctor', 'run', 'certify', 'show'];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'conformance-guide-'));
  vi.spyOn(process, 'cwd').mockReturnValue(folder);
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

/** Holds words against the command line, and runs nothing. */
async function typed(words: string[]): Promise<void> {
  const program = createProgram();
  let ran = false;
  for (const each of program.commands) {
    each.action(() => {
      ran = true;
    });
  }
  await program.parseAsync(words, { from: 'user' });
  expect(ran, words.join(' ')).toBe(true);
}

describe.each(ROLES)('the page of the role %s', (role) => {
  const text = readFileSync(join(ROOT, guideFile(role)), 'utf8');
  const block = (language: string): string[] =>
    [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(([, content = '']) => content);
  const commands = block('sh')
    .flatMap((lines) => lines.trim().split('\n'))
    .filter((line) => line.startsWith('npx kube-agent-conformance '))
    .map((line) => line.split(' ').slice(2));

  test('its commands are executed, or taken as they are written', async () => {
    expect(commands.length).toBeGreaterThan(4);
    for (const words of commands) {
      if (NOT_HERE.includes(words[0] ?? '')) {
        await typed(words);
      } else {
        const given = words.map((word) => (word === `${role}.yaml` ? join(folder, word) : word));
        expect(await commandLine(given, () => undefined), words.join(' ')).toBe(0);
      }
    }
    expect(parseDocument(readFileSync(join(folder, `${role}.yaml`), 'utf8')).toJS()).toMatchObject({ role });
  });

  test('its product file is one, and names the target file that was written', () => {
    const [product = ''] = block('yaml');
    writeFileSync(join(folder, 'product.yaml'), product);
    expect(loadProduct(join(folder, 'product.yaml'))).toMatchObject({
      product: { role },
      target: join(folder, `${role}.yaml`),
    });
  });
});

test('the commands of the page on publishing are taken as they are written', async () => {
  const text = readFileSync(join(ROOT, 'harness/docs/publish-results.md'), 'utf8');
  const commands = [...text.matchAll(/`(?:npx kube-agent-)?conformance ((?:certify|results) [^`]+)`/g)];
  expect(commands.map(([, words = '']) => words)).toHaveLength(4);
  for (const [, words = ''] of commands) {
    await typed(words.split(' '));
  }
});
