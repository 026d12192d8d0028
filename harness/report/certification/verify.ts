import type { KeyObject } from 'node:crypto';
import { createPublicKey } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Catalogue } from '../../catalogue/catalogue.ts';
import { UsageError } from '../../core/errors.ts';
import { packageVersion } from '../../core/package.ts';
import { wholeTokensIn } from '../../core/redact.ts';
import { parseReport } from '../read.ts';
import type { Report } from '../report.ts';
import { assess, summarize } from '../verdict.ts';
import { ATTESTATION, CHECKSUMS, PUBLIC_KEY, renderedFiles, SIGSTORE_BUNDLE, shortcomings } from './bundle.ts';
import { firstDifference, type Opened, open } from './dsse.ts';
import type { KeylessVerdict } from './keyless.ts';
import { keyIdOf } from './keys.ts';
import { type CanonicalPlan, canonicalPlan } from './plan.ts';
import { type Product, parseProduct } from './product.ts';
import { predicateOf, type Statement, sha256, statementSchema } from './statement.ts';

/** What `verify` found. */
export interface Verification {
  /** What is wrong with the bundle itself: altered, missing, contradictory. Empty: it is what its signer made. */
  problems: string[];
  /** Why the bundle, as it is, certifies nothing: partial, not conformant. */
  shortcomings: string[];
  /** What was looked at and is right, or could not be looked at. */
  notes: string[];
  product?: Product;
  report?: Report;
}

const REQUIRED = [
  'README.md',
  'e2e.log',
  'junit.xml',
  'plan.json',
  'product.yaml',
  'report.html',
  'report.json',
  'results.json',
  CHECKSUMS,
];
const KNOWN = new Set([...REQUIRED, ATTESTATION, PUBLIC_KEY, SIGSTORE_BUNDLE, 'target.yaml']);

/** What a run does not write. */
const ONLY_IN_BUNDLES = ['plan.json', 'product.yaml', CHECKSUMS, ATTESTATION, SIGSTORE_BUNDLE];

/** The shortcoming of a bundle that may be whole, and was made by another version. */
export const OTHER_VERSION = 'the plan of another version of the catalogue cannot be checked here';

/** @throws UsageError where the folder is not there, or holds none of the files of a bundle */
export function readFolder(folder: string): Map<string, Buffer> {
  if (!(statSync(folder, { throwIfNoEntry: false })?.isDirectory() ?? false)) {
    throw new UsageError(`the bundle ${folder} is no folder: give the one that \`conformance certify\` wrote`);
  }
  const names = readdirSync(folder).sort();
  if (!names.some((name) => REQUIRED.includes(name))) {
    throw new UsageError(`${folder} holds no file of a bundle: give the folder that \`conformance certify\` wrote`);
  }
  if (names.includes('report.json') && !names.some((name) => ONLY_IN_BUNDLES.includes(name))) {
    throw new UsageError(
      `${folder} is the report of a run and no bundle: \`conformance certify\` writes bundles, \`conformance show\` shows it`,
    );
  }
  return new Map(
    names.map((name) => {
      const path = join(folder, name);
      return [name, statSync(path).isFile() ? readFileSync(path) : Buffer.alloc(0)];
    }),
  );
}

/** What a file should be by a list of digests: each that is not, and each that is on no list. */
function digestProblems(files: Map<string, Buffer>, listed: Map<string, string>, by: string): Map<string, string> {
  const problems = new Map<string, string>();
  for (const [name, digest] of listed) {
    const content = files.get(name);
    if (content === undefined) {
      problems.set(name, `${name} is missing, although ${by} lists it: the bundle was cut off`);
    } else if (sha256(content) !== digest) {
      problems.set(name, `${name} was altered: its SHA-256 is not the one in ${by}`);
    }
  }
  return problems;
}

