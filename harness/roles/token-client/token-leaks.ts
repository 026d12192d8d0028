import { decodeToken, JWS, sha256 } from '../../../fixtures/workloads/lib/jwt.ts';

/** A usable token in a workload's output. The token itself is not kept. */
export interface TokenLeak {
  /** Number of the line, from 1. */
  line: number;
  sha256: string;
  /** `known`: seen in a token file or issued by a provider in this session. `unknown`: a whole JWS that was not. */
  token: 'known' | 'unknown';
  issuer?: string;
}

/**
 * Anything long enough to be a token, by the characters of RFC 6750 section 2.1 (`=` apart: it separates a form's name
 * and value).
 */
const WORD = /[\w.~+/-]{16,}/g;

/** Signatures are longer (HMAC apart); what stands for one that was cut off, a digest for example, is shorter. */
const SIGNATURE_LENGTH = 80;

/**
 * Finds tokens in what a workload wrote: `known` ones (SHA-256, hexadecimal) of any form, and every other JWS with a
 * signature.
 */
export function findTokenLeaks(output: string, known: ReadonlySet<string>): TokenLeak[] {
  return output.split('\n').flatMap((text, index) => {
    const found = new Map<string, TokenLeak>();
    for (const [candidate] of [...text.matchAll(JWS), ...text.matchAll(WORD)]) {
      const digest = sha256(candidate);
      const decoded = decodeToken(candidate);
      const whole = decoded !== undefined && (candidate.split('.')[2] ?? '').length >= SIGNATURE_LENGTH;
      if (!known.has(digest) && !whole) {
        continue;
      }
      const issuer = decoded?.claims.iss;
      found.set(digest, {
        line: index + 1,
        sha256: digest,
        token: known.has(digest) ? 'known' : 'unknown',
        ...(typeof issuer === 'string' ? { issuer } : {}),
      });
    }
    return [...found.values()];
  });
}
