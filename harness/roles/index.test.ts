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

/** Most roles' names are words of no other meaning. */
const named = new RegExp(`(['"\`])(${ROLES.filter((role) => role.includes('-')).join('|')})\\1`);

/** That of the cluster is one of many things: it is the role's name where a role is asked for. */
const cluster =
  /\brole\)? *[!=]== *'cluster'|\brole: *'cluster'|<'cluster'>|(targetFor|targetOf|twinFor)\([^)]*'cluster'/;

test('a role is a folder, a line in the register of its data and a line here: no room names a role', () => {
  const files = globSync(`{${ROOMS}}/**/*.ts`, { cwd: HARNESS }).filter((file) => !TESTS.test(file));
  const literals = files.flatMap((file) =>
    readFileSync(join(HARNESS, file), 'utf8')
      .split('\n')
      .flatMap((line, index) =>
        named.test(line) || cluster.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [],
      ),
  );
  expect(files.length).toBeGreaterThan(150);
  expect(literals).toEqual([]);
});

test('the search finds the name of a role', () => {
  expect(["t.image('job-runner')", "role === 'cluster'", "targetFor(candidate, 'cluster')"]).toSatisfy(
    (lines: string[]) => lines.every((line) => named.test(line) || cluster.test(line)),
  );
});

test('every role has a definition', () => {
  expect(ROLE_DEFINITIONS.map(({ role }) => role).toSorted()).toEqual([...ROLES].toSorted());
});
