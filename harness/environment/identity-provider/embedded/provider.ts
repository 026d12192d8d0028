import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { type CompactVerifyGetKey, type CryptoKey, decodeJwt, exportJWK, generateKeyPair } from 'jose';
import Provider, {
  type Adapter,
  type AdapterPayload,
  type Client,
  errors,
  type KoaContextWithOIDC,
  type TokenEndpointGrantContext,
} from 'oidc-provider';
import type { Fetch } from '../../../oauth/fetch.ts';
import { CLIENT_ASSERTION_TYPE, GRANT_TYPES, type Grant, TOKEN_TYPE_JWT } from '../../../oauth/provider.ts';
import {
  type AssertionChecks,
  AssertionRefused,
  type AssertionUse,
  assertionVerifier,
  STRICT_CHECKS,
} from './assertion.ts';
import { clusterKeys, type KeyCache, KeysUnavailable, staticKeys } from './cluster-keys.ts';

const TOKEN_TYPE_ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/** One provider as it is configured; plain data, so that a pod can read it from a file. */
export interface EmbeddedProviderConfig {
  issuer: string;
  /** Issuer of the cluster whose ServiceAccounts are trusted; its keys are found by its discovery, unless `keys` says otherwise. */
  clusterIssuer: string;
  keys?: { url: string } | { jwks: string };
  keyCache: KeyCache;
  /** Allowed `alg` values of the cluster's tokens. */
  algorithms: string[];
  /** The audience that a projected token must name. */
  audience: string;
  /** Grants that are served. */
  grants: Grant[];
  accessTokenAudience: string;
  accessTokenLifetimeSeconds: number;
  /** Seconds by which the clocks of cluster and provider may differ. */
  clockToleranceSeconds: number;
  /** The resource server that may introspect (RFC 7662); given, access tokens are opaque, else they are JWTs. */
  introspectedBy?: { clientId: string; clientSecret: string };
}

/** A client stands for one ServiceAccount: its assertion is that ServiceAccount's projected token. */
interface RegisteredClient {
  clientId: string;
  /** `sub` of the projected token: `system:serviceaccount:NAMESPACE:NAME`. */
  subject: string;
}

export interface EmbeddedProvider {
  readonly provider: Provider;
  register(client: RegisteredClient): void;
}

/** Far above any projected token (about 1 KiB), far below what would hurt. */
const BODY_LIMIT_BYTES = 48 * 1024;
const DROPPED_LIMIT_BYTES = 8 * 1024 * 1024;

const SCOPES = ['openid'];

function oauthError(status: number, code: string, description: string): errors.OIDCProviderError {
  const error = new errors.CustomOIDCProviderError(code, description);
  error.status = status;
  error.statusCode = status;
  error.expose = true;
  return error;
}

/** Nothing but clients and opaque access tokens is stored: there are no sessions, and a JWT is stored by whoever has it. */
function adapter(
  model: string,
  clients: Map<string, RegisteredClient>,
  grantTypes: string[],
  introspectedBy: EmbeddedProviderConfig['introspectedBy'],
): Adapter {
  const tokens = new Map<string, AdapterPayload>();
  return {
    async find(id) {
      if (model === 'AccessToken') return tokens.get(id);
      if (model === 'Client' && id === introspectedBy?.clientId) {
        return {
          client_id: id,
          client_secret: introspectedBy.clientSecret,
          token_endpoint_auth_method: 'client_secret_basic',
          grant_types: [],
          response_types: [],
          redirect_uris: [],
        };
      }
      if (model !== 'Client' || !clients.has(id)) return undefined;
      return {
        client_id: id,
        token_endpoint_auth_method: 'none',
        grant_types: grantTypes,
        response_types: [],
        redirect_uris: [],
        scope: SCOPES.join(' '),
      };
    },
    async findByUserCode() {},
    async findByUid() {},
    async upsert(id, payload) {
      if (model === 'AccessToken') tokens.set(id, payload);
    },
    async consume() {},
    async destroy() {},
    async revokeByGrantId() {},
  };
}

