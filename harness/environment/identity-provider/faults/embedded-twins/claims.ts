import { AssertionRefused, type Claims, STRICT_CHECKS } from '../../embedded/assertion.ts';
import { EMBEDDED_AUDIENCE_PREFIX } from '../../embedded/description.ts';
import type { EmbeddedTwin } from '../../embedded/twin.ts';

function audiencesOf(claims: Claims): unknown[] {
  return Array.isArray(claims.aud) ? claims.aud : [claims.aud];
}

/** Twins that take the wrong claims for good ones; by name, each with one fault. */
export const CLAIM_TWINS: Record<string, EmbeddedTwin> = {
  'audience-unchecked': { checks: () => ({ audience() {} }) },

  /** Knows which audiences belong to the other providers, and takes every other one for its own. */
  'api-audience-accepted': {
    checks: () => ({
      audience(claims, { audience }) {
        const siblings = audiencesOf(claims).filter(
          (named) => named !== audience && String(named).startsWith(EMBEDDED_AUDIENCE_PREFIX),
        );
        if (siblings.length > 0) {
          throw new AssertionRefused('audience is another provider');
        }
      },
    }),
  },

  /** Compares the audience of grants, and believes whatever client assertion the issuer has signed. */
  'client-assertion-audience-unchecked': {
    checks: () => ({
      audience(claims, policy, use) {
        if (use === 'grant') {
          STRICT_CHECKS.audience(claims, policy, use);
        }
      },
    }),
  },

  'issuer-prefix-match': {
    checks: () => ({
      issuer(claims, { issuer }) {
        if (typeof claims.iss !== 'string' || !claims.iss.startsWith(issuer)) {
          throw new AssertionRefused('issuer not trusted');
        }
      },
    }),
  },

  'times-unchecked': { checks: () => ({ times() {} }) },

  /**
   * Takes every assertion once, as RFC 7523 section 3 allows and projected tokens do not: once as a grant and once to
   * authenticate the client, since one request may have it as both.
   */
  'single-use': {
    checks: () => {
      const used = new Set<string>();
      return {
        reuse(claims, _policy, use) {
          const key = `${use} ${claims.jti}`;
          if (used.has(key)) {
            throw new AssertionRefused('jti was used before');
          }
          used.add(key);
        },
      };
    },
  },

  'age-limit-300': {
    checks: () => ({
      times(claims, policy) {
        STRICT_CHECKS.times(claims, policy);
        if (Number(claims.iat) < Date.now() / 1_000 - 300) {
          throw new AssertionRefused('issued too far in the past');
        }
      },
    }),
  },

  'first-match-wins': {
    checks: () => ({
      audience(claims, { audience }) {
        if (!audiencesOf(claims).includes(audience)) {
          throw new AssertionRefused('audience is not this provider');
        }
      },
    }),
  },

  'iat-unchecked': {
    checks: () => ({
      times({ iat: _, ...claims }, policy) {
        STRICT_CHECKS.times(claims, policy);
      },
    }),
  },
};
