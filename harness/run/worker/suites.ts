import { existsSync } from 'node:fs';
import * as modules from 'node:module';
import { pathToFileURL } from 'node:url';
import { inject, test } from 'vitest';
import { SUITES_FOLDER } from '../../catalogue/catalogue.ts';

/**
 * All requirements of one role in one test worker: the tests of every suite that has any planned. A worker for each
 * file of each suite would load the harness twenty times, which costs a small machine a minute of its processors.
 */
const role = inject('role');
const { suites } = inject('conformance');

for (const suite of suites) {
  const file = `${SUITES_FOLDER}${suite}/${role}.test.ts`;
  if (existsSync(file)) {
    await import(/* @vite-ignore */ pathToFileURL(file).href);
  }
}
// A worker is ended, and does not exit: the next run would compile all of it again. Node 20 has no such cache.
modules.flushCompileCache?.();
// Vitest takes a file without any test for a fault.
test.skip('(the role has nothing planned)');
