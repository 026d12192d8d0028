import { type CompactJWSHeaderParameters, compactVerify, decodeProtectedHeader, EmbeddedJWK, exportSPKI } from 'jose';
import { AssertionRefused, type Claims, STRICT_CHECKS } from '../../embedded/assertion.ts';
import { clusterKeys } from '../../embedded/cluster-keys.ts';
import type { EmbeddedTwin } from '../../embedded/twin.ts';
import { read, readClaims } from './read.ts';

/** Twins that verify signatures wrongly, or with keys that nobody vouches for; by name, each with one fault. */
export const SIGNATURE_TWINS: Record<string, EmbeddedTwin> = {
  'signature-unchecked': {
    checks: () => ({
      async signature(assertion) {
        return readClaims(assertion);
      },
    }),
  },

  /**
   * Takes the algorithm from the token's header, and its own public key for the secret of an HMAC (RFC 8725 section
   * 2.1).
   */
  'algorithm-confusion': {
    checks: () => ({
      async signature(assertion, policy) {
        const getSecret = async (header: CompactJWSHeaderParameters): Promise<Uint8Array> => {
          for (const alg of policy.algorithms) {
            const key = await Promise.resolve(
              policy.keys({ ...header, alg }, { payload: '', signature: '', protected: '' }),
            ).catch(() => undefined);
            if (key instanceof CryptoKey) {
              return new TextEncoder().encode(await exportSPKI(key));
            }
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

  /** Looks the keys up by the token's own issuer, and trusts whom it finds. */
  'issuer-unchecked': {
    checks: () => ({
      issuer() {},
      async signature(assertion, policy) {
        const { iss } = readClaims(assertion);
        if (iss === policy.issuer) {
          return STRICT_CHECKS.signature(assertion, policy);
        }
        if (typeof iss !== 'string') {
          throw new AssertionRefused('issuer missing');
        }
        const keys = clusterKeys(iss, policy.fetch);
        return STRICT_CHECKS.signature(assertion, { ...policy, keys }).catch(() => {
          throw new AssertionRefused('signed by an unknown key');
        });
      },
    }),
  },

  /** Verifies with the key that the token itself brings (RFC 8725 section 3.10). */
  'takes-offered-key': {
    checks: () => ({
      async signature(assertion, policy) {
        const offered = read(decodeProtectedHeader, assertion).jwk !== undefined;
        return STRICT_CHECKS.signature(assertion, offered ? { ...policy, keys: EmbeddedJWK } : policy);
      },
    }),
  },

  /** Fetches the keys that the token's header gives the address of, and takes none of them. */
  'calls-offered-address': {
    checks: () => ({
      async signature(assertion, policy) {
        const { jku } = read(decodeProtectedHeader, assertion);
        if (jku !== undefined) {
          await policy.fetch(jku);
        }
        return STRICT_CHECKS.signature(assertion, policy);
      },
    }),
  },

  /** Does not look at `crit`, and so takes an extension that it does not know for one that it has processed. */
  'critical-header-ignored': {
    checks: () => ({
      async signature(assertion, policy) {
        const { crit } = read(decodeProtectedHeader, assertion);
        if (crit === undefined) {
          return STRICT_CHECKS.signature(assertion, policy);
        }
        try {
          const known = Object.fromEntries(crit.map((name) => [name, true]));
          const { payload } = await compactVerify(assertion, policy.keys, {
            algorithms: policy.algorithms,
            crit: known,
          });
          return JSON.parse(new TextDecoder().decode(payload)) as Claims;
        } catch {
          throw new AssertionRefused('signature does not verify');
        }
      },
    }),
  },

  /** Takes its own access tokens, and those of its siblings, as if the cluster had made them. */
  'token-confusion': {
    checks: () => ({
      async signature(assertion, policy) {
        const claims = readClaims(assertion);
        if (!String(claims.aud).startsWith('inference-')) {
          return STRICT_CHECKS.signature(assertion, policy);
        }
        return { ...claims, iss: policy.issuer, aud: policy.audience };
      },
    }),
  },
};
