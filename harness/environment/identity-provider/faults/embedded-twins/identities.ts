import type { EmbeddedTwin } from '../../embedded/twin.ts';
import { bodyOf } from './read.ts';

/** Twins that mix up workloads, or providers; by name, each with one fault. */
export const IDENTITY_TWINS: Record<string, EmbeddedTwin> = {
  /** Compares the ServiceAccounts' names, and not their namespaces. */
  'namespace-ignored': {
    behaviour: { maps: (registered, presented) => registered?.split(':').at(-1) === presented.split(':').at(-1) },
  },

  /**
   * Believes the `client_id` of a request, whosever client assertion stands beside it, as long as it is somebody's who
   * is registered.
   */
  'client-id-believed': {
    behaviour: {
      maps: (registered, presented, { authenticated, isRegistered }) =>
        registered === presented || (authenticated === undefined && isRegistered(presented)),
    },
  },

  /** Verifies both tokens of a request, each for itself: a client may bring anybody's who is registered. */
  'pair-not-compared': {
    behaviour: {
      maps: (registered, presented, { authenticated, isRegistered }) =>
        registered === presented || (authenticated === registered && isRegistered(presented)),
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
        if (body.active === true) {
          ctx.body = { ...body, sub: 'workload', client_id: 'workload' };
        }
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
};
