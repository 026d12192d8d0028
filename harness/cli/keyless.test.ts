/** Against the handlers of Sigstore's own mock, served by this process: there is no network here. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fulcioHandler, initializeCA, initializeCTLog, initializeTLog, rekorHandler } from '@sigstore/mock';
import { HashAlgorithm, PublicKeyDetails, TrustedRoot } from '@sigstore/protobuf-specs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { loadCatalogue } from '../catalogue/catalogue.ts';
import { bundleFiles, SIGSTORE_BUNDLE, writeBundle } from '../report/certification/bundle.ts';
import { assertKeyless, sealKeyless, verifyKeyless } from '../report/certification/keyless.ts';
import { canonicalPlan } from '../report/certification/plan.ts';
import { parseProduct } from '../report/certification/product.ts';
import { productOfVersion } from '../report/certification/product-builders.ts';
import { statementOf } from '../report/certification/statement.ts';
import { readFolder, verifyBundle } from '../report/certification/verify.ts';
import { reportOf, resultOf } from '../report/report-builders.ts';
import { commandLine } from './program.ts';

vi.setConfig({ testTimeout: 60_000 });

const WHO = 'https://github.com/example/client/.github/workflows/certify.yaml@refs/heads/main';
const ISSUER = 'https://token.actions.githubusercontent.com';
const catalogue = loadCatalogue();
const plan = canonicalPlan(catalogue, ['token-client']);
const PRODUCT = productOfVersion('2.4.1');

/** A token as a CI gives it; the mock reads its claims and does not look at its signature, which is none. */
function identityToken(): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part({ iss: ISSUER, sub: WHO, aud: 'sigstore' })}.`;
}

/**
 * A proposed entry as Rekor keeps it: of an envelope the digest of its payload, and its signature. The mock keeps what
 * was proposed.
 */
function enteredAs(body: string): string {
  const entry = JSON.parse(body) as { kind?: string; spec?: { proposedContent: { envelope: string } } };
  if (entry.kind !== 'dsse' || entry.spec === undefined) {
    return body;
  }
  const { envelope } = entry.spec.proposedContent;
  const { payload, signatures } = JSON.parse(envelope) as { payload: string; signatures: { sig: string }[] };
  const sha256 = (content: string | Buffer): object => ({
    algorithm: 'sha256',
    value: createHash('sha256').update(content).digest('hex'),
  });
  return JSON.stringify({
    apiVersion: '0.0.1',
    kind: 'dsse',
    spec: {
      envelopeHash: sha256(envelope),
      payloadHash: sha256(Buffer.from(payload, 'base64')),
      signatures: signatures.map(({ sig }) => ({ signature: sig })),
    },
  });
}

let server: Server;
let url: string;
let folder: string;
let trustedRoot: string;
/** Answers every request in the place of the servers, where it is set. */
let refusal: number | undefined;

beforeAll(async () => {
  const keys = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  server = createServer(async (request, response) => {
    const handler = handlers.find(({ path }) => request.url === path);
    if (refusal !== undefined || handler === undefined) {
      response.writeHead(refusal ?? 404).end('{}');
      return;
    }
    const answer = await handler.fn(enteredAs(await text(request)));
    response.writeHead(answer.statusCode, { 'content-type': answer.contentType ?? 'application/json' });
    response.end(answer.response);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const ctlog = await initializeCTLog(keys);
  const ca = await initializeCA(keys, ctlog);
  const tlog = await initializeTLog(url, keys);
  const handlers = [fulcioHandler(ca), rekorHandler(tlog)];
  const validFor = { start: new Date(0) };
  const log = (publicKey: Buffer, keyId: Buffer) => ({
    baseUrl: url,
    hashAlgorithm: HashAlgorithm.SHA2_256,
    logId: { keyId },
    publicKey: { rawBytes: publicKey, keyDetails: PublicKeyDetails.PKIX_ECDSA_P256_SHA_256, validFor },
    checkpointKeyId: undefined,
    operator: 'mock',
  });
  const rootCertificate = Buffer.from(ca.rootCertificate.buffer);
  folder = mkdtempSync(join(tmpdir(), 'conformance-keyless-'));
  trustedRoot = join(folder, 'trusted-root.json');
  writeFileSync(
    trustedRoot,
    JSON.stringify(
      TrustedRoot.toJSON({
        mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
        tlogs: [log(tlog.publicKey, createHash('sha256').update(tlog.publicKey).digest())],
        ctlogs: [log(ctlog.publicKey, Buffer.from(ctlog.logID.buffer))],
        certificateAuthorities: [
          {
            subject: { commonName: 'sigstore', organization: 'sigstore.mock' },
            uri: url,
            certChain: { certificates: [{ rawBytes: rootCertificate }] },
            validFor,
            operator: 'mock',
          },
        ],
        timestampAuthorities: [],
      }),
    ),
  );
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  for (const name of ['ACTIONS_ID_TOKEN_REQUEST_URL', 'BUILDKITE']) {
    vi.stubEnv(name, undefined);
  }
  vi.stubEnv('SIGSTORE_ID_TOKEN', identityToken());
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  refusal = undefined;
});

const servers = () => ({ fulcioURL: url, rekorURL: url });

/** A bundle that is signed by the workload. */
async function signed(): Promise<string> {
  const results = plan.requirements.map(({ id, level }) => resultOf(id, 'passed', { level, role: 'token-client' }));
  const report = reportOf(results, {
    catalogue: { digest: catalogue.digest, requirements: catalogue.requirements.length },
    target: { name: 'example', role: 'token-client' },
  });
  const product = parseProduct(PRODUCT, 'product.yaml');
  const files = bundleFiles({ report, product, productSource: PRODUCT, plan });
  files[SIGSTORE_BUNDLE] = await sealKeyless(statementOf(files, report, plan), servers());
  const bundle = join(folder, 'bundle');
  writeBundle(bundle, files);
  return bundle;
}

async function verify(bundle: string, policy: { identity?: string; issuer?: string } = {}) {
  const files = readFolder(bundle);
  const verdict = await verifyKeyless(files.get(SIGSTORE_BUNDLE)?.toString('utf8') ?? '', { ...policy, trustedRoot });
  return verifyBundle(files, undefined, catalogue, verdict);
}

describe('a bundle that is signed without a key', () => {
  test('is verified by who signed it', async () => {
    const bundle = await signed();
    expect(await verify(bundle, { identity: WHO, issuer: ISSUER })).toMatchObject({
      problems: [],
      shortcomings: [],
      notes: [`signed by ${WHO}, identified by ${ISSUER}`],
    });
    const { problems, notes } = await verify(bundle);
    expect(problems).toEqual([]);
    expect(notes.join()).toMatch(/whose that is show only --certificate-identity and --certificate-oidc-issuer/);
  });

  test('is not somebody else’s, nor that of whose name is longer', async () => {
    const bundle = await signed();
    expect((await verify(bundle, { identity: 'https://github.com/example', issuer: ISSUER })).problems).toEqual([
      `${SIGSTORE_BUNDLE}: it is signed by ${WHO}, and not by https://github.com/example`,
    ]);
    expect((await verify(bundle, { identity: WHO, issuer: 'https://elsewhere.test' })).problems).toEqual([
      `${SIGSTORE_BUNDLE}: whoever signed was identified by ${ISSUER}, and not by https://elsewhere.test`,
    ]);
  });

  test('of which a file, or a byte of the signature, was altered, is refused', async () => {
    const bundle = await signed();
    const report = join(bundle, 'report.json');
    const before = readFileSync(report);
    writeFileSync(report, before.toString('utf8').replace('"passed"', '"failed"'));
    expect((await verify(bundle)).problems.join('\n')).toContain(`report.json was altered`);
    writeFileSync(report, before);
    const file = join(bundle, SIGSTORE_BUNDLE);
    const signature = readFileSync(file);
    for (const part of [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99]) {
      const altered = Buffer.from(signature);
      const place = Math.floor(signature.length * part);
      altered[place] = (signature[place] ?? 0) ^ 1;
      writeFileSync(file, altered);
      expect((await verify(bundle)).problems.join('\n'), `byte ${place}`).toContain(SIGSTORE_BUNDLE);
    }
  });

  test('is red where nobody checked the signature, or a key was given', async () => {
    const files = readFolder(await signed());
    expect(verifyBundle(files, undefined, catalogue).problems).toEqual([
      expect.stringContaining(`${SIGSTORE_BUNDLE} was not checked`),
    ]);
    const { publicKey } = generateKeyPairSync('ed25519');
    expect(verifyBundle(files, publicKey, catalogue).problems.join('\n')).toContain('and a key was given');
  });

  test('is verified by the command', async () => {
    const bundle = await signed();
    let out = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((words) => {
      out += String(words);
      return true;
    });
    const options = ['--certificate-identity', WHO, '--certificate-oidc-issuer', ISSUER, '--trusted-root', trustedRoot];
    expect(await commandLine(['verify', bundle, ...options], () => undefined)).toBe(0);
    expect(out).toContain('certified: Example Client 2.4.1 as token-client');
  });
});

