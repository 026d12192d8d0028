import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { HarnessError, UsageError } from '../../core/errors.ts';
import { redact, wholeTokensIn } from '../../core/redact.ts';
import type { Role } from '../../role-data/index.ts';
import { e2eLogRenderer, goTestJsonRenderer } from '../renderers/gotest.ts';
import { headlineOf } from '../renderers/headline.ts';
import { htmlRenderer } from '../renderers/html/html.ts';
import { jsonRenderer } from '../renderers/json.ts';
import { junitRenderer } from '../renderers/junit.ts';
import type { Report } from '../report.ts';
import { verdictOf } from '../verdict.ts';
import { seal } from './dsse.ts';
import { publicPem, type Signer } from './keys.ts';
import { type CanonicalPlan, missingFrom } from './plan.ts';
import type { Product } from './product.ts';
import { sha256, statementOf, TEST_RESULT } from './statement.ts';

export const CHECKSUMS = 'SHA256SUMS';
export const ATTESTATION = 'attestation.json';
export const PUBLIC_KEY = 'key.pub';
/** In the place of {@link ATTESTATION} and {@link PUBLIC_KEY} where nobody keeps a key (keyless.ts). */
export const SIGSTORE_BUNDLE = 'attestation.sigstore.json';

/** Why a run does not certify its product; empty where it does. */
export function shortcomings(report: Report, plan: CanonicalPlan, role: Role): string[] {
  const { conformant, harnessError, reasons } = verdictOf(report);
  const missing = missingFrom(plan, report.planned);
  const kept = plan.requirements.length - missing.length;
  return [
    ...(missing.length === 0
      ? []
      : [
          `a partial run: it planned ${kept} of the ${plan.requirements.length} requirements of the canonical plan ` +
            `of ${role}; missing: ${
              missing.length > 8
                ? `${missing.slice(0, 8).join(', ')} and ${missing.length - 8} more`
                : missing.join(', ')
            }`,
        ]),
    ...(conformant ? [] : [`${harnessError ? 'no verdict' : 'not conformant'}: ${reasons.join('; ')}`]),
    ...(report.target.role === undefined || report.target.role === role
      ? []
      : [`the run evaluated a ${report.target.role}, the product is a ${role}`]),
  ];
}

/** The files that are made from the report, the product and the plan alone: `verify` makes them again and compares. */
export function renderedFiles(report: Report, product: Product, plan: CanonicalPlan): Record<string, string> {
  return {
    'README.md': readme(report, product, plan),
    'e2e.log': redact(e2eLogRenderer.render(report)),
    'junit.xml': redact(junitRenderer.render(report)),
    'plan.json': `${JSON.stringify(plan, null, 2)}\n`,
    'report.html': redact(htmlRenderer.render(report)),
    'results.json': redact(goTestJsonRenderer.render(report)),
  };
}

export interface BundleParts {
  report: Report;
  product: Product;
  /** Text of the product file. */
  productSource: string;
  /** Text of the target file, where there is one. */
  targetSource?: string | undefined;
  plan: CanonicalPlan;
  /** Absent: the bundle is not signed. */
  signer?: Signer | undefined;
}

/**
 * The files of a bundle, by name.
 *
 * @throws UsageError where product or target file hold a whole token
 */
export function bundleFiles({
  report,
  product,
  productSource,
  targetSource,
  plan,
  signer,
}: BundleParts): Record<string, string> {
  const given: Record<string, string> = {
    'product.yaml': productSource,
    ...(targetSource === undefined ? {} : { 'target.yaml': targetSource }),
  };
  for (const [name, content] of Object.entries(given)) {
    if (wholeTokensIn(content).length > 0) {
      throw new UsageError(
        `${name} holds a whole token, which would be published: put it into the environment (\${env.NAME})`,
      );
    }
  }
  const content: Record<string, string> = {
    ...given,
    ...renderedFiles(report, product, plan),
    'report.json': redact(jsonRenderer.render(report)),
    ...(signer === undefined ? {} : { [PUBLIC_KEY]: publicPem(signer.publicKey) }),
  };
  const files = Object.fromEntries(Object.entries(content).sort(([one], [other]) => (one < other ? -1 : 1)));
  files[CHECKSUMS] = checksums(files);
  if (signer !== undefined) {
    files[ATTESTATION] = seal(statementOf(files, report, plan), signer);
  }
  return files;
}

