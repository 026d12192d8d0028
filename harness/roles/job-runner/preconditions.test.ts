import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadCatalogue, SUITES_FOLDER } from '../../catalogue/catalogue.ts';
import { codeOf } from '../../catalogue/code.ts';
import { JOB_RUNNER_CAPABILITIES } from '../../role-data/job-runner/target-file.ts';

const requirements = loadCatalogue().requirements.filter(({ role }) => role === 'job-runner');

/** The text of a function at the top of a module, from its first line to the brace that ends it. */
function sourceOf(file: string, line: number): string {
  const lines = readFileSync(join(SUITES_FOLDER, file), 'utf8')
    .split('\n')
    .slice(line - 1);
  return lines.slice(0, lines.indexOf('}') + 1).join('\n');
}

/** The capabilities that a check takes for granted, as it states them; see `assumes` in record.ts. */
function assumedIn(source: string): string[] {
  const [, given = ''] = /\bassumes\([^']*((?:'[a-z-]+'(?:, )?)+)\)/.exec(source) ?? [];
  return [...given.matchAll(/'([a-z-]+)'/g)].map(([, capability = '']) => capability);
}

describe('the capabilities of a row are those that its checks take for granted', () => {
  test.each(requirements)('$id', (requirement) => {
    const checks = codeOf(requirement)?.checks ?? [];
    const assumed = checks.flatMap(({ file, line }) => assumedIn(sourceOf(file, line)));
    expect(checks.length).toBeGreaterThan(0);
    expect([...new Set(assumed)].sort()).toEqual([...(requirement.preconditions?.capabilities ?? [])].sort());
  });

  test.each(requirements)('$id: its statement names them', ({ statement, preconditions }) => {
    const named = [...statement.matchAll(/\bdeclares `([a-z-]+)`/g)].map(([, capability = '']) => capability);
    const capabilities: string[] = preconditions?.capabilities ?? [];
    expect(capabilities).toEqual(expect.arrayContaining(named));
    expect(JOB_RUNNER_CAPABILITIES).toEqual(expect.arrayContaining(capabilities));
  });

  test('a check states one capability, or several', () => {
    expect(assumedIn("assumes(record, 'session', 'shared-claim');")).toEqual(['session', 'shared-claim']);
    expect(assumedIn("assumes({ target }, 'timeout');")).toEqual(['timeout']);
    expect(assumedIn('return [];')).toEqual([]);
  });
});
