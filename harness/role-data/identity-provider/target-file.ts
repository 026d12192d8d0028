import { z } from 'zod';
import { targetBase } from '../target-base.ts';

const text = z.string().trim().min(1);

/** How the client proves who it is at the token endpoint (RFC 6749 section 2.3.1, RFC 7521 section 4.2). */
const clientAuthentication = z.enum(['none', 'subject-token', 'client-secret-post', 'client-secret-basic']);

const grantSchema = z.strictObject({
  grant: z.enum(['jwt-bearer', 'token-exchange', 'client-assertion']),
  clientAuthentication,
  /** Further parameters of the token request, for example `requested_token_type`. */
  parameters: z.record(z.string(), text).optional(),
  /**
   * `json` where the endpoint takes a JSON object in place of a form: TX-12a says so once, and everything else is
   * evaluated.
   */
  encoding: z.enum(['form', 'json']).optional(),
  /** True where the request must not name a client by `client_id`. */
  omitsClientId: z.boolean().optional(),
});

const providerSchema = z.strictObject({
  /** `production`, `staging`, …: two at least let the matrix of audiences be seen. */
  name: z.string().regex(/^[a-z][a-z0-9-]*$/, 'lower case letters, digits and dashes'),
  /** `iss` of its access tokens, and the base of its discovery document. */
  issuer: text,
  /** The audience that a projected token must name for it. */
  audience: text,
  /** Absent: the one that the discovery document names. */
  tokenEndpoint: text.optional(),
  grants: z.array(grantSchema).min(1),
  /** `aud` of its access tokens. */
  accessTokenAudience: text,
  /** Life of its access tokens in seconds, as configured. */
  accessTokenLifetimeSeconds: z.number().int().positive(),
  /** True where it declares that a projected token may name further audiences beside its own (AI-04). */
  acceptsFurtherAudiences: z.boolean().optional(),
  /**
   * True where it declares that a subject that nobody registered gets a token in its own name, for the resource server
   * to refuse (AI-09).
   */
  acceptsUnmappedSubjects: z.boolean().optional(),
  /**
   * Seconds within which it comes to refuse tokens of a key that the issuer has withdrawn (AI-14); 60 where none are
   * declared.
   */
  withdrawnKeySeconds: z.number().int().positive().optional(),
  /**
   * Where a resource server asks what an access token is worth (RFC 7662), and the client as which it does: for opaque
   * access tokens.
   */
  introspection: z
    .strictObject({
      /** Absent: the one that the discovery document names. */
      endpoint: text.optional(),
      clientAuthentication: z.enum(['client-secret-post', 'client-secret-basic']).default('client-secret-basic'),
      clientId: text,
      clientSecret: text,
    })
    .optional(),
  /**
   * Scopes that it knows and that no client that is registered here may have: TX-20 asks for each, beside two that
   * nobody knows.
   */
  foreignScopes: z.array(text).min(1).optional(),
  /** Values of your own, for `${provider.NAME}` in requests and commands. */
  values: z.record(z.string(), text).optional(),
});

/** One request to the provider's admin API: relative to `admin.baseUrl`, with the administrator's token, JSON. */
const adminRequestSchema = z.strictObject({
  method: z.enum(['GET', 'POST', 'PUT', 'DELETE']),
  path: text,
  body: z.unknown().optional(),
  /** Values for later requests: name → JSON pointer (RFC 6901) into the answer, used as `${saved.NAME}`. */
  save: z.record(z.string(), z.string()).optional(),
});

/** Ways of telling the provider something; each that is given is used, in this order. */
const tellingSchema = {
  /** By the provider's admin API. */
  requests: z.array(adminRequestSchema).optional(),
  /** By a person: the steps are printed, and the run waits until the file is made. */
  manual: z
    .strictObject({ steps: z.array(text).min(1), doneFile: text, deadlineSeconds: z.number().positive() })
    .optional(),
  /** By a command of the user's, which is given the values in its environment. */
  command: z.array(text).min(1).optional(),
};

/**
 * How a ServiceAccount is made known to the provider; `${workload.subject}` and its like stand for it. The last line
 * that the command prints may be `{"clientId", "clientSecret"}`.
 */
const registerSchema = z.strictObject({
  /** `client_id` with which its tokens are presented. */
  clientId: text.default('${workload.clientId}'),
  /** The client's secret, where the declared client authentication needs one. */
  clientSecret: text.optional(),
  ...tellingSchema,
  /**
   * Done already: what each of the `providers` knows. These ServiceAccounts are used in place of the harness's own;
   * some requirements need two.
   */
  workloads: z
    .strictObject({
      namespace: text,
      serviceAccounts: z
        .array(z.strictObject({ name: text, clientId: text.optional(), clientSecret: text.optional() }))
        .min(2, 'two at least: some requirements tell two ServiceAccounts apart'),
    })
    .optional(),
});