/** As `sha256sum -c` reads it. */
export function checksums(files: Record<string, string>): string {
  return Object.entries(files)
    .map(([name, content]) => `${sha256(content)}  ${name}\n`)
    .join('');
}

/**
 * Writes a bundle into a folder of its own: it is there whole or not at all.
 *
 * @throws UsageError where the folder holds something else
 * @throws HarnessError where it cannot be written
 */
export function writeBundle(folder: string, files: Record<string, string>): void {
  const partial = `${folder}.partial`;
  try {
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial, { recursive: true });
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(partial, name), content);
    }
    rmSync(folder, { recursive: true, force: true });
    renameSync(partial, folder);
  } catch (error) {
    throw new HarnessError(`the bundle cannot be written to ${folder}; give another folder by --bundle`, {
      cause: error,
    });
  }
}

/** @throws UsageError where a folder is there and is no bundle: it would be overwritten */
export function assertReplaceable(folder: string): void {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return;
  }
  if (names.length > 0 && !names.includes(CHECKSUMS)) {
    throw new UsageError(`${folder} is not empty and is no bundle: give another folder by --bundle`);
  }
}

function readme(report: Report, product: Product, plan: CanonicalPlan): string {
  const { title, sentence } = headlineOf(report);
  const { tool, clock, catalogue, target, invocation, runId, finishedAt } = report;
  const certified = shortcomings(report, plan, product.role).length === 0;
  const options = (invocation?.options ?? []).filter(
    (_, index, all) => all[index] !== '--target' && all[index - 1] !== '--target',
  );
  const command = [
    'npx --package kube-agent-conformance',
    'conformance certify --product product.yaml',
    ...(target.files === undefined ? [] : ['--target target.yaml']),
    ...options,
  ].join(' ');
  const row = (term: string, text: string | undefined): string[] =>
    text === undefined ? [] : [`| ${term} | ${text.replaceAll('|', '\\|')} |`];
  return [
    `# ${product.name} ${product.version}: ${certified ? 'certified' : 'not certified'} as ${product.role}`,
    '',
    `${title}. ${sentence}`,
    '',
    '| | |',
    '| --- | --- |',
    ...row('vendor', product.vendor),
    ...row('product', `${product.name} ${product.version}`),
    ...row('description', product.description),
    ...row('website', product.website),
    ...row('documentation', product.documentation),
    ...row('repository', product.repository),
    ...row('contact', product.contact),
    ...row('canonical plan', `${plan.requirements.length} requirements, SHA-256 \`${plan.digest}\``),
    ...row('catalogue', `SHA-256 \`${catalogue.digest}\``),
    ...(target.files ?? []).flatMap(({ name, digest }) => row('target file', `${name}, SHA-256 \`${digest}\``)),
    ...row('run', `${runId}, ${finishedAt}, clock ${clock.kind}`),
    ...row('harness', `${tool.name} ${tool.version}, Node ${tool.node}`),
    '',
    '## Files',
    '',
    '`report.html` is the report for people, `report.json` the same as data. `results.json` and `e2e.log` have the',
    'forms of `go test -json` and `go test -v`, `junit.xml` that of JUnit. `attestation.json` is an in-toto test-result',
    `attestation in a DSSE envelope over every other file; \`${CHECKSUMS}\` is for \`sha256sum -c\`. Where the vendor signs`,
    `without a key (Sigstore), it is \`${SIGSTORE_BUNDLE}\`.`,
    '',
    '## Verify',
    '',
    '    conformance verify . --key VENDOR-KEY.pub',
    '    cosign verify-blob-attestation --key VENDOR-KEY.pub --insecure-ignore-tlog \\',
    `      --type ${TEST_RESULT} --signature ${ATTESTATION} report.json`,
    '',
    'Get the key from the vendor: `key.pub` in this folder shows only that the files belong together. Of a bundle that is',
    'signed without a key, get from the vendor who signs:',
    '',
    '    conformance verify . --certificate-identity WHO --certificate-oidc-issuer URL',
    '',
    '## Reproduce',
    '',
    `With Node 20 or newer and a container engine, version ${tool.version} of the harness, in this folder:`,
    '',
    `    ${command}`,
    '',
    'What the target file refers to (a driver, manifests, images) comes with the product.',
    '',
    'The environment of the run, as it described itself:',
    '',
    ...stringify(report.environment, { lineWidth: 100 })
      .trimEnd()
      .split('\n')
      .map((line) => `    ${line}`.trimEnd()),
    '',
  ].join('\n');
}
