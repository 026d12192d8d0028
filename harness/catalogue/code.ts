import { readdirSync, readFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { SUITES_FOLDER } from './catalogue.ts';

/** A place in the source, its file relative to the folder of the suites. */
export interface Place {
  file: string;
  /** Counted from 1. */
  line: number;
}

/** Where a requirement is implemented. */
export interface RequirementCode {
  test: Place;
  /** The functions that turn what was recorded into findings; none where the test itself does. */
  checks: (Place & { name: string })[];
}

/** A module of checks: `suites/SUITE/ROLE.checks.ts`, or a folder `checks`. */
const IS_CHECKS = /(?:^|\/)checks\/|\.checks\.ts$/;
const IMPORT = /^import \{([^}]+)\} from '(\.[^']+)';/gm;

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

/** The name of each function that a test imports from a module of checks, with that module. */
function importedChecks(text: string): Map<string, string> {
  const imported = new Map<string, string>();
  for (const [, names = '', specifier = ''] of text.matchAll(IMPORT)) {
    if (IS_CHECKS.test(specifier)) {
      for (const name of names.split(',').map((part) => part.trim())) {
        if (name !== '' && !name.startsWith('type ')) {
          imported.set(name, specifier);
        }
      }
    }
  }
  return imported;
}

function placeOfFunction(file: string, name: string): Place {
  const text = readFileSync(join(SUITES_FOLDER, file), 'utf8');
  const index = text.search(new RegExp(`^export (?:async )?(?:function|const) ${name}\\b`, 'm'));
  return { file, line: index < 0 ? 1 : lineOf(text, index) };
}

/**
 * Finds the test of a requirement in its suite, and the checks that the test names. The sources are read, not loaded.
 *
 * @returns undefined where no test of the suite has that id
 */
export function codeOf({ id, suite }: { id: string; suite: string }): RequirementCode | undefined {
  const tests = readdirSync(join(SUITES_FOLDER, suite)).filter((name) => name.endsWith('.test.ts'));
  for (const name of tests) {
    const file = `${suite}/${name}`;
    const text = readFileSync(join(SUITES_FOLDER, file), 'utf8');
    const start = text.search(new RegExp(`^requirement\\(\\s*'${id}'`, 'm'));
    if (start >= 0) {
      const [body = ''] = text.slice(start).split(/\n(?=requirement\()/);
      const checks = [...importedChecks(text)]
        .filter(([check]) => new RegExp(`\\b${check}\\b`).test(body))
        .map(([check, specifier]) => ({ name: check, ...placeOfFunction(normalize(join(suite, specifier)), check) }));
      return { test: { file, line: lineOf(text, start) }, checks };
    }
  }
  return undefined;
}
