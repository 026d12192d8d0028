import {
  type CompactJWSHeaderParameters,
  compactVerify,
  decodeJwt,
  decodeProtectedHeader,
  EmbeddedJWK,
  exportSPKI,
} from 'jose';
import type { Grant } from '../../../oauth/provider.ts';
import { type AssertionChecks, AssertionRefused, type Claims, STRICT_CHECKS } from '../embedded/assertion.ts';
import { clusterKeys, type KeyCache, KeysUnavailable } from '../embedded/cluster-keys.ts';
import { EMBEDDED_AUDIENCE_PREFIX, FOREIGN_SCOPE } from '../embedded/index.ts';
import type { EmbeddedBehaviour } from '../embedded/provider.ts';

/** What a broken embedded provider does otherwise than the reference. */
export interface EmbeddedTwin {
  /** Makes the replaced steps, once for each provider (a step may keep a state of its own). */
  checks?(): Partial<AssertionChecks>;
  behaviour?: Partial<EmbeddedBehaviour>;
  /** Grants that it declares and does not serve. */
  switchedOff?: Grant[];
  /** Keeps the issuer's keys otherwise. */
  keyCache?: Partial<KeyCache>;
  /** True where it finds keys by the issuer's discovery, whatever it was told. */
  ignoresKeySources?: boolean;
  /** True where all of its providers sign with one key. */
  oneSigningKey?: boolean;
  /** True where they are opaque, and a resource server has to introspect them. */
  opaqueAccessTokens?: boolean;
  /** Life of its access tokens, whatever it declares. */
  accessTokenLifetimeSeconds?: number;
}

function audiencesOf(claims: Claims): unknown[] {
  return Array.isArray(claims.aud) ? claims.aud : [claims.aud];
}

/** What a decoder of jose reads, unverified. */
function read<T>(decode: (assertion: string) => T, assertion: string): T {
  try {
    return decode(assertion);
  } catch {
    throw new AssertionRefused('not a JWT');
  }
}

/** The claims, unverified. */
function readClaims(assertion: string): Claims {
  return read(decodeJwt, assertion);
}

