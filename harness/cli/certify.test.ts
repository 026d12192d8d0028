import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { loadCatalogue } from '../catalogue/catalogue.ts';
import { bundleFiles, writeBundle } from '../report/certification/bundle.ts';
import { loadSigner } from '../report/certification/keys.ts';
import { canonicalPlan } from '../report/certification/plan.ts';
import { parseProduct } from '../report/certification/product.ts';
import { reportOf, resultOf } from '../report/report-builders.ts';
import { printed } from './printed.ts';

let folder: string;
const inFolder = (name: string): string => join(folder, name);
const PRODUCT = 'apiVersion: conformance-product/v1\nvendor: Example\nname: Example\nversion: 1.0.0\nrole: cluster\n';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'conformance-certify-'));
  for (const name of ['a', 'b']) {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    writeFileSync(inFolder(`${name}.pem`), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(inFolder(`${name}.pub`), publicKey.export({ type: 'spki', format: 'pem' }));
  }
  writeFileSync(inFolder('product.yaml'), PRODUCT);
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

test.each([
  ['no product file', ['--product', 'nowhere.yaml'], /product file nowhere.yaml cannot be read/],
  [
    'a product without a target file',
    ['--product', 'PRODUCT-WITHOUT-TARGET'],
    /target.*needed for every role but cluster|needed for every role but cluster/s,
  ],
  ['two keys', ['--product', 'PRODUCT', '--key', 'a.pem', '--key', 'b.pem'], /one signature: give --key once/],
  ['a public key', ['--product', 'PRODUCT', '--key', 'PUBLIC'], /is a public one/],
  ['a command without its public key', ['--product', 'PRODUCT', '--signer', 'true'], /--signer needs --key/],
  ['a folder that is no bundle', ['--product', 'PRODUCT', '--bundle', 'FULL'], /is not empty and is no bundle/],
  [
    'a target file that is not there',
    ['--product', 'PRODUCT', '--target', 'gone.yaml'],
    /target file gone.yaml cannot be read/,
  ],
])('certify with %s: 64, before anything is started', async (_, words, message) => {
  writeFileSync(inFolder('runner.yaml'), PRODUCT.replace('cluster', 'job-runner'));
  mkdirSync(inFolder('full'));
  writeFileSync(inFolder('full/x'), '');
  const paths: Record<string, string> = {
    PRODUCT: inFolder('product.yaml'),
    'PRODUCT-WITHOUT-TARGET': inFolder('runner.yaml'),
    PUBLIC: inFolder('a.pub'),
    FULL: inFolder('full'),
  };
  const { code, err } = await printed('certify', ...words.map((word) => paths[word] ?? word));
  expect(err).toMatch(message);
  expect(code).toBe(64);
});

test('verify: 0 for a bundle by the key, 1 for another key or an altered file, 64 for none', async () => {
  const catalogue = loadCatalogue();
  const plan = canonicalPlan(catalogue, ['cluster']);
  const report = reportOf(
    plan.requirements.map(({ id, level }) => resultOf(id, 'passed', { level })),
    {
      catalogue: { digest: catalogue.digest, requirements: catalogue.requirements.length },
      target: { name: 'example', role: 'cluster' },
    },
  );
  const product = parseProduct(PRODUCT, 'product.yaml');
  writeBundle(
    inFolder('bundle'),
    bundleFiles({ report, product, productSource: PRODUCT, plan, signer: loadSigner(inFolder('a.pem')) }),
  );
  expect(await printed('verify', inFolder('bundle'), '--key', inFolder('a.pub'))).toMatchObject({
    code: 0,
    out: expect.stringMatching(/signed by the key [0-9a-f]{16}.*\n.*certified: Example 1\.0\.0 as cluster/),
  });
  expect(await printed('verify', inFolder('bundle'), '--key', inFolder('b.pub'))).toMatchObject({
    code: 1,
    out: expect.stringMatching(/signed by another key.*not to be trusted: Example/s),
  });
  writeFileSync(inFolder('bundle/e2e.log'), 'ok\n');
  expect(await printed('verify', inFolder('bundle'))).toMatchObject({
    code: 1,
    out: expect.stringContaining('e2e.log was altered'),
  });
  expect(await printed('verify', inFolder('nowhere'))).toMatchObject({ code: 64 });
  expect(await printed('verify', inFolder('bundle'), '--key', 'x', '--key', 'y')).toMatchObject({
    code: 64,
    err: expect.stringContaining('one key at a time'),
  });
});
