import { readFileSync } from 'node:fs';
import { bundleFromJSON, bundleToJSON, isBundleWithDsseEnvelope, type SerializedBundle } from '@sigstore/bundle';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import {
  CIContextProvider,
  DEFAULT_FULCIO_URL,
  DEFAULT_REKOR_URL,
  DSSEBundleBuilder,
  FulcioSigner,
  RekorWitness,
} from '@sigstore/sign';
import { getTrustedRoot } from '@sigstore/tuf';
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify';
import { describeError, HarnessError, UsageError } from '../../core/errors.ts';
import { IN_TOTO } from './dsse.ts';

/**
 * Signatures without a key that somebody keeps (Sigstore): the workload of a CI shows its OIDC token to a certificate
 * authority (Fulcio), signs with a key that is forgotten at once, and the signature is entered into a public log
 * (Rekor).
 */

/** The two servers of Sigstore that are asked; default: those of the public instance. */
export interface SigstoreServers {
  fulcioURL?: string;
  rekorURL?: string;
}

/** Who has to have signed, and what is trusted to say so. */
export interface KeylessPolicy {
  /** Subject of the certificate: an email address, or the URI of a workflow. */
  identity?: string | undefined;
  /** Issuer of the OIDC token. */
  issuer?: string | undefined;
  /** File with the trusted root (JSON) of another instance; default: that of the public one, by TUF. */
  trustedRoot?: string | undefined;
}

/** What came of a signature without a key. */
export interface KeylessVerdict {
  problems: string[];
  notes: string[];
  /** What is signed; absent where it cannot be read. */
  statement?: unknown;
}

const REACH_SECONDS = 20;

/**
 * Whether a bundle could be signed at the end of a run: asked before it is begun.
 *
 * @throws UsageError where this process has no OIDC token to show, or Sigstore cannot be reached from here
 */
export async function assertKeyless({ fulcioURL = DEFAULT_FULCIO_URL }: SigstoreServers): Promise<void> {
  const { ACTIONS_ID_TOKEN_REQUEST_URL, BUILDKITE, SIGSTORE_ID_TOKEN } = process.env;
  if (!ACTIONS_ID_TOKEN_REQUEST_URL && BUILDKITE !== 'true' && !SIGSTORE_ID_TOKEN) {
    throw new UsageError(
      '--keyless needs an OIDC token of the CI that this runs in, and there is none: in GitHub Actions give the job ' +
        '`permissions: id-token: write`; elsewhere put a token for the audience "sigstore" into SIGSTORE_ID_TOKEN; or ' +
        'sign with --key',
    );
  }
  try {
    await fetch(new URL('/api/v2/configuration', fulcioURL), { signal: AbortSignal.timeout(REACH_SECONDS * 1_000) });
  } catch (error) {
    throw new UsageError(
      `--keyless needs the network: ${fulcioURL} cannot be reached (${describeError(error)}); sign with --key instead`,
    );
  }
}

/**
 * Signs a statement as the workload that runs this.
 *
 * @returns the Sigstore bundle, as the text of a file
 * @throws HarnessError where the token is refused, or a server of Sigstore does not answer
 */
export async function sealKeyless(statement: unknown, servers: SigstoreServers): Promise<string> {
  const { fulcioURL = DEFAULT_FULCIO_URL, rekorURL = DEFAULT_REKOR_URL } = servers;
  const builder = new DSSEBundleBuilder({
    signer: new FulcioSigner({ fulcioBaseURL: fulcioURL, identityProvider: new CIContextProvider() }),
    witnesses: [new RekorWitness({ rekorBaseURL: rekorURL })],
  });
  try {
    const bundle = await builder.create({ data: Buffer.from(JSON.stringify(statement)), type: IN_TOTO });
    return textOf(bundleToJSON(bundle));
  } catch (error) {
    throw new HarnessError(`the bundle cannot be signed by Sigstore (${fulcioURL}, ${rekorURL})`, { cause: error });
  }
}

/** The one way in which it is written: what is beside it is not signed. */
function textOf(bundle: SerializedBundle): string {
  return `${JSON.stringify(bundle, null, 2)}\n`;
}

/**
 * Verifies a signature without a key: certificate, log entry, time, and who it is.
 *
 * @throws UsageError where the trusted root cannot be had: there is no network, or the file is none
 */
export async function verifyKeyless(text: string, policy: KeylessPolicy): Promise<KeylessVerdict> {
  let bundle: ReturnType<typeof bundleFromJSON>;
  try {
    bundle = bundleFromJSON(JSON.parse(text));
  } catch (error) {
    return { problems: [`it was altered: it is no Sigstore bundle (${describeError(error)})`], notes: [] };
  }
  if (!isBundleWithDsseEnvelope(bundle)) {
    return { problems: ['it holds no in-toto statement'], notes: [] };
  }
  if (textOf(bundleToJSON(bundle)) !== text) {
    return { problems: ['it was altered beside what is signed'], notes: [] };
  }
  const verifier = new Verifier(toTrustMaterial(await trustedRootOf(policy)));
  let identity: ReturnType<Verifier['verify']>['identity'];
  try {
    ({ identity } = verifier.verify(toSignedEntity(bundle)));
  } catch (error) {
    return { problems: [`its signature is not good: ${describeError(error)}`], notes: [] };
  }
  const statement: unknown = JSON.parse(bundle.content.dsseEnvelope.payload.toString('utf8'));
  const { subjectAlternativeName: who, extensions: { issuer } = {} } = identity ?? {};
  const problems = [
    ...(policy.identity === undefined || policy.identity === who
      ? []
      : [`it is signed by ${who}, and not by ${policy.identity}`]),
    ...(policy.issuer === undefined || policy.issuer === issuer
      ? []
      : [`whoever signed was identified by ${issuer}, and not by ${policy.issuer}`]),
  ];
  const isAsked = policy.identity !== undefined && policy.issuer !== undefined;
  const doubt = isAsked ? '' : ': whose that is show only --certificate-identity and --certificate-oidc-issuer';
  return {
    problems,
    notes: problems.length > 0 ? [] : [`signed by ${who}, identified by ${issuer}${doubt}`],
    statement,
  };
}

async function trustedRootOf({ trustedRoot }: KeylessPolicy): Promise<TrustedRoot> {
  if (trustedRoot === undefined) {
    return getTrustedRoot().catch((error: unknown) => {
      throw new UsageError(
        `the keys of Sigstore cannot be had (${describeError(error)}): verifying a keyless signature needs the ` +
          'network, or --trusted-root with the file of `cosign trusted-root create`',
      );
    });
  }
  try {
    return TrustedRoot.fromJSON(JSON.parse(readFileSync(trustedRoot, 'utf8')));
  } catch (error) {
    throw new UsageError(`the trusted root ${trustedRoot} cannot be read: ${describeError(error)}`);
  }
}
