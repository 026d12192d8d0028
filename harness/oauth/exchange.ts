import type { Fetch } from './fetch.ts';
import { CLIENT_ASSERTION_TYPE, GRANT_TYPES, type GrantDeclaration, TOKEN_TYPE_JWT } from './provider.ts';

/** A provider that does not answer at all within this time is told as an error of the request, not waited for. */
const DEADLINE_MS = 30_000;

export interface TokenRequest {
  tokenEndpoint: string;
  declaration: GrantDeclaration;
  clientId: string;
  /** Where the declared client authentication is by secret. */
  clientSecret?: string;
  /** The projected token that is exchanged; for the grant `client-assertion` it is the client's assertion. */
  token: string;
  /** Client assertion, where it is not the same token. */
  clientAssertion?: string;
  scope?: string;
}

/** What the token endpoint answered. `accessToken` is usable: it is not for a report. */
export interface TokenResponse {
  status: number;
  /** Names in lower case. */
  headers: Record<string, string>;
  /** The body as it came. */
  text: string;
  /** The JSON object of the body; empty if the body is none. */
  body: Record<string, unknown>;
  accessToken?: string;
  /** `error` and `error_description` of RFC 6749 section 5.2. */
  error?: string;
  errorDescription?: string;
}

/** The parameters of a token request: RFC 7523 sections 2.1 and 2.2, RFC 8693 section 2.1, RFC 6749 section 2.3.1. */
export function tokenRequestForm(request: TokenRequest): URLSearchParams {
  const { grant, clientAuthentication, parameters = {} } = request.declaration;
  const form = new URLSearchParams({ grant_type: GRANT_TYPES[grant] });
  if (grant === 'jwt-bearer') form.set('assertion', request.token);
  if (grant === 'token-exchange') {
    form.set('subject_token', request.token);
    form.set('subject_token_type', TOKEN_TYPE_JWT);
  }
  if (clientAuthentication !== 'client-secret-basic') form.set('client_id', request.clientId);
  if (clientAuthentication === 'client-secret-post') form.set('client_secret', request.clientSecret ?? '');
  if (clientAuthentication === 'subject-token') {
    form.set('client_assertion_type', CLIENT_ASSERTION_TYPE);
    form.set('client_assertion', request.clientAssertion ?? request.token);
  }
  for (const [name, value] of Object.entries(parameters)) form.set(name, value);
  if (request.scope !== undefined) form.set('scope', request.scope);
  return form;
}

/** `Authorization` of a client that proves itself by HTTP Basic, where the declaration says so. */
function authorization({ declaration, clientId, clientSecret = '' }: TokenRequest): Record<string, string> {
  return declaration.clientAuthentication === 'client-secret-basic' ? basicCredentials(clientId, clientSecret) : {};
}

/** HTTP Basic as RFC 6749 section 2.3.1 has it: both parts are form-encoded first. */
export function basicCredentials(clientId: string, clientSecret: string): Record<string, string> {
  const encoded = [clientId, clientSecret]
    .map((part) => new URLSearchParams({ '': part }).toString().slice(1))
    .join(':');
  return { authorization: `Basic ${Buffer.from(encoded).toString('base64')}` };
}

function jsonObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : {};
  } catch {
    return {};
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/**
 * Sends one token request and reads the answer, whatever its status. Redirects are not followed: a token goes to the
 * endpoint and nowhere else. Rejects as `fetch` does when there is no answer (within 30 s).
 */
export async function exchange(fetch: Fetch, request: TokenRequest, signal?: AbortSignal): Promise<TokenResponse> {
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  const response = await fetch(request.tokenEndpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
      ...authorization(request),
    },
    body: tokenRequestForm(request).toString(),
    redirect: 'manual',
    signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
  });
  const headers: Record<string, string> = {};
  response.headers.forEach((value, name) => {
    headers[name.toLowerCase()] = value;
  });
  const answer = await response.text();
  const body = jsonObject(answer);
  const accessToken = text(body.access_token);
  const error = text(body.error);
  const errorDescription = text(body.error_description);
  return {
    status: response.status,
    headers,
    text: answer,
    body,
    ...(accessToken === undefined ? {} : { accessToken }),
    ...(error === undefined ? {} : { error }),
    ...(errorDescription === undefined ? {} : { errorDescription }),
  };
}

/** True if the answer is a token: 200 with an `access_token` (RFC 6749 section 5.1). */
export function isAccepted(response: TokenResponse): boolean {
  return response.status === 200 && response.accessToken !== undefined;
}

/** An answer in one line, without any token: `200 with an access token`, `400 invalid_grant: audience is not this provider`. */
export function describeResponse(response: TokenResponse): string {
  if (isAccepted(response)) return '200 with an access token';
  const said = [response.error, response.errorDescription].filter((part) => part !== undefined).join(': ');
  return `${response.status} ${said === '' ? 'without an OAuth error' : said}`;
}
