/**
 * What the harness knows of an identity provider. All of it is plain data, so that it can be sent to the test workers
 * and quoted in the report.
 */

/**
 * A grant by which a provider turns a projected token into an access token (RFC 7523 section 2.1, RFC 8693, RFC 7523
 * section 2.2).
 */
export type Grant = 'jwt-bearer' | 'token-exchange' | 'client-assertion';

/** `grant_type` of each grant: RFC 7523 section 2.1, RFC 8693 section 2.1, RFC 6749 section 4.4.2. */
export const GRANT_TYPES: Record<Grant, string> = {
  'jwt-bearer': 'urn:ietf:params:oauth:grant-type:jwt-bearer',
  'token-exchange': 'urn:ietf:params:oauth:grant-type:token-exchange',
  'client-assertion': 'client_credentials',
};

/** `client_assertion_type` of a JWT (RFC 7523 section 2.2). */
export const CLIENT_ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** `subject_token_type` of a JWT (RFC 8693 section 3). */
export const TOKEN_TYPE_JWT = 'urn:ietf:params:oauth:token-type:jwt';

/**
 * How the client authenticates itself at the token endpoint: `none` (a public client that names itself by `client_id`),
 * `subject-token`: the same projected token as `client_assertion` (RFC 7521 section 4.2), or by a secret as RFC 6749
 * section 2.3.1 has it. The references have no secret anywhere; a target may need one.
 */
export type ClientAuthentication = 'none' | 'subject-token' | 'client-secret-post' | 'client-secret-basic';

/** A grant that a provider declares, and how it is asked for. */
export interface GrantDeclaration {
  grant: Grant;
  clientAuthentication: ClientAuthentication;
  /** Further parameters of the token request. */
  parameters?: Record<string, string>;
  /** `json` where the endpoint takes no form, as RFC 6749 has it, but the same members as a JSON object. */
  encoding?: 'form' | 'json';
  /**
   * True where the request names no client: optional for assertions and subject tokens (RFC 7521 section 4.1, RFC 8693
   * section 2.1).
   */
  omitsClientId?: boolean;
}

/** One provider with an issuer and an audience of its own, for example one realm of Keycloak. */
export interface ProviderDescription {
  /** `production`, `staging`, … as in the recipes of the OpenCode OAuth2 cookbook. */
  name: string;
  /** Issuer of the access tokens, and the base of the provider's discovery document. */
  issuer: string;
  /**
   * The audience that a projected token must name for this provider: the string configured out of band, never assumed
   * to be the issuer.
   */
  audience: string;
  tokenEndpoint: string;
  grants: GrantDeclaration[];
  /** `aud` that its access tokens carry for the resource server. */
  accessTokenAudience: string;
  /** Life of its access tokens in seconds, as configured. */
  accessTokenLifetimeSeconds: number;
  /** True where it declares that a projected token may name other audiences besides its own. */
  acceptsFurtherAudiences?: boolean;
  /**
   * True where it declares that a subject that nobody registered gets a token in its own name, for the resource server
   * to refuse (AI-09).
   */
  acceptsUnmappedSubjects?: boolean;
  /** Scopes that it knows and that no client of the harness's is registered for (TX-20), where it declares them. */
  foreignScopes?: string[];
  /** Where a resource server asks what an access token is worth (RFC 7662), and as whom; where it declares it. */
  introspection?: Introspection;
  /** Seconds within which it comes to refuse tokens of a key that the issuer has withdrawn, where it declares them. */
  withdrawnKeySeconds?: number;
}

/** RFC 7662 section 2.1: the resource server authenticates itself as a client. */
export interface Introspection {
  endpoint: string;
  clientAuthentication: 'client-secret-post' | 'client-secret-basic';
  clientId: string;
  /** Not for a report. */
  clientSecret: string;
}

/**
 * A way of having the issuer's keys other than by the issuer's discovery: a URL of their own, or the keys themselves.
 */
