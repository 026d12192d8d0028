import { createPublicKey, type KeyObject } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import type { Catalogue } from '../../catalogue/catalogue.ts';
import { UsageError } from '../../core/errors.ts';
import { ROLES, type Role } from '../../role-data/index.ts';
import type { Report } from '../report.ts';
import { keyIdOf } from './keys.ts';
import type { Product } from './product.ts';
import { OTHER_VERSION, readFolder, verifyBundle } from './verify.ts';

/**
 * Published results: a folder of a repository with a bundle for each version of each product,
 * `ROLE/PRODUCT/VERSION/`, and beside the versions the vendor's public key.
 */

/** The vendor's public key (PEM), beside the versions of a product: what all of their signatures are checked with. */
export const VENDOR_KEY = 'vendor.pub';

/** The table of all results, which {@link resultsPage} makes. */
export const RESULTS_PAGE = 'README.md';

/** A name as that of a folder. */
export function folderName(name: string): string {
  return (
    name
      .toLowerCase()
      .replace(/[^a-z0-9.]+/g, '-')
      .replace(/^[-.]+|-+$/g, '') || 'product'
  );
}

/** A bundle that is published. */
export interface PublishedResult {
  /** From the folder of results: `ROLE/PRODUCT/VERSION`. */
  path: string;
  product: Product;
  report: Report;
  /** Of the vendor's key, see {@link keyIdOf}. */
  keyId: string;
}

/** What is wrong with published results, and where. */
export interface ResultProblem {
  /** From the folder of results. */
  path: string;
  problem: string;
}

/** How a path of the folder differs from what was published before. */
export interface ResultChange {
  path: string;
  kind: 'added' | 'changed' | 'removed';
}

interface Place {
  role: string;
  product: string;
  version: string;
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/** Everything in a folder of results, sorted. */
class ResultsFolder {
  readonly problems: ResultProblem[] = [];
  readonly places: Place[] = [];
  readonly keys = new Map<string, KeyObject>();
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
    for (const role of this.#foldersIn('', [RESULTS_PAGE])) {
      if (!(ROLES as readonly string[]).includes(role)) {
        this.problems.push({ path: role, problem: `no role is called so: ${ROLES.join(', ')}` });
        continue;
      }
      for (const product of this.#foldersIn(role, [])) {
        this.#addProduct(role, product);
      }
    }
  }

