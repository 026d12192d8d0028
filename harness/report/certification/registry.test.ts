import { generateKeyPairSync } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadCatalogue } from '../../catalogue/catalogue.ts';
import { publish as publishIn, signerOf, vendorKeys } from './published-builders.ts';
import { changesIn, checkResults, RESULTS_PAGE, type ResultChange, resultsPage } from './registry.ts';

const catalogue = loadCatalogue();
const VERSION = 'token-client/example-client/2.4.1';

let folder: string;
const at = (...names: string[]): string => join(folder, ...names);
/** Publishes a bundle as a vendor does. */
const publish = (options?: Parameters<typeof publishIn>[1]): void => publishIn(folder, options);

function writePage(): void {
  writeFileSync(at(RESULTS_PAGE), resultsPage(checkResults(folder, catalogue).results));
}

const problems = (changes: ResultChange[] = []): string[] =>
  checkResults(folder, catalogue, changes).problems.map(({ path, problem }) => `${path}: ${problem}`);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'conformance-results-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('published results', { timeout: 60_000 }, () => {
  test('in which nothing is wrong have a table with a line for each', () => {
    publish();
    publish({ version: '2.4.2', failed: 'TR-25' });
    writePage();
    expect(problems()).toEqual([]);
    const page = readFileSync(at(RESULTS_PAGE), 'utf8');
    expect(page).toContain('2 certified versions');
    expect(page).toMatch(
      /^\| \[Example Client\]\(token-client\/example-client\/2\.4\.2\/README\.md\) \| 2\.4\.2 \| Example Ltd \| .* TR-25 /m,
    );
  });

  test('whose table is an old one', () => {
    publish();
    expect(problems()).toEqual([expect.stringMatching(/^README.md: it is not the table/)]);
  });

  test('with a bundle that was altered', () => {
    publish();
    const file = at(VERSION, 'report.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace('"passed"', '"failed"'));
    expect(problems().join('\n')).toMatch(/example-client\/2\.4\.1: report\.json was altered/);
  });

  test('that certify nothing', () => {
    publish({ failed: 'TR-20' });
    expect(problems()).toEqual([`${VERSION}: it certifies nothing: not conformant: MUST not kept: TR-20 (failed)`]);
  });

  test('that somebody else signed, or nobody', () => {
    const other = generateKeyPairSync('ed25519');
    publish({ signer: signerOf(other.privateKey, other.publicKey) });
    expect(problems()).toEqual([expect.stringMatching(/signed by another key/)]);
    rmSync(at('token-client'), { recursive: true });
    publish({ signed: false });
    expect(problems()).toEqual([`${VERSION}: it is not signed: there is no attestation.json`]);
  });

  test('in the folder of another product, role or version', () => {
    publish();
    mkdirSync(at('job-runner/other'), { recursive: true });
    cpSync(at(VERSION), at('job-runner/other/3'), { recursive: true });
    cpSync(at('token-client/example-client/vendor.pub'), at('job-runner/other/vendor.pub'));
    expect(problems()).toEqual([
      'job-runner/other/3: its product.yaml belongs into the folder token-client and not job-runner (role)',
      'job-runner/other/3: its product.yaml belongs into the folder example-client and not other (product)',
      'job-runner/other/3: its product.yaml belongs into the folder 2.4.1 and not 3 (version)',
    ]);
  });

  test('with a private key, with no key, with files that have no place, with a role that is none', () => {
    publish();
    const key = at('token-client/example-client/vendor.pub');
    writeFileSync(key, vendorKeys.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    expect(problems()).toContainEqual(expect.stringMatching(/vendor.pub: it is a private key, and known to everybody/));
    rmSync(key);
    writeFileSync(at('token-client/notes.txt'), '');
    mkdirSync(at('agents'));
    expect(problems()).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/vendor.pub: it is missing/),
        expect.stringMatching(/notes.txt: it has no place here/),
        expect.stringMatching(/^agents: no role is called so: cluster, /),
      ]),
    );
  });

  test('of which one was published before stay as they are', () => {
    publish();
    writePage();
    expect(
      problems([
        { path: `${VERSION}/report.json`, kind: 'changed' },
        { path: 'token-client/example-client/1.0.0/report.json', kind: 'removed' },
        { path: 'token-client/example-client/vendor.pub', kind: 'changed' },
        { path: RESULTS_PAGE, kind: 'changed' },
        { path: 'token-client/example-client/3/report.json', kind: 'added' },
      ]),
    ).toEqual([
      `${VERSION}/report.json: it was published, and is changed: publish a correction as another version`,
      expect.stringMatching(/1\.0\.0\/report.json: it was published, and is removed/),
      expect.stringMatching(/vendor.pub: it was changed: whoever has the old key has to vouch/),
    ]);
  });

  test('of another version of the harness are welcome, unless they are new', () => {
    publish();
    const older = { ...catalogue, digest: 'd'.repeat(64) };
    expect(checkResults(folder, older).problems.map(({ problem }) => problem)).toEqual([
      expect.stringMatching(/^it is not the table/),
    ]);
    expect(checkResults(folder, older, [{ path: `${VERSION}/report.json`, kind: 'added' }]).problems).toContainEqual({
      path: VERSION,
      problem: expect.stringMatching(/^it was made by version .* of the harness: check it with that one/),
    });
  });
});

test('what Git says of a folder is told from there', () => {
  expect(
    changesIn('A\tdocs/results/a b\nM\tdocs/results/c\nD\tdocs/results/d/e\n', '/repo', '/repo/docs/results'),
  ).toEqual([
    { path: 'a b', kind: 'added' },
    { path: 'c', kind: 'changed' },
    { path: 'd/e', kind: 'removed' },
  ]);
});