/**
 * How the server comes to trust one more issuer, which the harness serves: its keys can be rolled and withdrawn, and it
 * can be out of reach (TX-15, TX-16, TX-17, AI-14). A further provider trusts it, for which `${cluster.issuer}`,
 * `${cluster.jwksUri}` and `${cluster.jwks}` stand for that issuer's.
 */
const furtherIssuerSchema = z.strictObject({
  /** The further provider; its name is the harness's, and differs each time: `${provider.name}`. */
  provider: providerSchema.omit({ name: true }),
  /**
   * By what it has the issuer's keys: `discovery` asks the issuer itself, `key-url` a URL of the keys
   * (`${cluster.jwksUri}`) and nothing else of the issuer, `static-keys` was given the keys (`${cluster.jwks}`) and
   * asks nobody.
   */
  keys: z.enum(['discovery', 'key-url', 'static-keys']),
  /**
   * False where the provider does not verify TLS by the run's CA (`${cluster.ca}`), as one that runs already: the
   * issuer is served by plain http.
   */
  tls: z.boolean().default(true),
  ...tellingSchema,
});

/**
 * The harness starts one container for each provider, and ends TLS in front of them: `${server.url}/NAME` leads to the
 * container of the provider NAME, which sees the rest of the path. `${server.admin}` is the base URL of its
 * administration, for `command`.
 */
export const containerServerSchema = z.strictObject({
  kind: z.literal('container'),
  /** One of the images that this project can make (`hydra`), or a reference with a tag that the engine pulls. */
  image: text,
  version: text,
  command: z.array(text).optional(),
  /** Environment of the container; `${provider.…}`, `${cluster.…}` and `${server.url}` stand for what they say. */
  environment: z.record(z.string(), z.string()).default({}),
  /** Files of the container: path to content, in which the same placeholders stand. */
  files: z.record(z.string().startsWith('/'), z.string()).default({}),
  /** Its plain HTTP port. */
  port: z.number().int().positive(),
  /** Port of its administration, which is published on the loopback interface alone. */
  adminPort: z.number().int().positive().optional(),
  /**
   * True where it takes one request at a time, those of `command` included: with a database in memory that knows no
   * more.
   */
  oneAtATime: z.boolean().default(false),
  /** Path that answers 200 when it is ready, on `adminPort` where there is one. */
  ready: z.string().startsWith('/').default('/.well-known/openid-configuration'),
});

/** A target file of the role `identity-provider`. */
export const identityProviderTargetSchema = z.strictObject({
  ...targetBase,
  role: z.literal('identity-provider'),
  server: z.discriminatedUnion('kind', [
    /** The harness starts a Keycloak in a container; `${server.url}` is its base URL. */
    z.strictObject({
      kind: z.literal('keycloak'),
      /** Its release: the references' own, or an earlier one. */
      release: z.enum(['26.7', '26.4']).default('26.7'),
      /** Features beyond Keycloak's defaults, as its `--features` takes them. */
      features: z.array(text).default([]),
      /**
       * How long it uses an issuer's keys as it has fetched them; absent: until a token names a key that is not among
       * them, as Keycloak has it.
       */
      keysLifespanSeconds: z.number().int().positive().optional(),
    }),
    containerServerSchema,
    /** The harness's own provider, in this process. */
    z.strictObject({ kind: z.literal('embedded'), accessTokens: z.enum(['jwt', 'opaque']).default('jwt') }),
    /** `oauth2-mock-server` as it comes. */
    z.strictObject({ kind: z.literal('oauth2-mock-server') }),
    /** It runs already, and the harness only talks to it. */
    z.strictObject({
      kind: z.literal('running'),
      /**
       * Files with certificates, PEM, that its TLS is verified by; absent: those that the system trusts. Relative to
       * the target file.
       */
      ca: z.array(text).default([]),
      version: text.default('unknown'),
    }),
  ]),
  /** Absent for `embedded` and `oauth2-mock-server`, which describe themselves. */
  providers: z.array(providerSchema).min(1).optional(),
  /** The administrator of a Keycloak that runs already. */
  admin: z.strictObject({ baseUrl: text, realm: text.default('master'), username: text, password: text }).optional(),
  /**
   * Trust in the cluster: once for each provider, before anything is registered. A list is one of requests to the admin
   * API.
   */
  setUp: z
    .union([z.array(adminRequestSchema).transform((requests) => ({ requests })), z.strictObject(tellingSchema)])
    .default({}),
  /** Requests to the admin API, once for each provider, when the run ends. */
  tearDown: z.array(adminRequestSchema).default([]),
  register: registerSchema.optional(),
  /**
   * Absent: what needs an issuer of the harness's own is not applicable. `setUp` is done for its provider, too, and
   * before its `requests`.
   */
  furtherIssuer: furtherIssuerSchema.optional(),
});

export type IdentityProviderTarget = z.infer<typeof identityProviderTargetSchema>;
export type AdminRequest = z.infer<typeof adminRequestSchema>;