  #addProduct(role: string, product: string): void {
    const path = join(role, product);
    const versions = this.#foldersIn(path, [VENDOR_KEY]);
    if (versions.length === 0) {
      this.problems.push({ path, problem: 'it has no version' });
    }
    this.places.push(...versions.map((version) => ({ role, product, version })));
    const key = this.#vendorKey(path);
    if (key !== undefined) {
      this.keys.set(path, key);
    }
  }

  #vendorKey(product: string): KeyObject | undefined {
    const path = join(product, VENDOR_KEY);
    const file = join(this.#root, path);
    if (!existsSync(file)) {
      this.problems.push({ path, problem: 'it is missing: the public key that the vendor signs bundles with' });
      return undefined;
    }
    const pem = readFileSync(file, 'utf8');
    if (pem.includes('PRIVATE KEY')) {
      this.problems.push({ path, problem: 'it is a private key, and known to everybody now: make another one' });
      return undefined;
    }
    try {
      return createPublicKey(pem);
    } catch (error) {
      this.problems.push({ path, problem: `it is no public key: ${(error as Error).message}` });
      return undefined;
    }
  }

  /** Names of the folders; files that are not expected are problems. */
  #foldersIn(path: string, files: string[]): string[] {
    const names = readdirSync(join(this.#root, path)).sort();
    return names.filter((name) => {
      if (isFolder(join(this.#root, path, name))) {
        return true;
      }
      if (!files.includes(name)) {
        this.problems.push({ path: join(path, name), problem: 'it has no place here: see ROLE/PRODUCT/VERSION/' });
      }
      return false;
    });
  }
}

/**
 * Checks a folder of published results: each bundle is where its product says, signed by the vendor's key, not altered,
 * and certifies its product; and the table is that of the bundles.
 *
 * @param changes since what was published before, where that is known: what is added has to be made by this version of
 *   the harness, which alone knows its plan; what was published stays as it is
 * @throws UsageError where there is no such folder
 */
export function checkResults(
  folder: string,
  catalogue: Pick<Catalogue, 'requirements' | 'digest'>,
  changes: ResultChange[] = [],
): { results: PublishedResult[]; problems: ResultProblem[] } {
  if (!isFolder(folder)) {
    throw new UsageError(`${folder} is no folder: give the one that holds ROLE/PRODUCT/VERSION/`);
  }
  const { places, keys, problems } = new ResultsFolder(folder);
  const isAdded = (path: string): boolean =>
    changes.some((change) => change.kind === 'added' && change.path === join(path, 'report.json'));
  const results = places.flatMap((place) => {
    const path = join(place.role, place.product, place.version);
    const key = keys.get(join(place.role, place.product));
    const found = checkBundle(join(folder, path), place, key, catalogue);
    problems.push(...found.problems.map((problem) => ({ path, problem })));
    if (found.isOtherVersion && isAdded(path)) {
      const version = found.result?.report.tool.version;
      problems.push({
        path,
        problem: `it was made by version ${version} of the harness: check it with that one, which knows its plan`,
      });
    }
    return found.result === undefined ? [] : [{ path, ...found.result }];
  });
  problems.push(...changes.flatMap(changeProblems));
  const page = join(folder, RESULTS_PAGE);
  if (problems.length === 0 && (!existsSync(page) || readFileSync(page, 'utf8') !== resultsPage(results))) {
    problems.push({ path: RESULTS_PAGE, problem: 'it is not the table of the results: `conformance results table`' });
  }
  return { results, problems };
}

/** What was published stays. */
function changeProblems({ path, kind }: ResultChange): ResultProblem[] {
  const parts = path.split(sep);
  if (kind === 'added' || parts.length < 3) {
    return [];
  }
  if (parts.length === 3 && parts[2] === VENDOR_KEY) {
    const problem = `it was ${kind}: whoever has the old key has to vouch for the new one, outside of this check`;
    return [{ path, problem }];
  }
  return [{ path, problem: `it was published, and is ${kind}: publish a correction as another version` }];
}

interface CheckedBundle {
  problems: string[];
  isOtherVersion: boolean;
  result?: Omit<PublishedResult, 'path'>;
}

function checkBundle(
  folder: string,
  place: Place,
  key: KeyObject | undefined,
  catalogue: Pick<Catalogue, 'requirements' | 'digest'>,
): CheckedBundle {
  let files: Map<string, Buffer>;
  try {
    files = readFolder(folder);
  } catch (error) {
    return { problems: [(error as Error).message.replace(folder, 'this folder')], isOtherVersion: false };
  }
  const { problems, shortcomings, product, report } = verifyBundle(files, key, catalogue);
  const found = {
    problems: [
      ...problems,
      ...shortcomings.filter((lack) => lack !== OTHER_VERSION).map((lack) => `it certifies nothing: ${lack}`),
      ...(product === undefined ? [] : misplaced(place, product)),
    ],
    isOtherVersion: shortcomings.includes(OTHER_VERSION),
  };
  return product === undefined || report === undefined || key === undefined
    ? found
    : { ...found, result: { product, report, keyId: keyIdOf(key) } };
}

function misplaced(place: Place, product: Product): string[] {
  const expected: Place = {
    role: product.role,
    product: folderName(product.name),
    version: folderName(product.version),
  };
  return (Object.keys(expected) as (keyof Place)[])
    .filter((part) => expected[part] !== place[part])
    .map((part) => `its product.yaml belongs into the folder ${expected[part]} and not ${place[part]} (${part})`);
}

/** The table of all results, as a page in Markdown: newest first in each role. */
export function resultsPage(results: PublishedResult[]): string {
  const head = ['product', 'version', 'vendor', 'passed', 'not applicable', 'SHOULD not kept', 'run', 'harness', 'key'];
  const line = (cells: string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const sections = ROLES.flatMap((role: Role) => {
    const own = results
      .filter(({ product }) => product.role === role)
      .sort((one, other) => (one.report.finishedAt < other.report.finishedAt ? 1 : -1));
    const rows = own.map(({ path, product, report, keyId }) => {
      const { summary, results: all, finishedAt, tool, planned } = report;
      const kept = all.filter(({ level, outcome }) => level === 'SHOULD' && /^(failed|not testable)$/.test(outcome));
      return line([
        `[${product.name}](${path.split(sep).join('/')}/README.md)`,
        product.version,
        product.vendor,
        `${summary.passed ?? 0} of ${planned.length}`,
        String(summary['not applicable'] ?? 0),
        kept.map(({ id }) => id).join(' ') || 'none',
        finishedAt.slice(0, 10),
        tool.version,
        `\`${keyId.slice(0, 16)}\``,
      ]);
    });
    return rows.length === 0 ? [] : [['', `## ${role}`, '', line(head), line(head.map(() => '---')), ...rows]];
  });
  return [
    '<!-- Written by `conformance results table`. -->',
    '',
    '# Results',
    '',
    `${results.length} certified versions. Each folder holds the whole bundle: the report, the evidence and the signed`,
    'attestation. `conformance verify FOLDER --key ROLE/PRODUCT/vendor.pub` verifies one by yourself.',
    ...sections.flat(),
    '',
  ].join('\n');
}

/**
 * What `git diff --name-status --no-renames` says of a folder of results.
 *
 * @param root of the repository
 * @param folder of the results, absolute
 */
export function changesIn(nameStatus: string, root: string, folder: string): ResultChange[] {
  const kinds: Record<string, ResultChange['kind']> = { A: 'added', D: 'removed' };
  return nameStatus
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [status = '', ...names] = line.split('\t');
      return { path: relative(folder, join(root, names.join('\t'))), kind: kinds[status[0] ?? ''] ?? 'changed' };
    });
}
