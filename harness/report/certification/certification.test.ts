import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { loadCatalogue } from '../../catalogue/catalogue.ts';
import { UsageError } from '../../core/errors.ts';
import type { Outcome } from '../../core/outcome.ts';
import type { Report } from '../report.ts';
import { reportOf, resultOf } from '../report-builders.ts';
import { readBundle, writeArchive } from './archive.ts';
import { ATTESTATION, type BundleParts, bundleFiles, CHECKSUMS, checksums, PUBLIC_KEY, writeBundle } from './bundle.ts';
import { open, preAuthenticationEncoding } from './dsse.ts';
import { commandSigner, keyIdOf, loadPublicKey, loadSigner } from './keys.ts';
import { canonicalPlan } from './plan.ts';
import { parseProduct } from './product.ts';
import { productOfVersion } from './product-builders.ts';
import { sha256 } from './statement.ts';
import { readFolder, verifyBundle } from './verify.ts';

vi.setConfig({ testTimeout: 60_000 });

const catalogue = loadCatalogue();
const plan = canonicalPlan(catalogue, ['token-client']);
const PRODUCT = productOfVersion('2.4.1');
const TARGET = 'apiVersion: conformance/v1\nrole: token-client\nname: example\n';

/** A report of the whole plan of a token client, in which some requirements did not pass. */
function reportWith(outcomes: Record<string, Outcome> = {}, more: Partial<Report> = {}): Report {
  const results = plan.requirements.map(({ id, level }) =>
    resultOf(id, outcomes[id] ?? 'passed', { level, role: 'token-client' }),
  );
  return reportOf(results, {
    catalogue: { digest: catalogue.digest, requirements: catalogue.requirements.length },
    target: {
      name: 'example',
      role: 'token-client',
      files: [{ name: 'example', role: 'token-client', capabilities: [], digest: sha256(TARGET) }],
    },
    ...more,
  });
}

let folder: string;
let bundle: string;
const inFolder = (name: string): string => join(folder, name);
const inBundle = (name: string): string => join(bundle, name);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'conformance-certification-'));
  bundle = inFolder('bundle');
});
afterEach(() => rmSync(folder, { recursive: true }));

