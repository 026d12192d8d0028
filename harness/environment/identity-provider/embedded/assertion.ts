import { type CompactVerifyGetKey, compactVerify, decodeProtectedHeader, errors } from 'jose';
import type { Fetch } from '../../../oauth/fetch.ts';
import { KeysUnavailable } from './cluster-keys.ts';

/** What an assertion is measured by. */
export interface AssertionPolicy {
  /** The cluster's issuer, compared as a string (RFC 7523 section 3, RFC 3986 section 6.2.1). */
  issuer: string;
  /** The one audience that the assertion must name. */
  audience: string;
  /** Allowed `alg` values; asymmetric ones only (RFC 8725 section 3.1). */
  algorithms: string[];
  keys: CompactVerifyGetKey;
  /** By which the keys are fetched. */
  fetch: Fetch;
  /** Seconds by which the clocks may differ. */
  clockToleranceSeconds: number;
}

export type Claims = Record<string, unknown>;

/**
 * What an assertion is presented as: the grant itself (RFC 7523 section 2.1, RFC 8693), or the client's authentication
 * (RFC 7523 section 2.2).
 */
export type AssertionUse = 'grant' | 'client authentication';

/** The assertion is not accepted; the message says why and never holds the assertion. */
export class AssertionRefused extends Error {
  override readonly name = 'AssertionRefused';
}

/**
 * The steps by which an assertion is verified. Each throws {@link AssertionRefused}. They are apart so that a broken
 * provider can be made by replacing one of them.
 */
export interface AssertionChecks {
  /** Verifies the form, the algorithm and the signature, and gives the claims. */
  signature(assertion: string, policy: AssertionPolicy): Promise<Claims>;
  issuer(claims: Claims, policy: AssertionPolicy): void;
  audience(claims: Claims, policy: AssertionPolicy, use: AssertionUse): void;
  times(claims: Claims, policy: AssertionPolicy): void;
  /** Kubernetes hands a pod one token for most of its life, so that the same one is accepted until it expires. */
  reuse(claims: Claims, policy: AssertionPolicy, use: AssertionUse): void;
}

function reasonOf(error: unknown): string {
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return 'signature algorithm not allowed';
  }
  if (error instanceof errors.JWKSNoMatchingKey) {
    return 'signed by an unknown key';
  }
  if (error instanceof errors.JWKSMultipleMatchingKeys) {
    return 'kid needed: several keys match';
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return 'signature does not verify';
  }
  return 'not a valid signed JWT';
}

function now(): number {
  return Math.floor(Date.now() / 1_000);
}

function time(claims: Claims, name: 'exp' | 'nbf' | 'iat'): number | undefined {
  const value = claims[name];
  if (value === undefined) {
    return undefined;
  }
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw new AssertionRefused(`${name} is not a number`);
  }
  return value;
}

/** The reference: RFC 7523 section 3 to the letter, with the advice of RFC 8725. */
export const STRICT_CHECKS: AssertionChecks = {
  async signature(assertion, { keys, algorithms }) {
    try {
      // A JWT of Kubernetes has no critical extension; jose itself would understand `b64`, which a JWT must not use.
      if (decodeProtectedHeader(assertion).crit !== undefined) {
        throw new AssertionRefused('critical header not understood');
      }
      const { payload } = await compactVerify(assertion, keys, { algorithms });
      const claims: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
      if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) {
        throw new AssertionRefused('payload is not a JSON object');
      }
      return claims as Claims;
    } catch (error) {
      if (error instanceof KeysUnavailable || error instanceof AssertionRefused) {
        throw error;
      }
      throw new AssertionRefused(reasonOf(error));
    }
  },

  issuer(claims, { issuer }) {
    if (claims.iss === undefined) {
      throw new AssertionRefused('issuer missing');
    }
    if (claims.iss !== issuer) {
      throw new AssertionRefused('issuer not trusted');
    }
  },

  audience(claims, { audience }) {
    const named = Array.isArray(claims.aud) ? claims.aud : [claims.aud];
    if (named.length !== 1) {
      throw new AssertionRefused('exactly one audience must be named');
    }
    if (named[0] === undefined) {
      throw new AssertionRefused('audience missing');
    }
    if (named[0] !== audience) {
      throw new AssertionRefused('audience is not this provider');
    }
  },

  times(claims, { clockToleranceSeconds: tolerance }) {
    const exp = time(claims, 'exp');
    if (exp === undefined) {
      throw new AssertionRefused('exp missing');
    }
    if (exp <= now() - tolerance) {
      throw new AssertionRefused('expired');
    }
    if ((time(claims, 'nbf') ?? 0) > now() + tolerance) {
      throw new AssertionRefused('not yet valid (nbf)');
    }
    if ((time(claims, 'iat') ?? 0) > now() + tolerance) {
      throw new AssertionRefused('issued in the future (iat)');
    }
  },

  reuse() {},
};

/**
 * Makes the verifier of one provider. It resolves with the subject of a good assertion, and rejects with
 * {@link AssertionRefused}, or with {@link KeysUnavailable} when nothing can be verified now.
 */
export function assertionVerifier(
  policy: AssertionPolicy,
  checks: AssertionChecks = STRICT_CHECKS,
): (assertion: string, use: AssertionUse) => Promise<string> {
  return async (assertion, use) => {
    const claims = await checks.signature(assertion, policy);
    checks.issuer(claims, policy);
    checks.audience(claims, policy, use);
    checks.times(claims, policy);
    if (typeof claims.sub !== 'string' || claims.sub === '') {
      throw new AssertionRefused('sub missing');
    }
    checks.reuse(claims, policy, use);
    return claims.sub;
  };
}
