import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ROLES } from '../role-data/index.ts';
import { ROLE_DEFINITIONS } from './index.ts';

const HARNESS = fileURLToPath(new URL('../', import.meta.url));

/** Rooms that serve every role alike. */
const ROOMS = 'catalogue,targets,kubernetes,oauth,rpc,fakes,environment,run,report,cli';

const TESTS = /\.test\.ts$|-builders\.ts$/;

/** Slots that the environment fills itself: their names are those of its parts, too. */
const OF_ENVIRONMENT = ['cluster', 'identity-provider'];

/** The names of the others have no other meaning. */
const named = new RegExp(`(['"\`])(${ROLES.filter((role) => !OF_ENVIRONMENT.includes(role)).join('|')})\\1`);

/** Where a role is asked for, they are names of roles. */
const quoted = `'(${OF_ENVIRONMENT.join('|')})'`;
const asked = new RegExp(
  [`\\brole\\)? *[!=]== *${quoted}`, `\\brole: *${quoted}`, `<${quoted}>`, `(For|Of)\\([^)]*${quoted}`].join('|'),
);

const namesRole = (line: string): boolean => named.test(line) || asked.test(line);

test('a role is a folder, a line in the register of its data and a line here: no room names a role', () => {
  const files = globSync(`{${ROOMS}}/**/*.ts`, { cwd: HARNESS }).filter((file) => !TESTS.test(file));
  const literals = files.flatMap((file) =>
    readFileSync(join(HARNESS, file), 'utf8')
      .split('\n')
      .flatMap((line, index) => (namesRole(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
  );
  expect(files.length).toBeGreaterThan(150);
  expect(literals).toEqual([]);
});

test('the search finds the name of a role, where it is one', () => {
  const lines = [
    "t.image('job-runner')",
    "role !== 'identity-provider' && (",
    "target.role === 'cluster'",
    "targetFor(candidate, 'cluster')",
    "Target<'identity-provider'>",
    "scope: 'cluster'",
  ];
  expect(lines.filter((line) => !namesRole(line))).toEqual(["scope: 'cluster'"]);
});

test('every role has a definition', () => {
  expect(ROLE_DEFINITIONS.map(({ role }) => role).toSorted()).toEqual([...ROLES].toSorted());
});
