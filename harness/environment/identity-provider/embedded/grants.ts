import { errors, type TokenEndpointGrantContext } from 'oidc-provider';
import { type Grant, TOKEN_TYPE_JWT } from '../../../oauth/provider.ts';
import type { AccessTokens } from './access-tokens.ts';
import { oauthError, type TokenRequest } from './token-request.ts';

const TOKEN_TYPE_ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/** How a grant is served. */
export interface GrantHandler {
  /** Parameters of a request that oidc-provider hands on. */
  parameters: string[];
  handle(ctx: TokenEndpointGrantContext, request: TokenRequest): Promise<void>;
}

/** The three grants by which a projected token becomes an access token. */
export function grantHandlers(accessTokens: AccessTokens, audiences: readonly string[]): Record<Grant, GrantHandler> {
  return {
    'jwt-bearer': jwtBearer(accessTokens),
    'token-exchange': tokenExchange(accessTokens, audiences),
    'client-assertion': clientAssertion(accessTokens),
  };
}

/** RFC 7523 section 2.1. */
function jwtBearer(accessTokens: AccessTokens): GrantHandler {
  return {
    parameters: ['assertion', 'scope'],
    async handle(ctx, request) {
      const authenticated = await request.authenticate();
      const subject = await request.subject('assertion', 'invalid_grant', authenticated);
      await accessTokens.answer(ctx, subject, request.scope());
    },
  };
}

/** RFC 8693; without delegation, and for the one resource server. */
function tokenExchange(accessTokens: AccessTokens, audiences: readonly string[]): GrantHandler {
  return {
    parameters: [
      'subject_token',
      'subject_token_type',
      'requested_token_type',
      'actor_token',
      'audience',
      'resource',
      'scope',
    ],
    async handle(ctx, request) {
      const authenticated = await request.authenticate();
      if (request.required('subject_token_type') !== TOKEN_TYPE_JWT) {
        throw new errors.InvalidRequest(`subject_token_type must be ${TOKEN_TYPE_JWT}`);
      }
      const { requested_token_type: requested, actor_token: actor, audience, resource } = ctx.oidc.params;
      if (requested !== undefined && requested !== TOKEN_TYPE_ACCESS_TOKEN && requested !== TOKEN_TYPE_JWT) {
        throw new errors.InvalidRequest('requested_token_type is not supported');
      }
      if (actor !== undefined) {
        throw new errors.InvalidRequest('actor_token is not supported');
      }
      if ([audience, resource].some((wanted) => wanted !== undefined && !audiences.includes(String(wanted)))) {
        throw new errors.InvalidTarget('the requested audience is unknown here');
      }
      const subject = await request.subject('subject_token', 'invalid_request', authenticated);
      await accessTokens.answer(ctx, subject, request.scope(), { issued_token_type: TOKEN_TYPE_ACCESS_TOKEN });
    },
  };
}

/** Client credentials, where the client authenticates itself by its assertion (RFC 7523 section 2.2). */
function clientAssertion(accessTokens: AccessTokens): GrantHandler {
  return {
    parameters: ['scope'],
    async handle(ctx, request) {
      const subject = await request.authenticate();
      if (subject === undefined) {
        throw oauthError(401, 'invalid_client', 'client_assertion is required for this grant');
      }
      await accessTokens.answer(ctx, subject, request.scope());
    },
  };
}