function parseChecksums(text: string): Map<string, string> | undefined {
  const lines = text.split('\n');
  if (lines.pop() !== '') {
    return undefined;
  }
  const entries = lines.map((line) => /^([0-9a-f]{64}) {2}([\w.-]+)$/.exec(line));
  if (entries.some((entry) => entry === null)) {
    return undefined;
  }
  return new Map(entries.map((entry) => [entry?.[2] ?? '', entry?.[1] ?? '']));
}

interface Signed {
  /** The file that holds it. */
  file: string;
  statement: Statement;
  /** Absent where it is signed without a key. */
  opened?: Opened;
}

class Verifier {
  readonly problems: string[] = [];
  readonly notes: string[] = [];
  readonly #files: Map<string, Buffer>;

  constructor(files: Map<string, Buffer>) {
    this.#files = files;
  }

  text(name: string): string | undefined {
    return this.#files.get(name)?.toString('utf8');
  }

  presence(): void {
    for (const name of REQUIRED) {
      if (!this.#files.has(name)) {
        this.problems.push(`${name} is missing: the bundle was cut off`);
      }
    }
    for (const name of this.#files.keys()) {
      if (!KNOWN.has(name)) {
        this.problems.push(`${name} is no file of a bundle, and nothing vouches for it`);
      }
    }
  }

  /** The envelope, as far as it can be read. */
  attestation(): Signed | undefined {
    const text = this.text(ATTESTATION);
    if (text === undefined) {
      return undefined;
    }
    let opened: Opened;
    try {
      opened = open(text);
    } catch (error) {
      this.problems.push(`${ATTESTATION} was altered: ${(error as Error).message}`);
      return undefined;
    }
    const statement = this.#statementIn(ATTESTATION, opened.statement);
    return statement === undefined ? undefined : { file: ATTESTATION, statement, opened };
  }

