import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { loadCatalogue } from '../catalogue/catalogue.ts';
import { createProgram } from '../cli/program.ts';
import { twinCandidates } from '../run/plan.ts';
import { pages } from './pages.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PAGES = pages();
const read = (file: string): string => readFileSync(resolve(ROOT, file), 'utf8');
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

test('the reference pages are those of the code', () => {
  for (const [file, content] of Object.entries(PAGES)) {
    expect(readFileSync(file, 'utf8'), 'run `npm run docs`').toBe(content);
  }
});

test('the index of the decision records names each of them, by its own title', () => {
  const folder = resolve(ROOT, 'harness/docs/decisions');
  const records = readdirSync(folder).filter((file) => /^\d{4}-.*\.md$/.test(file));
  const index = readFileSync(resolve(folder, 'README.md'), 'utf8');
  expect(records.length).toBeGreaterThanOrEqual(10);
  for (const file of records) {
    const [, number, title] = /^# (\d{4}): (.*)$/m.exec(readFileSync(resolve(folder, file), 'utf8')) ?? [];
    expect(index).toContain(`| [${number}](${file}) | ${title} |`);
  }
});

test('every suite says what it is about', () => {
  const { suites, about } = loadCatalogue();
  expect(
    suites.filter((suite) => about[suite] === ''),
    'write `about:` into its requirements.yaml',
  ).toEqual([]);
});

test('the links of the reference pages lead to files', () => {
  for (const [file, content] of Object.entries(PAGES)) {
    for (const [, link = ''] of content.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      expect(existsSync(resolve(dirname(file), link)), `${link} in ${file}`).toBe(true);
    }
  }
});

const GUIDES = ['live-clusters.md', 'distributions.md', 'publish-results.md'].map((file) => `harness/docs/${file}`);

describe.each(GUIDES)('%s', (file) => {
  const text = read(file);
  const program = createProgram();

  /** The command that some words begin with, and their options. */
  function parse(words: string[]): { command: Command | undefined; options: string[] } {
    let [found]: (Command | undefined)[] = program.commands.filter((each) => each.name() === words[0]);
    const below = found?.commands.find((each) => each.name() === words[1]);
    found = below ?? found;
    return {
      command: found,
      options: words.filter((word) => /^--\w/.test(word)).map((word) => word.split('=')[0] ?? ''),
    };
  }

  const flagsOf = (command: Command | undefined): string[] =>
    (command?.options ?? []).flatMap(({ long }) => long ?? []);

  test('its commands and their options exist', () => {
    const written = [...text.matchAll(/(?:`conformance|^ {4}npm run conformance --) ([^`\n]+)/gm)];
    expect(written.length).toBeGreaterThan(0);
    for (const [whole, rest = ''] of written) {
      const [own = [], further = []] = rest.split(' -- ').map((part) => part.split(/\s+/));
      const { command, options } = parse(own);
      expect(command, whole).toBeDefined();
      // What follows the second `--` is for `conformance run`.
      const ofRun = parse(['run', ...further]);
      for (const [known, given] of [[command, options] as const, [ofRun.command, ofRun.options] as const]) {
        expect(
          given.filter((option) => !flagsOf(known).includes(option)),
          whole,
        ).toEqual([]);
      }
    }
  });

  test('the options that it names alone are of some command, or of another program', () => {
    const all = program.commands.flatMap((command) => [command, ...command.commands]).flatMap(flagsOf);
    const others = ['--disable-network-policy', '--enable-oidc-issuer'];
    const named = [...text.matchAll(/`(--[a-z][a-z0-9-]*)/g)].map(([, option]) => option);
    expect(named.filter((option) => ![...all, ...others].includes(option ?? ''))).toEqual([]);
  });

  test('its links lead to files', () => {
    for (const [, link = ''] of text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      expect(existsSync(resolve(ROOT, dirname(file), link)), link).toBe(true);
    }
  });
});

describe.each(['README.md', 'CONTRIBUTING.md', 'ci/github-actions.yaml'])('%s', (file) => {
  const text = read(file);
  const commands = [...text.matchAll(/(?:^ {4}|`|run: )(npm (?:run|test)[^`\n#]*)/gm)].map(([, command = '']) =>
    command.trim(),
  );

  test('its commands exist and are taken as they are written', async () => {
    expect(commands.length).toBeGreaterThan(1);
    for (const command of commands) {
      const [, script = 'test', rest = ''] = /^npm (?:run )?([\w:]+)(?: -- (.*))?$/.exec(command) ?? [];
      expect(scripts, command).toHaveProperty(script);
      if (script === 'conformance' && rest !== '') {
        const program = createProgram();
        let ran = false;
        for (const each of program.commands) {
          each.action(() => {
            ran = true;
          });
        }
        const words = rest.replace('TWIN', loadCatalogue().twins[0]?.name ?? '').split(' ');
        await program.parseAsync(words, { from: 'user' });
        expect(ran, command).toBe(true);
        if (words[0] === 'prove') {
          expect(twinCandidates(loadCatalogue(), { twins: words.slice(1) })).toHaveLength(1);
        }
      }
    }
  });

  test('its links lead to files', () => {
    for (const [, link = ''] of text.matchAll(/\]\(([^)#]+)\)/g)) {
      expect(existsSync(resolve(ROOT, dirname(file), link)), link).toBe(true);
    }
  });

  test('the files that it names exist', () => {
    for (const [, path = ''] of text.matchAll(/`((?:harness|suites|fixtures|ci)\/[^`\s]*)`/g)) {
      // A path in capitals stands for many: suites/SUITE/ROLE.test.ts.
      if (!/[A-Z]{3}/.test(path)) {
        expect(existsSync(resolve(ROOT, path)), path).toBe(true);
      }
    }
  });

  test('it lists every command and names no other', () => {
    const known = createProgram().commands.map((command) => command.name());
    for (const [, name] of text.matchAll(/`conformance ([a-z]+)/g)) {
      expect(known).toContain(name);
    }
  });
});