function bodyOf(answer: unknown): Record<string, unknown> {
  return typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>) : {};
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

  /** Compares the audience of grants, and believes whatever client assertion the issuer has signed. */
  'client-assertion-audience-unchecked': {
    checks: () => ({
      audience(claims, policy, use) {
        if (use === 'grant') STRICT_CHECKS.audience(claims, policy, use);
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
        return readClaims(assertion);
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

  'first-match-wins': {
    checks: () => ({
      audience(claims, { audience }) {
        if (!audiencesOf(claims).includes(audience)) throw new AssertionRefused('audience is not this provider');
      },
    }),
  },

  /** Looks the keys up by the token's own issuer, and trusts whom it finds. */
  'issuer-unchecked': {
    checks: () => ({
      issuer() {},
      async signature(assertion, policy) {
        const { iss } = readClaims(assertion);
        if (iss === policy.issuer) return STRICT_CHECKS.signature(assertion, policy);
        if (typeof iss !== 'string') throw new AssertionRefused('issuer missing');
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
        if (jku !== undefined) await policy.fetch(jku);
        return STRICT_CHECKS.signature(assertion, policy);
      },
    }),
  },

  /** Does not look at `crit`, and so takes an extension that it does not know for one that it has processed. */
  'critical-header-ignored': {
    checks: () => ({
      async signature(assertion, policy) {
        const { crit } = read(decodeProtectedHeader, assertion);
        if (crit === undefined) return STRICT_CHECKS.signature(assertion, policy);
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
        if (!String(claims.aud).startsWith('inference-')) return STRICT_CHECKS.signature(assertion, policy);
        return { ...claims, iss: policy.issuer, aud: policy.audience };
      },
    }),
  },

  /** Compares the ServiceAccounts' names, and not their namespaces. */
  'namespace-ignored': {
    behaviour: { maps: (registered, presented) => registered?.split(':').at(-1) === presented.split(':').at(-1) },
  },

  /** Verifies both tokens of a request, each for itself: a client may bring anybody's who is registered. */
  'pair-not-compared': {
    behaviour: {
      maps: (registered, presented, { authenticated, isRegistered }) =>
        registered === presented || (authenticated === registered && isRegistered(presented)),
    },
  },

  'iat-unchecked': {
    checks: () => ({
      times({ iat: _, ...claims }, policy) {
        STRICT_CHECKS.times(claims, policy);
      },
    }),
  },

  'cacheable-answer': {
    behaviour: {
      finish(ctx) {
        if (ctx.status === 200) ctx.set('cache-control', 'private, max-age=60');
      },
    },
  },

  'expires-in-as-a-string': {
    behaviour: {
      finish(ctx) {
        const body = bodyOf(ctx.body);
        if (ctx.status === 200) ctx.body = { ...body, expires_in: String(body.expires_in) };
      },
    },
  },

  /** A body limit as some gateways have it: the connection ends, and nothing was answered. */
  'hangs-up-on-long-bodies': {
    behaviour: {
      refuseLongBody(ctx) {
        ctx.respond = false;
        ctx.req.socket.destroy();
      },
    },
  },

  'hands-out-refresh-token': {
    behaviour: {
      finish(ctx) {
        if (ctx.status === 200) ctx.body = { ...bodyOf(ctx.body), refresh_token: 'refresh' };
      },
    },
  },

  /** An assertion that it cannot parse ends in an error that nobody caught. */
  'server-error-on-garbage': {
    behaviour: {
      finish(ctx) {
        if (!String(bodyOf(ctx.body).error_description).includes('not a valid signed JWT')) return;
        ctx.status = 500;
        ctx.body = { error: 'server_error' };
      },
    },
  },

  'unregistered-error-code': {
    behaviour: {
      finish(ctx) {
        const body = bodyOf(ctx.body);
        if (body.error !== undefined) ctx.body = { ...body, error: 'bad_token' };
      },
    },
  },

  'echoes-assertion': {
    behaviour: {
      finish(ctx) {
        const body = bodyOf(ctx.body);
        const sent = ctx.oidc?.body;
        if (body.error === undefined || sent === undefined) return;
        const assertion = sent.assertion ?? sent.subject_token ?? sent.client_assertion;
        ctx.body = { ...body, error_description: `refused: ${String(assertion)}` };
      },
    },
  },

  'one-identity-for-all': {
    behaviour: {
      claims(claims) {
        Object.assign(claims, { sub: 'workload', client_id: 'workload' });
      },
    },
  },

  /** Its access tokens say nothing, and introspection says the same of all of them. */
  'opaque-one-identity': {
    opaqueAccessTokens: true,
    behaviour: {
      finish(ctx) {
        const body = bodyOf(ctx.body);
        if (body.active === true) ctx.body = { ...body, sub: 'workload', client_id: 'workload' };
      },
    },
  },

  /** Refuses a scope that it does not know, and gives every one that it knows to every client. */
  'any-known-scope': {
    behaviour: { ungranted: (asked) => asked.filter((scope) => scope !== 'openid' && scope !== FOREIGN_SCOPE) },
  },

  'any-scope': { behaviour: { ungranted: () => [] } },

  /** Writes the scopes that it grants as an array, as some servers do. */
  'any-scope-in-an-array': {
    behaviour: {
      ungranted: () => [],
      finish(ctx) {
        const body = bodyOf(ctx.body);
        if (typeof body.scope === 'string') ctx.body = { ...body, scope: body.scope.split(' ') };
      },
      claims(claims) {
        delete claims.scope;
      },
    },
  },

  /** Its providers issue in the name of one of them: one issuer, one key, one audience. */
  'one-issuer-for-all': {
    oneSigningKey: true,
    behaviour: {
      claims(claims) {
        claims.iss = String(claims.iss).replace(/[^/]+$/, 'production');
        claims.aud = 'inference-production';
      },
    },
  },

  'outlives-by-a-day': { accessTokenLifetimeSeconds: 86_400 },

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
          if (error instanceof KeysUnavailable) return readClaims(assertion);
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
          if (givenUp !== undefined) throw givenUp;
          try {
            return await STRICT_CHECKS.signature(assertion, policy);
          } catch (error) {
            if (error instanceof KeysUnavailable) givenUp = error;
            throw error;
          }
        },
      };
    },
  },

  'key-sources-ignored': { ignoresKeySources: true },

  'grant-switched-off': { switchedOff: ['token-exchange'] },
};
