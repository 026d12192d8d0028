import type { Fetch } from './fetch.ts';
import { CLIENT_ASSERTION_TYPE, GRANT_TYPES, type GrantDeclaration, TOKEN_TYPE_JWT } from './provider.ts';
import { readTokenResponse, type TokenResponse } from './token-response.ts';
import { postForm } from './transport.ts';

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

/** The parameters of a token request: RFC 7523 sections 2.1 and 2.2, RFC 8693 section 2.1, RFC 6749 section 2.3.1. */
export function tokenRequestForm(request: TokenRequest): URLSearchParams {
  const { grant, clientAuthentication, parameters = {}, omitsClientId = false } = request.declaration;
  const form = new URLSearchParams({ grant_type: GRANT_TYPES[grant] });
  if (grant === 'jwt-bearer') {
    form.set('assertion', request.token);
  }
  if (grant === 'token-exchange') {
    form.set('subject_token', request.token);
    form.set('subject_token_type', TOKEN_TYPE_JWT);
  }
  if (clientAuthentication !== 'client-secret-basic' && !omitsClientId) {
    form.set('client_id', request.clientId);
  }
  if (clientAuthentication === 'client-secret-post') {
    form.set('client_secret', request.clientSecret ?? '');
  }
  if (clientAuthentication === 'subject-token') {
    form.set('client_assertion_type', CLIENT_ASSERTION_TYPE);
    form.set('client_assertion', request.clientAssertion ?? request.token);
  }
  for (const [name, value] of Object.entries(parameters)) {
    form.set(name, value);
  }
  if (request.scope !== undefined) {
    form.set('scope', request.scope);
  }
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

/**
 * Sends one token request and reads what comes, whatever it is: an endpoint that ends the connection, answers no HTTP
 * or never comes to an end has shown something, too (`unanswered`).
 *
 * @throws Unreachable where there is no connection at all, NotTestable where the endpoint's certificate cannot be
 *   verified
 */
export async function exchange(fetch: Fetch, request: TokenRequest, signal?: AbortSignal): Promise<TokenResponse> {
  return readTokenResponse(
    await postForm(fetch, request.tokenEndpoint, tokenRequestForm(request), {
      headers: authorization(request),
      asJson: request.declaration.encoding === 'json',
      signal,
    }),
  );
}