describe('what cannot be', () => {
  const root = async (file: string): Promise<unknown> =>
    verifyKeyless(readFileSync(join(await signed(), SIGSTORE_BUNDLE), 'utf8'), { trustedRoot: file });

  test('no token', async () => {
    vi.stubEnv('SIGSTORE_ID_TOKEN', undefined);
    await expect(assertKeyless(servers())).rejects.toThrow(/needs an OIDC token of the CI .* id-token: write/);
  });

  test('no network, before the run and after it', async () => {
    await expect(assertKeyless({ fulcioURL: 'http://127.0.0.1:9' })).rejects.toThrow(
      /needs the network: http:\/\/127.0.0.1:9 cannot be reached .*; sign with --key instead/,
    );
    await expect(assertKeyless(servers())).resolves.toBeUndefined();
    refusal = 400;
    await expect(sealKeyless({}, servers())).rejects.toThrow(/cannot be signed by Sigstore/);
  });

  test('a trusted root that is none', async () => {
    const file = join(folder, 'none.json');
    writeFileSync(file, 'none');
    await expect(root(file)).rejects.toThrow(/the trusted root .*none.json cannot be read/);
  });

  test('options that contradict each other', async () => {
    const product = join(folder, 'product.yaml');
    writeFileSync(product, PRODUCT);
    writeFileSync(join(folder, 'target.yaml'), 'role: token-client\n');
    const certify = async (...words: string[]): Promise<string> => {
      let err = '';
      const code = await commandLine(['certify', '--product', product, ...words], (words_) => {
        err += words_;
      });
      expect(code).toBe(64);
      return err;
    };
    expect(await certify('--keyless', '--signer', 'true', '--key', 'a.pem')).toContain('one signature: --keyless');
    expect(await certify('--rekor-url', url)).toContain('go with --keyless');
    expect(await certify('--keyless', '--fulcio-url', 'http://127.0.0.1:9')).toContain('needs the network');
  });
});
