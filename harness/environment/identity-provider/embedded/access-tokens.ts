import { type CryptoKey, generateKeyPair } from 'jose';
import type Provider from 'oidc-provider';
import type { TokenEndpointGrantContext } from 'oidc-provider';
import { SCOPES } from './behaviour.ts';
import type { EmbeddedProviderConfig } from './config.ts';

/** The key by which a provider signs its access tokens (EC P-256). */
export interface SigningKey {
  privateKey: CryptoKey;
  kid: string;
}

export async function makeAccessTokenKey(kid: string): Promise<SigningKey> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  return { privateKey, kid };
}

/**
 * Issues access tokens for the one resource server of a provider: signed JWTs (RFC 9068), or opaque ones that it
 * introspects.
 */
export class AccessTokens {
  readonly #provider: Provider;
  readonly #isOpaque: boolean;
  readonly #resourceServer: InstanceType<Provider['ResourceServer']>;

  constructor(provider: Provider, config: EmbeddedProviderConfig) {
    this.#provider = provider;
    this.#isOpaque = config.introspectedBy !== undefined;
    this.#resourceServer = new provider.ResourceServer(config.accessTokenAudience, {
      audience: config.accessTokenAudience,
      scope: SCOPES.join(' '),
      accessTokenFormat: this.#isOpaque ? 'opaque' : 'jwt',
      accessTokenTTL: config.accessTokenLifetimeSeconds,
      jwt: { sign: { alg: 'ES256' } },
    });
  }

  /**
   * Answers a token request (RFC 6749 section 5.1) with a new access token.
   *
   * @param scope granted; absent where none was asked for
   * @param extra members of the answer that the grant adds
   */
  async answer(
    ctx: TokenEndpointGrantContext,
    subject: string,
    scope: string | undefined,
    extra: object = {},
  ): Promise<void> {
    const granted = scope === undefined ? {} : { scope };
    const token = new this.#provider.AccessToken({
      client: ctx.oidc.client,
      accountId: subject,
      resourceServer: this.#resourceServer,
      // There are no grants: one that is named would be looked for at introspection.
      grantId: this.#isOpaque ? '' : subject,
      gty: ctx.oidc.params.grant_type,
      ...granted,
    });
    ctx.body = {
      access_token: await token.save(),
      token_type: token.tokenType,
      expires_in: token.expiration,
      ...granted,
      ...extra,
    };
  }
}
