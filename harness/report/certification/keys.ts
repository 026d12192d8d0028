import { spawnSync } from 'node:child_process';
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { HarnessError, UsageError } from '../../core/errors.ts';

/** What signs a bundle. */
export interface Signer {
  publicKey: KeyObject;
  sign(message: Buffer): Buffer;
}

function readKeyFile(file: string): string {
  let pem: string;
  try {
    pem = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`the key ${file} cannot be read: ${(error as Error).message}`);
  }
  const keys = [...pem.matchAll(/-----BEGIN ([A-Z ]*KEY)-----/g)];
  if (keys.length === 0) {
    throw new UsageError(`${file} holds no key: a PEM file with a private or a public key is needed`);
  }
  if (keys.length > 1) {
    throw new UsageError(`${file} holds ${keys.length} keys: which of them is meant? Give a file with one.`);
  }
  return pem;
}

/** Ed25519, or ECDSA on P-256: what cosign and other readers of DSSE take with SHA-256. */
function supported(key: KeyObject, file: string): KeyObject {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  const isEcdsa = key.asymmetricKeyType === 'ec' && curve === 'prime256v1';
  if (key.asymmetricKeyType === 'ed25519' || isEcdsa) {
    return key;
  }
  const type = [key.asymmetricKeyType, curve].filter((part) => part !== undefined).join(' ');
  throw new UsageError(`the key ${file} is ${type}: an Ed25519 key, or an ECDSA key on P-256 is needed`);
}

/**
 * The public key of a file with a public or a private key.
 *
 * @throws UsageError that names the file: not there, no key, more than one, encrypted, of a kind that is not supported
 */
export function loadPublicKey(file: string): KeyObject {
  const pem = readKeyFile(file);
  try {
    return supported(createPublicKey(pem), file);
  } catch (error) {
    if (error instanceof UsageError) {
      throw error;
    }
    throw new UsageError(`the key ${file} cannot be used: ${(error as Error).message}`);
  }
}

/**
 * A signer with the private key of a file.
 *
 * @throws UsageError as {@link loadPublicKey} does, and for a public key
 */
export function loadSigner(file: string): Signer {
  const pem = readKeyFile(file);
  if (!pem.includes('PRIVATE KEY')) {
    throw new UsageError(
      `the key ${file} is a public one: the private key is needed to sign (openssl genpkey -algorithm ed25519)`,
    );
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (error) {
    throw new UsageError(`the key ${file} cannot be used: ${(error as Error).message}`);
  }
  supported(key, file);
  return { publicKey: createPublicKey(key), sign: (message) => sign(hashOf(key), message, key) };
}

/**
 * A signer that leaves the key where it is: a command gets what is to be signed on standard input, and prints the
 * signature in base64.
 *
 * @param command as a shell takes it, for example of a cloud's KMS
 * @param publicKeyFile what its signatures are checked with, so that a bundle never has one that nobody can verify
 */
export function commandSigner(command: string, publicKeyFile: string): Signer {
  const publicKey = loadPublicKey(publicKeyFile);
  return {
    publicKey,
    sign(message) {
      const { status, stdout, stderr, error } = spawnSync(command, { shell: true, input: message, timeout: 120_000 });
      // Who signs something else than what it is given need not read it; that its signature is none is said below.
      const isUnread = (error as NodeJS.ErrnoException | undefined)?.code === 'EPIPE';
      if ((error !== undefined && !isUnread) || status !== 0) {
        const why = isUnread || error === undefined ? `exit code ${status}` : error.message;
        throw new HarnessError(`the command that signs failed (${why}): ${stderr.toString().slice(-500)}`);
      }
      const signature = Buffer.from(stdout.toString(), 'base64');
      if (!isSignature(publicKey, message, signature)) {
        throw new HarnessError(`what the command printed is no signature by the key ${publicKeyFile}`);
      }
      return signature;
    },
  };
}

/** Ed25519 hashes by itself. */
function hashOf({ asymmetricKeyType }: KeyObject): string | null {
  return asymmetricKeyType === 'ed25519' ? null : 'sha256';
}

export function isSignature(publicKey: KeyObject, message: Buffer, signature: Buffer): boolean {
  return verify(hashOf(publicKey), message, publicKey, signature);
}

/** How a key is named: SHA-256 over its SubjectPublicKeyInfo (DER), hexadecimal. */
export function keyIdOf(publicKey: KeyObject): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

export function publicPem(publicKey: KeyObject): string {
  return publicKey.export({ type: 'spki', format: 'pem' }).toString();
}
