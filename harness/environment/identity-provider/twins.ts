import { type CompactJWSHeaderParameters, compactVerify, decodeJwt, exportSPKI } from 'jose';
import { type AssertionChecks, AssertionRefused, type Claims, STRICT_CHECKS } from './embedded/assertion.ts';
import { EMBEDDED_AUDIENCE_PREFIX } from './embedded.ts';
import type { Grant } from './provider.ts';

/** What a broken embedded provider does otherwise than the reference. */
export interface EmbeddedTwin {
  /** Makes the replaced steps, once for each provider (a step may keep a state of its own). */
  checks?(): Partial<AssertionChecks>;
  /** Grants that it declares and does not serve. */
  switchedOff?: Grant[];
}

function audiencesOf(claims: Claims): unknown[] {
  return Array.isArray(claims.aud) ? claims.aud : [claims.aud];
}

/** Broken variants of the embedded identity provider, by name; each has one fault. */
export const EMBEDDED_TWINS: Record<string, EmbeddedTwin> = {
  'audience-unchecked': { checks: () => ({ audience() {} }) },

  /** Knows which audiences belong to the other providers, and takes every other one for its own. */
  'api-audience-accepted': {
    checks: () => ({
      audience(claims, { audience }) {
        const siblings = audiencesOf(claims).filter(
          (named) => named !== audience && String(named).startsWith(EMBEDDED_AUDIENCE_PREFIX),
        );
        if (siblings.length > 0) throw new AssertionRefused('audience is another provider');
      },
    }),
  },

  'issuer-prefix-match': {
    checks: () => ({
      issuer(claims, { issuer }) {
        if (typeof claims.iss !== 'string' || !claims.iss.startsWith(issuer))
          throw new AssertionRefused('issuer not trusted');
      },
    }),
  },

  'signature-unchecked': {
    checks: () => ({
      async signature(assertion) {
        try {
          return decodeJwt(assertion);
        } catch {
          throw new AssertionRefused('not a JWT');
        }
      },
    }),
  },

  /** Takes the algorithm from the token's header, and its own public key for the secret of an HMAC (RFC 8725 section 2.1). */
  'algorithm-confusion': {
    checks: () => ({
      async signature(assertion, policy) {
        const getSecret = async (header: CompactJWSHeaderParameters): Promise<Uint8Array> => {
          for (const alg of policy.algorithms) {
            const key = await Promise.resolve(
              policy.keys({ ...header, alg }, { payload: '', signature: '', protected: '' }),
            ).catch(() => undefined);
            if (key instanceof CryptoKey) return new TextEncoder().encode(await exportSPKI(key));
          }
          throw new AssertionRefused('signed by an unknown key');
        };
        try {
          const { payload } = await compactVerify(assertion, getSecret, { algorithms: ['HS256'] });
          return JSON.parse(new TextDecoder().decode(payload)) as Claims;
        } catch {
          return STRICT_CHECKS.signature(assertion, policy);
        }
      },
    }),
  },

  'times-unchecked': { checks: () => ({ times() {} }) },

  /** Takes every assertion once, as RFC 7523 section 3 allows and projected tokens do not. */
  'single-use': {
    checks: () => {
      const used = new Set<unknown>();
      return {
        reuse(claims) {
          if (used.has(claims.jti)) throw new AssertionRefused('jti was used before');
          used.add(claims.jti);
        },
      };
    },
  },

  'age-limit-300': {
    checks: () => ({
      times(claims, policy) {
        STRICT_CHECKS.times(claims, policy);
        if (Number(claims.iat) < Date.now() / 1_000 - 300) throw new AssertionRefused('issued too far in the past');
      },
    }),
  },

  'grant-switched-off': { switchedOff: ['token-exchange'] },
};
