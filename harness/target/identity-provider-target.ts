import { z } from 'zod';
import { targetBase } from './target-schema.ts';

const text = z.string().trim().min(1);

/** How the client proves who it is at the token endpoint (RFC 6749 section 2.3.1, RFC 7521 section 4.2). */
const clientAuthentication = z.enum(['none', 'subject-token', 'client-secret-post', 'client-secret-basic']);

const grantSchema = z.strictObject({
  grant: z.enum(['jwt-bearer', 'token-exchange', 'client-assertion']),
  clientAuthentication,
  /** Further parameters of the token request, for example `requested_token_type`. */
  parameters: z.record(z.string(), text).optional(),
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

/** How a ServiceAccount is made known to the provider; `${workload.subject}` and its like stand for it. */
const registerSchema = z.strictObject({
  /** `client_id` with which its tokens are presented. */
  clientId: text.default('${workload.clientId}'),
  /** The client's secret, where the declared client authentication needs one. */
  clientSecret: text.optional(),
  /** By the provider's admin API. */
  requests: z.array(adminRequestSchema).optional(),
  /** By a command of the user's: it is given the values in its environment, and its last line of output may be `{"clientId", "clientSecret"}`. */
  command: z.array(text).min(1).optional(),
  /** By a person: the steps are printed, and the run waits until Enter is pressed or the file is made. */
  manual: z
    .strictObject({ steps: z.array(text).min(1), doneFile: text, deadlineSeconds: z.number().positive() })
    .optional(),
});

/** A target file of the role `identity-provider`. */
export const identityProviderTargetSchema = z.strictObject({
  ...targetBase,
  role: z.literal('identity-provider'),
  server: z.discriminatedUnion('kind', [
    /** The harness starts a Keycloak in a container; `${server.url}` is its base URL. */
    z.strictObject({
      kind: z.literal('keycloak'),
      /** Features beyond Keycloak's defaults, as its `--features` takes them. */
      features: z.array(text).default([]),
    }),
    /** The harness's own provider, in this process. */
    z.strictObject({ kind: z.literal('embedded') }),
    /** `oauth2-mock-server` as it comes. */
    z.strictObject({ kind: z.literal('oauth2-mock-server') }),
    /** It runs already, and the harness only talks to it. */
    z.strictObject({
      kind: z.literal('running'),
      /** Files with certificates, PEM, that its TLS is verified by; absent: those that the system trusts. Relative to the target file. */
      ca: z.array(text).default([]),
      version: text.default('unknown'),
    }),
  ]),
  /** Absent for `embedded` and `oauth2-mock-server`, which describe themselves. */
  providers: z.array(providerSchema).min(1).optional(),
  /** The administrator of a Keycloak that runs already. */
  admin: z.strictObject({ baseUrl: text, realm: text.default('master'), username: text, password: text }).optional(),
  /** Requests to the admin API, once for each provider, before anything is registered. */
  setUp: z.array(adminRequestSchema).default([]),
  /** Requests to the admin API, once for each provider, when the run ends. */
  tearDown: z.array(adminRequestSchema).default([]),
  register: registerSchema.optional(),
});

export type IdentityProviderTarget = z.infer<typeof identityProviderTargetSchema>;
export type AdminRequest = z.infer<typeof adminRequestSchema>;
