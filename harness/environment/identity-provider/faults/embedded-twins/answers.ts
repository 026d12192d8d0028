import { FOREIGN_SCOPE } from '../../embedded/description.ts';
import type { EmbeddedTwin } from '../../embedded/twin.ts';
import { bodyOf } from './read.ts';

/** Twins whose token endpoint answers, refuses or grants wrongly; by name, each with one fault. */
export const ANSWER_TWINS: Record<string, EmbeddedTwin> = {
  'cacheable-answer': {
    behaviour: {
      finish(ctx) {
        if (ctx.status === 200) {
          ctx.set('cache-control', 'private, max-age=60');
        }
      },
    },
  },

  'expires-in-as-a-string': {
    behaviour: {
      finish(ctx) {
        const body = bodyOf(ctx.body);
        if (ctx.status === 200) {
          ctx.body = { ...body, expires_in: String(body.expires_in) };
        }
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
        if (ctx.status === 200) {
          ctx.body = { ...bodyOf(ctx.body), refresh_token: 'refresh' };
        }
      },
    },
  },

  /** An assertion that it cannot parse ends in an error that nobody caught. */
  'server-error-on-garbage': {
    behaviour: {
      finish(ctx) {
        if (!String(bodyOf(ctx.body).error_description).includes('not a valid signed JWT')) {
          return;
        }
        ctx.status = 500;
        ctx.body = { error: 'server_error' };
      },
    },
  },

  'unregistered-error-code': {
    behaviour: {
      finish(ctx) {
        const body = bodyOf(ctx.body);
        if (body.error !== undefined) {
          ctx.body = { ...body, error: 'bad_token' };
        }
      },
    },
  },

  'echoes-assertion': {
    behaviour: {
      finish(ctx) {
        const body = bodyOf(ctx.body);
        const sent = ctx.oidc?.body;
        if (body.error === undefined || sent === undefined) {
          return;
        }
        const assertion = sent.assertion ?? sent.subject_token ?? sent.client_assertion;
        ctx.body = { ...body, error_description: `refused: ${String(assertion)}` };
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
        if (typeof body.scope === 'string') {
          ctx.body = { ...body, scope: body.scope.split(' ') };
        }
      },
      claims(claims) {
        delete claims.scope;
      },
    },
  },

  'outlives-by-a-day': { accessTokenLifetimeSeconds: 86_400 },

  'grant-switched-off': { switchedOff: ['token-exchange'] },
};