export type KeySource = 'key-url' | 'static-keys';

/** What a target file says of trust in an additional issuer, for reasons to quote. */
export interface AdditionalIssuerDeclaration {
  /** The declaration, or that there is none. */
  quoted: string;
  /** How its provider has the keys; absent where there is none. */
  keys?: 'discovery' | KeySource;
  /** True where the issuer must be served by plain http. */
  plainHttp?: boolean;
}

/** A running identity provider: one server with one or more isolated providers. */
export interface IdentityProviderDescription {
  /** `keycloak`, `embedded`, `oauth2-mock-server`, … */
  kind: string;
  /** Version as the server itself or its package says. */
  version: string;
  providers: ProviderDescription[];
  /** The ways that it declares besides the issuer's discovery. */
  keySources?: KeySource[];
  /**
   * How trust in an additional issuer is declared: absent where the server can be configured by discovery and by each
   * of its key sources.
   */
  furtherIssuer?: AdditionalIssuerDeclaration;
  /** ServiceAccounts that it knows already, where no others can be registered: two at least, each in this namespace. */
  registered?: { namespace: string; serviceAccounts: string[]; quoted: string };
  /** Host and port in every issuer URL. */
  host: string;
  port: number;
  /** IP address and port at which a pod (through the recorder) reaches the server. */
  upstream: { address: string; port: number };
}

/** A workload's identity in the cluster: what `sub` says as `system:serviceaccount:NAMESPACE:NAME`. */
export interface WorkloadIdentity {
  namespace: string;
  serviceAccount: string;
}

/** What a workload has to be configured with after it was registered. */
export interface Registration {
  clientId: string;
  /** For the declared client authentication by secret alone. */
  clientSecret?: string;
}

/**
 * How the provider is configured to trust the cluster: by the cluster's own discovery and keys, never by a copied key.
 */
export interface ClusterTrust {
  issuer: string;
  jwksUri: string;
  /** CA certificate(s), PEM, of the issuer's TLS. */
  ca: string;
  /**
   * `alg` of the cluster's tokens, where it is known before the cluster is up; without it RS256 and ES256 are allowed.
   */
  algorithms?: string[];
}

/** An issuer that the harness serves itself, and that a provider is configured to trust in the cluster's place. */
export interface AdditionalIssuerTrust {
  issuer: string;
  /** `alg` of its tokens. */
  algorithms: string[];
  /** Where its keys are, if not where its discovery says: a URL, or a JWK Set as JSON text. */
  keys?: { url: string } | { jwks: string };
  /** What it publishes now, a JWK Set as JSON text: for a provider that is always given the keys themselves. */
  published: string;
}

/** Requests to a provider, by endpoint, and who counted them. */
export interface CountedRequests {
  counts: Record<string, number>;
  countedBy: string;
}

/** An identity provider started by this run. Lives in the main process. */
export interface StartedIdentityProvider {
  readonly description: IdentityProviderDescription;
  /**
   * Maps a ServiceAccount to an identity at one provider (by name). Idempotent: the same workload gets the same
   * registration.
   */
  register(provider: string, workload: WorkloadIdentity): Promise<Registration>;
  /**
   * Makes one more provider on the same server, which trusts another issuer than the cluster; {@link register} then
   * knows it. Absent where the server cannot be given one.
   */
  trusting?(trust: AdditionalIssuerTrust): Promise<ProviderDescription>;
  /** Requests to it so far, by whomever; absent where nobody counts them. */
  requests?(): CountedRequests | Promise<CountedRequests>;
  /**
   * Rejects with a clear error if the server is gone (a container that exited, a listener that closed): reported as a
   * harness error.
   */
  assertAlive(): Promise<void>;
  stop(): Promise<void>;
}

/** `sub` of the projected tokens of a ServiceAccount. */
export function subjectOf({ namespace, serviceAccount }: WorkloadIdentity): string {
  return `system:serviceaccount:${namespace}:${serviceAccount}`;
}