/** The body, or undefined if it is too large; then the rest is read and dropped, so that the client comes to see the answer. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  let chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += (chunk as Buffer).length;
    if (length > DROPPED_LIMIT_BYTES) break;
    if (length > BODY_LIMIT_BYTES) chunks = [];
    else chunks.push(chunk as Buffer);
  }
  return length > BODY_LIMIT_BYTES ? undefined : Buffer.concat(chunks).toString('utf8');
}

/** The steps that follow on verification; apart, as {@link AssertionChecks} are, so that a broken provider can be made. */
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

function keysOf({ clusterIssuer, keys, keyCache }: EmbeddedProviderConfig, fetch: Fetch): CompactVerifyGetKey {
  if (keys !== undefined && 'jwks' in keys) return staticKeys(keys.jwks);
  return clusterKeys(clusterIssuer, fetch, {
    cache: keyCache,
    ...(keys === undefined ? {} : { keyUrl: keys.url }),
  });
}

/** The key by which a provider signs its access tokens (EC P-256). */
export interface SigningKey {
  privateKey: CryptoKey;
  kid: string;
}

export async function makeAccessTokenKey(kid: string): Promise<SigningKey> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  return { privateKey, kid };
}

export interface EmbeddedProviderOptions {
  /** Key of its access tokens, where it is not one of its own. */
  signingKey?: SigningKey;
  /** Replaces what is done with a verified assertion; for broken twins. */
  behaviour?: EmbeddedBehaviour;
  /** Replaces the steps of verification; for broken twins. Without it the assertion is verified strictly. */
  checks?: AssertionChecks;
  /** Is told of what is not the client's fault: keys that cannot be fetched, an error inside. */
  onTrouble?(message: string): void;
}

/**
 * A provider of access tokens for Kubernetes ServiceAccounts, on panva's `oidc-provider`: the JWT authorization grant
 * (RFC 7523 section 2.1), token exchange (RFC 8693) and client authentication by assertion (RFC 7523 section 2.2), each with
 * a projected token.
 */
