import { STRICT_CHECKS } from '../../embedded/assertion.ts';
import { KeysUnavailable } from '../../embedded/cluster-keys.ts';
import type { EmbeddedTwin } from '../../embedded/twin.ts';
import { readClaims } from './read.ts';

/** Twins that get or keep the keys of the cluster wrongly; by name, each with one fault. */
export const KEY_TWINS: Record<string, EmbeddedTwin> = {
  /** Fetches the issuer's keys once. */
  'keys-cached-for-ever': { keyCache: { cooldownMs: Number.POSITIVE_INFINITY, maxAgeMs: Number.POSITIVE_INFINITY } },

  /** Fetches the issuer's keys for an unknown `kid` alone, and so never sees that one is gone. */
  'withdrawn-key-kept': { keyCache: { maxAgeMs: Number.POSITIVE_INFINITY } },

  /** Believes a token while it cannot verify any. */
  'fails-open': {
    checks: () => ({
      async signature(assertion, policy) {
        try {
          return await STRICT_CHECKS.signature(assertion, policy);
        } catch (error) {
          if (error instanceof KeysUnavailable) {
            return readClaims(assertion);
          }
          throw error;
        }
      },
    }),
  },

  /** Gives an issuer up when it could not be reached once. */
  'never-recovers': {
    checks: () => {
      let givenUp: KeysUnavailable | undefined;
      return {
        async signature(assertion, policy) {
          if (givenUp !== undefined) {
            throw givenUp;
          }
          try {
            return await STRICT_CHECKS.signature(assertion, policy);
          } catch (error) {
            if (error instanceof KeysUnavailable) {
              givenUp = error;
            }
            throw error;
          }
        },
      };
    },
  },

  'key-sources-ignored': { ignoresKeySources: true },
};
