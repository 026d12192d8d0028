import { type Command, Option } from 'commander';
import pc from 'picocolors';
import { loadCatalogue } from '../catalogue/catalogue.ts';
import { UsageError } from '../core/errors.ts';
import { redact } from '../core/redact.ts';
import type { KeylessVerdict } from '../report/certification/keyless.ts';
import { EXIT } from './exit.ts';

interface Flags {
  key: string[];
  certificateIdentity?: string;
  certificateOidcIssuer?: string;
  trustedRoot?: string;
}

/** @throws UsageError for options about a signature without a key where there is none */
async function keylessOf(
  signature: Buffer | undefined,
  { certificateIdentity: identity, certificateOidcIssuer: issuer, trustedRoot }: Flags,
): Promise<KeylessVerdict | undefined> {
  if (signature === undefined) {
    if ((identity ?? issuer ?? trustedRoot) !== undefined) {
      throw new UsageError(
        'the bundle is not signed without a key: --certificate-… and --trusted-root say nothing of it',
      );
    }
    return undefined;
  }
  // Loaded for the bundles that need it alone.
  const { verifyKeyless } = await import('../report/certification/keyless.ts');
  return verifyKeyless(signature.toString('utf8'), { identity, issuer, trustedRoot });
}

/** `conformance verify BUNDLE`: whether a bundle is what its signer made, and certifies what it says. */
export function registerVerify(program: Command): void {
  program
    .command('verify')
    .description('Verify a certification bundle: files, signature, plan, catalogue; recompute the verdict.')
    .argument('<bundle>', 'folder or archive that `conformance certify` wrote')
    .addOption(
      new Option(
        '--key <file>',
        'public key of the vendor (PEM); without it, the signature proves nothing about the vendor',
      )
        .argParser((value: string, previous: string[]) => [...previous, value])
        .default([], 'the key in the bundle'),
    )
    .option('--certificate-identity <who>', 'signed without a key (Sigstore): who has to have signed')
    .option('--certificate-oidc-issuer <url>', 'signed without a key: who identified them')
    .option('--trusted-root <file>', 'signed without a key: trusted root (JSON) of another instance, or for no network')
    .action(async (path: string, flags: Flags) => {
      const {
        key: [file, ...others],
      } = flags;
      if (others.length > 0) {
        throw new UsageError('one key at a time: give --key once, and verify again for another one');
      }
      const [{ readBundle }, { SIGSTORE_BUNDLE }, { verifyBundle }, { loadPublicKey }] = await Promise.all([
        import('../report/certification/archive.ts'),
        import('../report/certification/bundle.ts'),
        import('../report/certification/verify.ts'),
        import('../report/certification/keys.ts'),
      ]);
      const key = file === undefined ? undefined : loadPublicKey(file);
      const { files, problems: damage } = await readBundle(path);
      const found = verifyBundle(files, key, loadCatalogue(), await keylessOf(files.get(SIGSTORE_BUNDLE), flags));
      const { shortcomings, notes, product } = found;
      const problems = [...damage, ...found.problems];
      const what = product === undefined ? path : `${product.name} ${product.version} as ${product.role}`;
      const isGood = problems.length === 0 && shortcomings.length === 0;
      const last = isGood
        ? pc.green(`certified: ${what}`)
        : pc.red(problems.length > 0 ? `not to be trusted: ${what}` : `intact, and not certified: ${what}`);
      process.stdout.write(
        redact(
          [
            ...notes.map((note) => pc.dim(`  ${note}`)),
            ...problems.map((problem) => pc.red(`  ${problem}`)),
            ...shortcomings.map((lack) => pc.yellow(`  ${lack}`)),
            last,
            '',
          ].join('\n'),
        ),
      );
      process.exitCode = isGood ? EXIT.conformant : EXIT.notConformant;
    });
}