  #statementIn(file: string, content: unknown): Statement | undefined {
    const statement = statementSchema.safeParse(content);
    if (!statement.success) {
      this.problems.push(`${file} holds no test-result attestation of this version`);
    }
    return statement.data;
  }

  /** What is signed without a key, as far as it can be read. */
  keyless(verdict: KeylessVerdict | undefined, key: KeyObject | undefined): Signed | undefined {
    if (this.#files.has(ATTESTATION)) {
      this.problems.push(`it is signed with a key and without one: ${ATTESTATION} and ${SIGSTORE_BUNDLE}`);
    }
    if (key !== undefined) {
      this.problems.push(`it is signed without a key (${SIGSTORE_BUNDLE}), and a key was given`);
    }
    if (verdict === undefined) {
      this.problems.push(`${SIGSTORE_BUNDLE} was not checked: only \`conformance verify\` does so`);
      return undefined;
    }
    this.problems.push(...verdict.problems.map((problem) => `${SIGSTORE_BUNDLE}: ${problem}`));
    this.notes.push(...verdict.notes);
    if (verdict.statement === undefined) {
      return undefined;
    }
    const statement = this.#statementIn(SIGSTORE_BUNDLE, verdict.statement);
    return statement === undefined ? undefined : { file: SIGSTORE_BUNDLE, statement };
  }

  signature(signed: Signed | undefined, key: KeyObject | undefined): void {
    if (signed === undefined) {
      if (this.#files.has(ATTESTATION)) {
        return;
      }
      if (key !== undefined) {
        this.problems.push(`it is not signed: there is no ${ATTESTATION}`);
      } else {
        this.notes.push('it is not signed: anybody may have made it');
      }
      return;
    }
    const signatures = signed.opened?.signatures ?? [];
    const own = this.#bundledKey();
    const by = key ?? own;
    if (by === undefined) {
      this.problems.push(
        `${PUBLIC_KEY} is missing or no key, so that the signature cannot be checked; give the vendor's by --key`,
      );
      return;
    }
    const name = keyIdOf(by).slice(0, 16);
    const whose = key === undefined ? `in ${PUBLIC_KEY}` : 'that was given';
    const good = signatures.filter(({ isBy }) => isBy(by));
    const others = signatures.filter((signature) => !good.includes(signature)).map(({ keyid }) => keyid.slice(0, 16));
    if (good.length === 0) {
      const isOther = signatures.every(({ keyid }) => keyid !== keyIdOf(by));
      this.problems.push(
        isOther
          ? `it is signed by another key (${others.join(', ')}) than the one ${whose} (${name})`
          : `${ATTESTATION} was altered: its signature is not by the key ${name} that it names`,
      );
      return;
    }
    if (others.length > 0) {
      this.problems.push(
        `${ATTESTATION} has ${signatures.length} signatures; nobody vouches for that of ${others.join(', ')}`,
      );
    }
    this.notes.push(
      key === undefined
        ? `the signature is by the key ${name} in the bundle itself: whose that is shows only --key with the vendor's`
        : `signed by the key ${name}`,
    );
  }

  #bundledKey(): KeyObject | undefined {
    try {
      return createPublicKey(this.text(PUBLIC_KEY) ?? '');
    } catch {
      return undefined;
    }
  }

  /** Each file against the checksums and the attestation; a byte is named where the file can be made again. */
  digests(signed: Signed | undefined, rendered: Record<string, string>): void {
    const sums = this.text(CHECKSUMS);
    const listed = sums === undefined ? undefined : parseChecksums(sums);
    if (sums !== undefined && listed === undefined) {
      this.problems.push(`${CHECKSUMS} was altered: it has a line that is none of \`sha256sum\``);
    }
    const bySums = digestProblems(this.#files, listed ?? new Map(), CHECKSUMS);
    const subjects = new Map(signed?.statement.subject.map(({ name, digest }) => [name, digest.sha256]) ?? []);
    const byAttestation = digestProblems(this.#files, subjects, signed?.file ?? ATTESTATION);
    for (const [name, problem] of new Map([...bySums, ...byAttestation])) {
      const [content, expected] = [this.#files.get(name), rendered[name]];
      const at = content === undefined || expected === undefined ? undefined : firstDifference(content, expected);
      this.problems.push(
        at === undefined ? problem : `${problem}; the first byte that report.json does not make is ${at}`,
      );
    }
    for (const name of this.#files.keys()) {
      if (name === ATTESTATION || name === SIGSTORE_BUNDLE || !KNOWN.has(name)) {
        continue;
      }
      if (signed !== undefined && !subjects.has(name)) {
        this.problems.push(`${name} is not in ${signed.file}`);
      }
      if (listed !== undefined && name !== CHECKSUMS && !listed.has(name)) {
        this.problems.push(`${name} is not in ${CHECKSUMS}`);
      }
    }
  }
}

const wordOf = (conformant: boolean): string => (conformant ? 'conformant' : 'not conformant');

function contradictions(report: Report, product: Product, plan: CanonicalPlan, signed: Signed | undefined): string[] {
  const { planned, results, faults, strict } = report;
  const verdict = assess(planned, results, faults, strict);
  const says = (what: string): string => `report.json contradicts itself: ${what}`;
  const predicate = predicateOf(report, plan);
  return [
    ...(verdict.conformant === report.conformant && verdict.harnessError === report.harnessError
      ? []
      : [says(`it says ${wordOf(report.conformant)}, its results come to ${wordOf(verdict.conformant)}`)]),
    ...(JSON.stringify(verdict.reasons) === JSON.stringify(report.reasons)
      ? []
      : [says('its reasons are not those of its results')]),
    ...(JSON.stringify(summarize(results)) === JSON.stringify(report.summary)
      ? []
      : [says('its summary is not that of its results')]),
    ...(signed === undefined || JSON.stringify(signed.statement.predicate) === JSON.stringify(predicate)
      ? []
      : [
          `${signed.file} says ${signed.statement.predicate.result}, ` +
            `and not what report.json comes to (${predicate.result})`,
        ]),
    ...(product.role === report.target.role || report.target.role === undefined
      ? []
      : [`product.yaml is of a ${product.role}, report.json of a ${report.target.role}`]),
  ];
}

function readParts(verifier: Verifier): { report?: Report; product?: Product } {
  const read = <T>(name: string, parse: (text: string) => T): T | undefined => {
    const text = verifier.text(name);
    if (text === undefined) {
      return undefined;
    }
    try {
      return parse(text);
    } catch (error) {
      verifier.problems.push((error as Error).message);
      return undefined;
    }
  };
  const report = read('report.json', (text) => parseReport(text, 'report.json'));
  const product = read('product.yaml', (text) => parseProduct(text, 'product.yaml'));
  return { ...(report === undefined ? {} : { report }), ...(product === undefined ? {} : { product }) };
}

/**
 * Verifies a bundle: that nothing in it was altered, that its parts say the same, and that what they say certifies the
 * product. The verdict
 * is worked out anew from the results, the files that are made from the report are made again.
 *
 * @param key of the vendor; undefined: the one in the bundle, which shows only that the files belong together
 * @param keyless what came of a signature without a key, where the bundle has one
 */
export function verifyBundle(
  files: Map<string, Buffer>,
  key: KeyObject | undefined,
  catalogue: Pick<Catalogue, 'requirements' | 'digest'>,
  keyless?: KeylessVerdict,
): Verification {
  const verifier = new Verifier(files);
  const { problems, notes } = verifier;
  verifier.presence();
  const signed = files.has(SIGSTORE_BUNDLE) ? verifier.keyless(keyless, key) : verifier.attestation();
  if (!files.has(SIGSTORE_BUNDLE)) {
    verifier.signature(signed, key);
  }
  const { report, product } = readParts(verifier);
  const plan = product === undefined ? undefined : canonicalPlan(catalogue, [product.role]);
  const isOwnVersion =
    report?.tool.version === packageVersion().version && report.catalogue.digest === catalogue.digest;
  const rendered =
    report === undefined || product === undefined || plan === undefined || !isOwnVersion
      ? {}
      : renderedFiles(report, product, plan);
  verifier.digests(signed, rendered);
  for (const [name, expected] of Object.entries(rendered)) {
    const content = files.get(name);
    if (content === undefined || problems.some((problem) => problem.startsWith(`${name} was altered`))) {
      continue;
    }
    const at = firstDifference(content, expected);
    if (!content.equals(Buffer.from(expected))) {
      problems.push(`${name} is not what report.json makes: they differ at byte ${at}`);
    }
  }
  for (const [name, content] of files) {
    if (wholeTokensIn(content.toString('utf8')).length > 0) {
      problems.push(`${name} holds a whole token`);
    }
  }
  const found: Verification = {
    problems,
    notes,
    shortcomings: [],
    ...(report === undefined ? {} : { report }),
    ...(product === undefined ? {} : { product }),
  };
  if (report === undefined || product === undefined || plan === undefined) {
    return found;
  }
  const [file] = report.target.files ?? [];
  const target = files.get('target.yaml');
  if (file !== undefined && target !== undefined && sha256(target) !== file.digest) {
    problems.push('target.yaml is not the target file that report.json names by its digest');
  }
  problems.push(...contradictions(report, product, plan, isOwnVersion ? signed : undefined));
  if (isOwnVersion) {
    found.shortcomings = shortcomings(report, plan, product.role);
  } else {
    notes.push(
      `made by version ${report.tool.version} with the catalogue ${report.catalogue.digest.slice(0, 12)}, ` +
        `this is ${packageVersion().version} with ${catalogue.digest.slice(0, 12)}: ` +
        'plan and renderings can only be compared by that version',
    );
    found.shortcomings = [...shortcomings(report, { requirements: [], digest: '' }, product.role), OTHER_VERSION];
  }
  return found;
}
