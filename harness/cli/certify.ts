import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import pc from 'picocolors';
import { loadCatalogue } from '../catalogue/catalogue.ts';
import { HarnessError, UsageError } from '../core/errors.ts';
import { DEFAULT_FOLDER } from '../report/renderers/console.ts';
import { EXIT } from './exit.ts';
import { addEnvironmentOptions, type EnvironmentFlags } from './options.ts';
import { run } from './run.ts';

interface Flags extends EnvironmentFlags {
  product: string;
  target?: string;
  key: string[];
  signer?: string;
  keyless?: boolean;
  fulcioUrl?: string;
  rekorUrl?: string;
  bundle?: string;
}

/** `conformance certify`: the canonical plan of a product's role, and a bundle that others can verify. */
export function registerCertify(program: Command): void {
  const command = program
    .command('certify')
    .description('Run all requirements of a product’s role, and write a bundle that others can verify.')
    .requiredOption('--product <file>', 'product.yaml: vendor, name, version, role, target file')
    .option('--target <file>', 'target file (default: the one that the product file names)')
    .addOption(
      new Option('--key <file>', 'private signing key (PEM): Ed25519, or ECDSA on P-256')
        .argParser((value: string, previous: string[]) => [...previous, value])
        .default([], 'unsigned'),
    )
    .option(
      '--signer <command>',
      'sign with a command instead, e.g. of a KMS: message on stdin, base64 on stdout; --key is its public key',
    )
    .option('--keyless', 'sign by Sigstore, with the OIDC token of the CI that this runs in; needs the network')
    .option('--fulcio-url <url>', 'certificate authority of another instance of Sigstore')
    .option('--rekor-url <url>', 'transparency log of another instance of Sigstore')
    .option('--bundle <folder>', 'folder or .tar.gz for the bundle (default: reports/certification/ROLE/NAME/VERSION)');
  addEnvironmentOptions(command).action(async (flags: Flags) => {
    process.exitCode = await certify(flags);
  });
}

/**
 * Runs, writes the bundle, and returns the exit code. What is wrong with product, key or folder is told before anything
 * is started.
 */
export async function certify(flags: Flags): Promise<number> {
  const [
    { isArchive, writeArchive },
    { loadProduct },
    { canonicalPlan },
    { commandSigner, keyIdOf, loadSigner },
    { assertReplaceable, bundleFiles, SIGSTORE_BUNDLE, shortcomings, writeBundle },
    { statementOf },
    { folderName },
    { readReport },
    { verdictOf },
  ] = await Promise.all([
    import('../report/certification/archive.ts'),
    import('../report/certification/product.ts'),
    import('../report/certification/plan.ts'),
    import('../report/certification/keys.ts'),
    import('../report/certification/bundle.ts'),
    import('../report/certification/statement.ts'),
    import('../report/certification/registry.ts'),
    import('../report/read.ts'),
    import('../report/verdict.ts'),
  ]);
  const { product, source, target: named } = loadProduct(flags.product);
  const target = flags.target ?? named;
  const [keyFile, ...otherKeys] = flags.key;
  if (otherKeys.length > 0) {
    throw new UsageError('a bundle has one signature: give --key once');
  }
  if (flags.signer !== undefined && keyFile === undefined) {
    throw new UsageError('--signer needs --key with its public key');
  }
  const keyless = await keylessOf(flags);
  const signer =
    keyFile === undefined
      ? undefined
      : flags.signer === undefined
        ? loadSigner(keyFile)
        : commandSigner(flags.signer, keyFile);
  const { role, name, version } = product;
  const folder = flags.bundle ?? join('reports/certification', role, folderName(name), folderName(version));
  if (!isArchive(folder)) {
    assertReplaceable(folder);
  }
  const targetSource = target === undefined ? undefined : readTarget(target);
  const plan = canonicalPlan(loadCatalogue(), [role]);
  const begun = Date.now();
  await run([], {
    ...flags,
    target: target === undefined ? [] : [target],
    requirement: plan.requirements.map(({ id }) => id),
    report: DEFAULT_FOLDER,
  });
  const report = readReport(DEFAULT_FOLDER);
  if (Date.parse(report.startedAt) < begun) {
    throw new HarnessError(`the report in ${DEFAULT_FOLDER} is of an earlier run`);
  }
  if (verdictOf(report).harnessError) {
    process.stdout.write(pc.magenta('no verdict, so that there is nothing to certify: no bundle was written\n'));
    return EXIT.harnessError;
  }
  const files = bundleFiles({ report, product, productSource: source, targetSource, plan, signer });
  if (keyless !== undefined) {
    files[SIGSTORE_BUNDLE] = await keyless(statementOf(files, report, plan));
  }
  if (isArchive(folder)) {
    await writeArchive(folder, files);
  } else {
    writeBundle(folder, files);
  }
  const lacks = shortcomings(report, plan, role);
  const unsigned = keyless === undefined ? 'not signed' : 'signed without a key';
  const signed = signer === undefined ? unsigned : `signed by the key ${keyIdOf(signer.publicKey).slice(0, 16)}`;
  process.stdout.write(
    [
      '',
      `bundle: ${folder} (${Object.keys(files).length} files), ${signed}`,
      ...lacks.map((lack) => `  ${lack}`),
      lacks.length === 0
        ? pc.green(`certified: ${name} ${version} as ${role}, plan ${plan.digest.slice(0, 12)}`)
        : pc.red(`not certified: ${name} ${version} as ${role}`),
      '',
    ].join('\n'),
  );
  return lacks.length === 0 ? EXIT.conformant : EXIT.notConformant;
}

/**
 * What signs without a key, where that is asked for and can be done.
 *
 * @throws UsageError for options that contradict each other, and where it cannot be done from here
 */
async function keylessOf(flags: Flags): Promise<((statement: unknown) => Promise<string>) | undefined> {
  const { keyless, key, signer, fulcioUrl: fulcioURL, rekorUrl: rekorURL } = flags;
  if (keyless !== true) {
    if ((fulcioURL ?? rekorURL) !== undefined) {
      throw new UsageError('--fulcio-url and --rekor-url go with --keyless');
    }
    return undefined;
  }
  if (key.length > 0 || signer !== undefined) {
    throw new UsageError('a bundle has one signature: --keyless goes neither with --key nor with --signer');
  }
  const servers = {
    ...(fulcioURL === undefined ? {} : { fulcioURL }),
    ...(rekorURL === undefined ? {} : { rekorURL }),
  };
  const { assertKeyless, sealKeyless } = await import('../report/certification/keyless.ts');
  await assertKeyless(servers);
  return (statement) => sealKeyless(statement, servers);
}

function readTarget(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`the target file ${file} cannot be read: ${(error as Error).message}`);
  }
}