export async function createEmbeddedProvider(
  config: EmbeddedProviderConfig,
  fetch: Fetch,
  {
    checks = STRICT_CHECKS,
    behaviour = STRICT_BEHAVIOUR,
    onTrouble = () => {},
    signingKey,
  }: EmbeddedProviderOptions = {},
): Promise<EmbeddedProvider> {
  const clients = new Map<string, RegisteredClient>();
  const clientIdOfSubject = new Map<string, string>();
  const verify = assertionVerifier(
    {
      issuer: config.clusterIssuer,
      audience: config.audience,
      algorithms: config.algorithms,
      keys: keysOf(config, fetch),
      fetch,
      clockToleranceSeconds: config.clockToleranceSeconds,
    },
    checks,
  );
  const { host, pathname } = new URL(config.issuer);
  const { privateKey, kid } = signingKey ?? (await makeAccessTokenKey(`${pathname.slice(1)}-1`));
  const provider = new Provider(config.issuer, {
    adapter: (model: string) =>
      adapter(
        model,
        clients,
        config.grants.map((grant) => GRANT_TYPES[grant]),
        config.introspectedBy,
      ),
    jwks: {
      keys: [{ ...(await exportJWK(privateKey)), kid, alg: 'ES256', use: 'sig' }],
    },
    clientAuthMethods: config.introspectedBy === undefined ? ['none'] : ['none', 'client_secret_basic'],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    scopes: SCOPES,
    responseTypes: [],
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      introspection: {
        enabled: config.introspectedBy !== undefined,
        allowedPolicy: (_ctx, client) => client.clientId === config.introspectedBy?.clientId,
      },
    },
    routes: { token: '/token', jwks: '/jwks', introspection: '/introspect' },
    ttl: { AccessToken: config.accessTokenLifetimeSeconds },
    formats: {
      customizers: {
        jwt(_ctx, _token, { payload }) {
          behaviour.claims(payload);
        },
      },
    },
  });
  // Koa writes what it takes for an error (a client that hangs up) to the console.
  provider.silent = true;
  provider.on('server_error', (_ctx, error) => onTrouble(error.message));
  const resourceServer = new provider.ResourceServer(config.accessTokenAudience, {
    audience: config.accessTokenAudience,
    scope: SCOPES.join(' '),
    accessTokenFormat: config.introspectedBy === undefined ? 'jwt' : 'opaque',
    accessTokenTTL: config.accessTokenLifetimeSeconds,
    jwt: { sign: { alg: 'ES256' } },
  });

  /** Verifies each token of a request once; a refusal becomes `code`, and what cannot be verified now becomes 503. */
  const verifier = (): ((assertion: string, code: string, use: AssertionUse) => Promise<string>) => {
    const verified = new Map<string, Promise<string>>();
    return async (assertion, code, use) => {
      const status = use === 'grant' ? 400 : 401;
      const key = `${use} ${assertion}`;
      const subject = verified.get(key) ?? verify(assertion, use);
      verified.set(key, subject);
      try {
        return await subject;
      } catch (error) {
        if (error instanceof AssertionRefused) throw oauthError(status, code, `assertion refused: ${error.message}`);
        if (error instanceof KeysUnavailable) {
          onTrouble(error.message);
          throw oauthError(503, 'temporarily_unavailable', 'the keys of the cluster cannot be had now');
        }
        throw error;
      }
    };
  };

  /** The `openid` scope is accepted for the sake of OpenID Connect clients; nothing beyond it is granted (RFC 6749 section 3.3). */
  const scopeOf = (ctx: TokenEndpointGrantContext): string | undefined => {
    const asked = String(ctx.oidc.params.scope ?? '')
      .split(' ')
      .filter(Boolean);
    const unknown = behaviour.ungranted(asked);
    if (unknown.length > 0)
      throw new errors.InvalidScope('requested scope is not granted to this client', unknown.join(' '));
    return asked.length > 0 ? asked.join(' ') : undefined;
  };

  const single = (ctx: TokenEndpointGrantContext, name: string): string => {
    const value = ctx.oidc.params[name];
    if (typeof value !== 'string' || value === '')
      throw new errors.InvalidRequest(`missing required parameter ${name}`);
    return value;
  };

  const maps = (ctx: TokenEndpointGrantContext, subject: string, authenticated?: string): boolean =>
    behaviour.maps(clients.get(ctx.oidc.client.clientId)?.subject, subject, {
      authenticated,
      isRegistered: (other) => clientIdOfSubject.has(other),
    });

  /** Client authentication by assertion (RFC 7521 section 4.2), where the request has one. Gives the subject that was proven. */
  const authenticate = async (
    ctx: TokenEndpointGrantContext,
    verifyOnce: ReturnType<typeof verifier>,
  ): Promise<string | undefined> => {
    const { client_assertion: assertion, client_assertion_type: type } = ctx.oidc.body ?? {};
    if (assertion === undefined && type === undefined) return undefined;
    if (type !== CLIENT_ASSERTION_TYPE) throw oauthError(401, 'invalid_client', 'unknown client_assertion_type');
    if (typeof assertion !== 'string') throw oauthError(401, 'invalid_client', 'client_assertion must be given once');
    const subject = await verifyOnce(assertion, 'invalid_client', 'client authentication');
    if (!maps(ctx, subject)) {
      throw oauthError(401, 'invalid_client', 'subject of the client_assertion is not this client');
    }
    return subject;
  };

  const answer = async (
    ctx: TokenEndpointGrantContext,
    client: Client,
    subject: string,
    extra: object = {},
  ): Promise<void> => {
    const scope = scopeOf(ctx);
    const token = new provider.AccessToken({
      client,
      accountId: subject,
      resourceServer,
      // There are no grants: one that is named would be looked for at introspection.
      grantId: config.introspectedBy === undefined ? subject : '',
      gty: ctx.oidc.params.grant_type,
      ...(scope === undefined ? {} : { scope }),
    });
    ctx.body = {
      access_token: await token.save(),
      token_type: token.tokenType,
      expires_in: token.expiration,
      ...(scope === undefined ? {} : { scope }),
      ...extra,
    };
  };

  /** A mapped identity is given to the ServiceAccount that it was registered for, and to no other. */
  const requireMapped = (
    ctx: TokenEndpointGrantContext,
    subject: string,
    code: string,
    authenticated: string | undefined,
  ): void => {
    if (!maps(ctx, subject, authenticated)) {
      throw oauthError(400, code, 'subject of the assertion is not mapped to this client');
    }
  };

  const handlers: Record<Grant, { parameters: string[]; handle(ctx: TokenEndpointGrantContext): Promise<void> }> = {
    'jwt-bearer': {
      parameters: ['assertion', 'scope'],
      async handle(ctx) {
        const verifyOnce = verifier();
        const authenticated = await authenticate(ctx, verifyOnce);
        const subject = await verifyOnce(single(ctx, 'assertion'), 'invalid_grant', 'grant');
        requireMapped(ctx, subject, 'invalid_grant', authenticated);
        await answer(ctx, ctx.oidc.client, subject);
      },
    },
    'token-exchange': {
      parameters: [
        'subject_token',
        'subject_token_type',
        'requested_token_type',
        'actor_token',
        'audience',
        'resource',
        'scope',
      ],
      async handle(ctx) {
        const verifyOnce = verifier();
        const authenticated = await authenticate(ctx, verifyOnce);
        if (single(ctx, 'subject_token_type') !== TOKEN_TYPE_JWT) {
          throw new errors.InvalidRequest(`subject_token_type must be ${TOKEN_TYPE_JWT}`);
        }
        const { requested_token_type: requested, actor_token: actor, audience, resource } = ctx.oidc.params;
        if (requested !== undefined && requested !== TOKEN_TYPE_ACCESS_TOKEN && requested !== TOKEN_TYPE_JWT) {
          throw new errors.InvalidRequest('requested_token_type is not supported');
        }
        if (actor !== undefined) throw new errors.InvalidRequest('actor_token is not supported');
        if ([audience, resource].some((target) => target !== undefined && target !== config.accessTokenAudience)) {
          throw new errors.InvalidTarget('the requested audience is unknown here');
        }
        const subject = await verifyOnce(single(ctx, 'subject_token'), 'invalid_request', 'grant');
        requireMapped(ctx, subject, 'invalid_request', authenticated);
        await answer(ctx, ctx.oidc.client, subject, { issued_token_type: TOKEN_TYPE_ACCESS_TOKEN });
      },
    },
    'client-assertion': {
      parameters: ['scope'],
      async handle(ctx) {
        const subject = await authenticate(ctx, verifier());
        if (subject === undefined)
          throw oauthError(401, 'invalid_client', 'client_assertion is required for this grant');
        await answer(ctx, ctx.oidc.client, subject);
      },
    },
  };
  for (const grant of config.grants) {
    const { parameters, handle } = handlers[grant];
    provider.registerGrantType(GRANT_TYPES[grant], handle, parameters);
  }

  // oidc-provider wants every client to name itself by client_id; with a client_assertion that is optional (RFC 7521 section
  // 4.2). So it is filled in from the assertion before; the assertion itself is verified where the grant is handled.
  provider.use(async (ctx, next) => {
    // The URLs of the discovery document are the issuer's, by whatever name the request came.
    ctx.req.headers.host = host;
    if (ctx.method !== 'POST' || !ctx.is('application/x-www-form-urlencoded')) return next();
    const body = await readBody(ctx.req);
    if (body === undefined) {
      behaviour.refuseLongBody(ctx, BODY_LIMIT_BYTES);
      return undefined;
    }
    const form = new URLSearchParams(body);
    const assertion = form.get('client_assertion');
    if (assertion !== null && !form.has('client_id')) form.set('client_id', clientOf(assertion));
    const replayed = Buffer.from(form.toString());
    ctx.req.headers['content-length'] = String(replayed.length);
    ctx.req = Readable.from([replayed], { objectMode: false }) as IncomingMessage;
    await next();
    behaviour.finish(ctx as KoaContextWithOIDC);
    return undefined;
  });

  const clientOf = (assertion: string): string => {
    try {
      return clientIdOfSubject.get(String(decodeJwt(assertion).sub)) ?? 'unknown';
    } catch {
      return 'unknown';
    }
  };

  return {
    provider,
    register(client) {
      clients.set(client.clientId, client);
      clientIdOfSubject.set(client.subject, client.clientId);
    },
  };
}