function keyFiles(type: 'ed25519' | 'ec' | 'rsa' = 'ed25519', name = 'key'): { secret: string; open: string } {
  const { privateKey, publicKey } =
    type === 'ed25519'
      ? generateKeyPairSync('ed25519')
      : type === 'ec'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('rsa', { modulusLength: 2048 });
  const [secret, opened] = [inFolder(`${name}.pem`), inFolder(`${name}.pub`)];
  writeFileSync(secret, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(opened, publicKey.export({ type: 'spki', format: 'pem' }));
  return { secret, open: opened };
}

/** Writes a bundle and gives its key. */
function certified(parts: Partial<BundleParts> = {}, type: 'ed25519' | 'ec' = 'ed25519'): KeyObject {
  const signer = loadSigner(keyFiles(type).secret);
  const files = bundleFiles({
    report: reportWith(),
    product: parseProduct(PRODUCT, 'product.yaml'),
    productSource: PRODUCT,
    targetSource: TARGET,
    plan,
    signer,
    ...parts,
  });
  writeBundle(bundle, files);
  return signer.publicKey;
}

const verify = (key?: KeyObject) => verifyBundle(readFolder(bundle), key, catalogue);

describe('a bundle that nobody touched', () => {
  test.each(['ed25519', 'ec'] as const)('is verified by its key: %s', (type) => {
    const key = certified({}, type);
    expect(verify(key)).toMatchObject({
      problems: [],
      shortcomings: [],
      notes: [`signed by the key ${keyIdOf(key).slice(0, 16)}`],
      product: { name: 'Example Client' },
    });
  });

  test('without the vendor’s key the files belong together, and whose they are is not known', () => {
    certified();
    const { problems, notes } = verify();
    expect(problems).toEqual([]);
    expect(notes.join()).toMatch(/by the key .* in the bundle itself: whose that is shows only --key/);
  });

  test('unsigned, it says so; with a key it is not trusted', () => {
    certified({ signer: undefined });
    expect(verify()).toMatchObject({ problems: [], notes: ['it is not signed: anybody may have made it'] });
    expect(verify(loadPublicKey(keyFiles('ec', 'other').open)).problems).toEqual([
      `it is not signed: there is no ${ATTESTATION}`,
    ]);
  });

  test('its attestation is a test result over every other file', () => {
    certified({ report: reportWith({ 'TR-25': 'failed', 'TR-26': 'not applicable' }) });
    const { statement } = open(readFileSync(inBundle(ATTESTATION), 'utf8'));
    expect(statement).toMatchObject({
      _type: 'https://in-toto.io/Statement/v1',
      predicateType: 'https://in-toto.io/attestation/test-result/v0.1',
      predicate: { result: 'WARNED', warnedTests: ['TR-25'], failedTests: [] },
    });
    const { subject, predicate } = statement as {
      subject: { name: string; digest: { sha256: string } }[];
      predicate: { passedTests: string[]; configuration: unknown[] };
    };
    expect(subject.map(({ name }) => name)).toEqual([
      'README.md',
      'e2e.log',
      'junit.xml',
      PUBLIC_KEY,
      'plan.json',
      'product.yaml',
      'report.html',
      'report.json',
      'results.json',
      'target.yaml',
      CHECKSUMS,
    ]);
    for (const { name, digest } of subject) {
      expect(digest.sha256, name).toBe(sha256(readFileSync(inBundle(name))));
    }
    expect(predicate.passedTests).not.toContain('TR-26');
    expect(predicate.configuration).toContainEqual({ name: 'plan', digest: { sha256: plan.digest } });
  });

  test('its README says how to verify and to reproduce it', () => {
    certified();
    const text = readFileSync(inBundle('README.md'), 'utf8');
    expect(text).toMatch(/^# Example Client 2\.4\.1: certified as token-client\n/);
    expect(text).toMatch(/## Reproduce\n.*certify --product product\.yaml --target target\.yaml\n/s);
  });
});

describe('any byte that is altered is named with its file', () => {
  const names = [
    'README.md',
    'e2e.log',
    PUBLIC_KEY,
    'junit.xml',
    'plan.json',
    'product.yaml',
    'report.html',
    'report.json',
    'results.json',
    'target.yaml',
    CHECKSUMS,
    ATTESTATION,
  ];

  test.each(names)('%s', (name) => {
    const key = certified();
    const before = readFileSync(inBundle(name));
    const places = [0, 1, 2, 3, 4, 5].map((part) =>
      Math.min(before.length - 1, Math.floor((before.length * part) / 5)),
    );
    for (const place of new Set(places)) {
      const altered = Buffer.from(before);
      altered[place] = (before[place] ?? 0) ^ 1;
      writeFileSync(inBundle(name), altered);
      for (const by of [key, undefined]) {
        const { problems } = verify(by);
        expect(problems.join('\n'), `byte ${place}`).toContain(name);
      }
    }
    writeFileSync(inBundle(name), before);
    expect(verify(key).problems).toEqual([]);
  });

  test('of a file that is made from the report, the very byte', () => {
    const key = certified();
    const before = readFileSync(inBundle('report.html'));
    before[12_345] = (before[12_345] ?? 0) ^ 1;
    writeFileSync(inBundle('report.html'), before);
    expect(verify(key).problems).toEqual([
      'report.html was altered: its SHA-256 is not the one in attestation.json; the first byte that report.json does not make is 12345',
    ]);
  });

  test('white space in the envelope, which no signature covers', () => {
    const key = certified();
    appendFileSync(inBundle(ATTESTATION), ' ');
    expect(verify(key).problems.join()).toMatch(
      /attestation.json was altered: it was altered beside what is signed, at byte \d+/,
    );
  });
});

describe('who knows how bundles are made', () => {
  function resum(): void {
    const sums = readFileSync(inBundle(CHECKSUMS), 'utf8');
    const names = [...sums.matchAll(/ {2}(.+)$/gm)].map(([, name = '']) => name);
    writeFileSync(
      inBundle(CHECKSUMS),
      checksums(Object.fromEntries(names.map((name) => [name, readFileSync(inBundle(name), 'utf8')]))),
    );
  }

  test('and makes the checksums anew is found by the attestation', () => {
    const key = certified();
    writeFileSync(inBundle('product.yaml'), PRODUCT.replace('2.4.1', '2.4.2'));
    resum();
    expect(verify(key).problems.join('\n')).toMatch(/product.yaml was altered.*attestation.json/);
    expect(verify().problems.join('\n')).toMatch(/product.yaml was altered.*attestation.json/);
  });

  test('and signs anew is found by the vendor’s key', () => {
    const key = certified();
    certified({ signer: loadSigner(keyFiles('ed25519', 'other').secret) });
    expect(verify(key).problems).toEqual([
      expect.stringMatching(/signed by another key \(.*\) than the one that was given/),
    ]);
  });

  test('and signs a verdict that its results do not come to: it is worked out anew', () => {
    const lied = { ...reportWith({ 'TR-20': 'failed' }), conformant: true, reasons: [] };
    const key = certified({ report: lied });
    const { problems, shortcomings } = verify(key);
    expect(problems.join('\n')).toContain('it says conformant, its results come to not conformant');
    expect(shortcomings).toEqual([]);
  });

  test('and leaves results out of the summary, or asks less than the plan', () => {
    const honest = reportWith();
    const key = certified({ report: { ...honest, summary: { ...honest.summary, passed: 1 } } });
    expect(verify(key).problems.join('\n')).toContain('its summary is not that of its results');
  });

  test('a second signature: somebody else vouches, who is not known', () => {
    const key = certified();
    const envelope = JSON.parse(readFileSync(inBundle(ATTESTATION), 'utf8')) as {
      signatures: { keyid: string; sig: string }[];
    };
    envelope.signatures.push({ keyid: 'f'.repeat(64), sig: 'AAAA' });
    writeFileSync(inBundle(ATTESTATION), `${JSON.stringify(envelope, null, 2)}\n`);
    expect(verify(key).problems).toEqual([
      `attestation.json has 2 signatures; nobody vouches for that of ${'f'.repeat(16)}`,
    ]);
  });
});

describe('what certifies nothing', () => {
  test('a partial run', () => {
    const { results, catalogue: evaluatedBy, target } = reportWith();
    const key = certified({ report: reportOf(results.slice(0, 3), { catalogue: evaluatedBy, target }) });
    const { problems, shortcomings } = verify(key);
    expect(problems).toEqual([]);
    expect(shortcomings).toEqual([
      expect.stringMatching(
        new RegExp(`a partial run: it planned 3 of the ${plan.requirements.length} requirements.*and \\d+ more`),
      ),
    ]);
    expect(readFileSync(inBundle('README.md'), 'utf8')).toContain(': not certified as token-client');
  });

  test('a run that is not conformant', () => {
    const key = certified({ report: reportWith({ 'TR-20': 'failed' }) });
    expect(verify(key)).toMatchObject({
      problems: [],
      shortcomings: ['not conformant: MUST not kept: TR-20 (failed)'],
    });
  });

  test('a report by another catalogue can only be checked by the version that made it', () => {
    const key = certified({ report: reportWith({}, { catalogue: { digest: 'c'.repeat(64), requirements: 3 } }) });
    const { problems, notes, shortcomings } = verify(key);
    expect(problems).toEqual([]);
    expect(notes.join()).toContain('with the catalogue cccccccccccc');
    expect(shortcomings).toEqual(['the plan of another version of the catalogue cannot be checked here']);
  });
});

describe('bundles that are not whole', () => {
  test('a file is missing', () => {
    const key = certified();
    rmSync(inBundle('junit.xml'));
    expect(verify(key).problems).toContain('junit.xml is missing: the bundle was cut off');
  });

  test('a file ends in the middle', () => {
    const key = certified();
    truncateSync(inBundle('report.json'), 2000);
    expect(verify(key).problems.join('\n')).toMatch(
      /report.json cannot be read: it ends in the middle, after 2000 characters/,
    );
  });

  test('a file too many', () => {
    const key = certified();
    writeFileSync(inBundle('notes.txt'), 'see here');
    expect(verify(key).problems).toEqual(['notes.txt is no file of a bundle, and nothing vouches for it']);
  });

  test('a report of another major version', () => {
    const key = certified();
    const text = readFileSync(inBundle('report.json'), 'utf8').replace('conformance/v1', 'conformance/v2');
    writeFileSync(inBundle('report.json'), text);
    expect(verify(key).problems.join('\n')).toContain(
      'report.json is not a report of this version: it is conformance/v2',
    );
  });

  test('none at all is a usage error', () => {
    expect(() => verify()).toThrow(/is no folder/);
    expect(() => readFolder(folder)).toThrow(/holds no file of a bundle/);
  });

  test('the report of a run is none', () => {
    for (const name of ['report.json', 'report.html', 'junit.xml']) {
      writeFileSync(inFolder(name), '{}');
    }
    expect(() => readFolder(folder)).toThrow(/is the report of a run and no bundle: `conformance certify` writes/);
  });
});

describe('a bundle in one file', () => {
  const archive = (): string => inFolder('bundle.tar.gz');
  const read = async (key: KeyObject): Promise<string[]> => {
    const { files, problems } = await readBundle(archive());
    return [...problems, ...verifyBundle(files, key, catalogue).problems];
  };
  async function archived(): Promise<KeyObject> {
    const key = certified();
    const files = Object.fromEntries(
      [...readFolder(bundle)].map(([name, content]) => [name, content.toString('utf8')]),
    );
    await writeArchive(archive(), files);
    return key;
  }

  test('is the same bundle', async () => {
    expect(await read(await archived())).toEqual([]);
    expect(readFileSync(archive()).length).toBeLessThan(200_000);
  });

  test('of which any byte is altered is refused', async () => {
    const key = await archived();
    const before = readFileSync(archive());
    const places = [
      3,
      4,
      8,
      9,
      10,
      500,
      Math.floor(before.length / 2),
      before.length - 9,
      before.length - 5,
      before.length - 1,
    ];
    for (const place of places) {
      const altered = Buffer.from(before);
      altered[place] = (before[place] ?? 0) ^ 1;
      writeFileSync(archive(), altered);
      const found = await read(key).catch((error: unknown) => [String(error)]);
      expect(found, `byte ${place}`).not.toEqual([]);
    }
  });

  test('that is cut off says so', async () => {
    const key = await archived();
    truncateSync(archive(), 9_000);
    await expect(read(key)).rejects.toThrow(/bundle.tar.gz is cut off after 9000 bytes: copy it again/);
  });

  test('that is none says so', async () => {
    writeFileSync(archive(), 'hello');
    await expect(readBundle(archive())).rejects.toThrow(/is damaged: incorrect header check/);
    writeFileSync(archive(), gzipSync('hello'.repeat(1000)));
    await expect(readBundle(archive())).rejects.toThrow(/is no tar archive/);
    await expect(readBundle(inFolder('gone.tar.gz'))).rejects.toThrow(UsageError);
  });
});

describe('keys', () => {
  test.each([
    ['is not there', undefined, /cannot be read: ENOENT/],
    ['holds none', 'hello', /holds no key/],
    ['is broken', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n', /cannot be used/],
  ])('a file that %s', (_, content, message) => {
    const file = inFolder('x.pem');
    if (content !== undefined) {
      writeFileSync(file, content);
    }
    expect(() => loadSigner(file)).toThrow(UsageError);
    expect(() => loadSigner(file)).toThrow(message);
  });

  test('two keys in one file, RSA, a public key to sign with', () => {
    const { secret, open: opened } = keyFiles();
    writeFileSync(inFolder('two.pem'), readFileSync(secret, 'utf8') + readFileSync(opened, 'utf8'));
    expect(() => loadSigner(inFolder('two.pem'))).toThrow('holds 2 keys: which of them is meant?');
    expect(() => loadSigner(keyFiles('rsa', 'rsa').secret)).toThrow(/is rsa: an Ed25519 key, or an ECDSA key/);
    expect(() => loadSigner(opened)).toThrow(/is a public one: the private key is needed/);
  });

  test('a command signs in the place of a key file; what it prints is verified', () => {
    const { secret, open: opened } = keyFiles('ec');
    const signer = commandSigner(`openssl dgst -sha256 -sign '${secret}' | base64 -w0`, opened);
    writeBundle(
      bundle,
      bundleFiles({ report: reportWith(), product: parseProduct(PRODUCT, 'p'), productSource: PRODUCT, plan, signer }),
    );
    expect(verify(loadPublicKey(opened)).problems).toEqual([]);
    expect(() => commandSigner('echo AAAA', opened).sign(Buffer.from('x'))).toThrow(/no signature by the key/);
    expect(() => commandSigner('echo no access >&2; exit 3', opened).sign(Buffer.from('x'))).toThrow(
      /exit code 3\): no access/,
    );
  });
});

// cosign is no part of what the tests bring: where it is installed, it must take what is signed here.
describe.skipIf(spawnSync('cosign', ['version']).error !== undefined)('cosign', () => {
  const accepts = (file: string, key: string): boolean =>
    spawnSync('cosign', [
      'verify-blob-attestation',
      ...['--key', key, '--insecure-ignore-tlog', '--signature', inBundle(ATTESTATION)],
      ...['--type', 'https://in-toto.io/attestation/test-result/v0.1', file],
    ]).status === 0;

  test.each(['ed25519', 'ec'] as const)('takes each file that a key vouches for, and no other: %s', (type) => {
    certified({}, type);
    const key = inFolder('key.pub');
    expect(accepts(inBundle('report.json'), key)).toBe(true);
    appendFileSync(inBundle('report.html'), ' ');
    expect(accepts(inBundle('report.html'), key)).toBe(false);
  });
});

test('what is signed is encoded as DSSE says', () => {
  // The example of the protocol, https://github.com/secure-systems-lab/dsse.
  expect(preAuthenticationEncoding('http://example.com/HelloWorld', Buffer.from('hello world')).toString()).toBe(
    'DSSEv1 29 http://example.com/HelloWorld 11 hello world',
  );
});

test('a target file with a whole token is not published', () => {
  const token = `eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EifQ.${'s'.repeat(86)}`;
  expect(() => certified({ targetSource: `${TARGET}token: ${token}\n` })).toThrow(/target.yaml holds a whole token/);
});

test('the canonical plan is what the catalogue asks of the role, by a digest over ids and levels', () => {
  const rows = catalogue.requirements.filter(({ role }) => role === 'token-client');
  expect(plan.requirements.map(({ id }) => id).toSorted()).toEqual(rows.map(({ id }) => id).toSorted());
  const weaker = rows.map((row) => (row.id === 'TR-20' ? { ...row, level: 'SHOULD' as const } : row));
  expect(canonicalPlan({ requirements: weaker }).digest).not.toBe(plan.digest);
  expect(canonicalPlan({ requirements: rows.toReversed() }).digest).toBe(plan.digest);
});
