import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, type JWK, type JWTHeaderParameters, type JWTPayload, SignJWT } from 'jose';

/** The claims of a ServiceAccount token (Kubernetes, "Managing Service Accounts", "Bound service account tokens"). */
export interface ServiceAccountClaims extends JWTPayload {
  'kubernetes.io'?: {
    namespace?: string;
    serviceaccount?: { name?: string; uid?: string };
    pod?: { name?: string; uid?: string };
    node?: { name?: string; uid?: string };
    warnafter?: number;
  };
}

/** A decoded token without its signature: fit for evidence. */
export interface DecodedToken {
  header: Record<string, unknown>;
  claims: ServiceAccountClaims;
  /** First 12 hexadecimal digits of the SHA-256 of the compact token: distinguishes tokens without holding them. */
  sha256: string;
}

/** The name of a token in evidence: see {@link DecodedToken.sha256}. */
export function tokenHash(token: string): string {
  return createHash('sha256').update(token).digest('hex').slice(0, 12);
}

/**
 * Decodes a compact JWT without verifying it.
 *
 * @throws Error when it is none; the message does not hold the token
 */
export function decodeToken(token: string): DecodedToken {
  try {
    return {
      header: { ...decodeProtectedHeader(token) },
      claims: decodeJwt<ServiceAccountClaims>(token),
      sha256: tokenHash(token),
    };
  } catch (error) {
    throw new Error(`not a compact JWT (${token.length} characters)`, { cause: error });
  }
}

/**
 * Signs tokens with the cluster's own ServiceAccount key. Only where the harness holds that key.
 * A refusal can so be shown with a token that differs from an accepted one in a single claim.
 */
export interface TokenForge {
  /** The public half of the key, as the API server publishes it. */
  readonly jwk: JWK;
  /** Signs any claims; the header is the cluster's (`alg`, `kid`) unless given. */
  sign(claims: JWTPayload, header?: Partial<JWTHeaderParameters>): Promise<string>;
  /** Decodes a genuine token, lets `change` edit claims and header in place, and signs the result. */
  resign(
    token: string,
    change: (claims: ServiceAccountClaims, header: Record<string, unknown>) => void,
  ): Promise<string>;
}

/**
 * The key id that the API server publishes: base64url of the SHA-256 of the public key's PKIX form (kubernetes
 * pkg/serviceaccount/jwt.go).
 */
function keyId(key: KeyObject): string {
  return createHash('sha256')
    .update(createPublicKey(key).export({ type: 'spki', format: 'der' }))
    .digest('base64url');
}

/** @param pem the private ServiceAccount signing key, EC P-256 or RSA, PEM */
export function createForge(pem: string): TokenForge {
  const key = createPrivateKey(pem);
  const ownHeader = { alg: key.asymmetricKeyType === 'ec' ? 'ES256' : 'RS256', kid: keyId(key) };
  const sign: TokenForge['sign'] = (claims, header = {}) =>
    new SignJWT(claims).setProtectedHeader({ ...ownHeader, ...header } as JWTHeaderParameters).sign(key);
  return {
    jwk: { ...(createPublicKey(key).export({ format: 'jwk' }) as JWK), ...ownHeader, use: 'sig' },
    sign,
    resign(token, change) {
      const { header, claims } = decodeToken(token);
      change(claims, header);
      // A header may be bad on purpose: jose signs a `crit` only where it is declared known.
      const known = Array.isArray(header.crit) ? header.crit.map((member) => [String(member), true] as const) : [];
      return new SignJWT(claims)
        .setProtectedHeader(header as unknown as JWTHeaderParameters)
        .sign(key, { crit: Object.fromEntries(known) });
    },
  };
}
