import type { KoaContextWithOIDC } from 'oidc-provider';

/**
 * The scopes that there are: `openid` for the sake of OpenID Connect clients, and of those of Microsoft Entra ID, which
 * ask for everything at a resource and refuse `openid` alone.
 */
export const SCOPES = ['openid', 'inference/.default'];

/** The steps that follow on verification; apart, as `AssertionChecks` are, so that a broken provider can be made. */
export interface EmbeddedBehaviour {
  /**
   * Whether the subject of an assertion is the one that a client was registered for.
   *
   * @param request what else is known: whom the request's client assertion has proven, and who is registered at all
   */
  maps(
    registered: string | undefined,
    presented: string,
    request: { authenticated: string | undefined; isRegistered(subject: string): boolean },
  ): boolean;
  /** Those of the scopes asked for that are not granted. */
  ungranted(asked: string[]): string[];
  /** Answers a request whose body is longer than the limit. */
  refuseLongBody(
    ctx: Pick<KoaContextWithOIDC, 'status' | 'set' | 'body' | 'req' | 'respond'>,
    limitBytes: number,
  ): void;
  /** Has the last word on an answer of the token endpoint. */
  finish(ctx: KoaContextWithOIDC): void;
  /** Has the last word on the claims of an access token. */
  claims(claims: Record<string, unknown>): void;
}

export const STRICT_BEHAVIOUR: EmbeddedBehaviour = {
  maps: (registered, presented) => registered === presented,
  ungranted: (asked) => asked.filter((scope) => !SCOPES.includes(scope)),
  refuseLongBody(ctx, limitBytes) {
    ctx.status = 413;
    ctx.set('Connection', 'close');
    ctx.body = { error: 'invalid_request', error_description: `request entity is larger than ${limitBytes} bytes` };
  },
  finish() {},
  claims() {},
};
