import { NotTestable } from '../core/errors.ts';
import { redact } from '../core/redact.ts';
import { basicCredentials } from './exchange.ts';
import type { Fetch } from './fetch.ts';
import type { Introspection } from './provider.ts';
import { postForm } from './transport.ts';

/** What an introspection endpoint says of a token (RFC 7662 section 2.2). */
export type Introspected = { active: true; members: Record<string, unknown> } | { active: false; why: string };

/**
 * Asks as the resource server does what an access token is worth. A token that the endpoint refuses to look at (400) is
 * not active.
 *
 * @throws NotTestable for an endpoint that does not let the resource server in, or answers no introspection
 */
export async function introspect(
  fetch: Fetch,
  { endpoint, clientAuthentication, clientId, clientSecret }: Introspection,
  accessToken: string,
): Promise<Introspected> {
  const form = new URLSearchParams({ token: accessToken, token_type_hint: 'access_token' });
  const byPost = clientAuthentication === 'client-secret-post';
  if (byPost) {
    form.set('client_id', clientId);
    form.set('client_secret', clientSecret);
  }
  const response = await postForm(fetch, endpoint, form, {
    headers: byPost ? {} : basicCredentials(clientId, clientSecret),
  });
  if ('unanswered' in response) {
    throw new NotTestable(`the introspection endpoint ${endpoint} gave no answer: ${response.unanswered}`);
  }
  const { text } = response;
  // An opaque token that is echoed is known by nothing but itself.
  const safe = redact(text.replaceAll(accessToken, 'TOKEN-CUT')).slice(0, 200);
  const answer = `the introspection endpoint ${endpoint} answered ${response.status}: ${safe}`;
  if (response.status === 400) {
    return { active: false, why: answer };
  }
  let members: Record<string, unknown> = {};
  try {
    members = (JSON.parse(text) ?? {}) as Record<string, unknown>;
  } catch {
    // Reported below, with what it is.
  }
  if (response.status !== 200 || typeof members.active !== 'boolean') {
    throw new NotTestable(answer);
  }
  return members.active
    ? { active: true, members }
    : { active: false, why: 'introspection says that it is not active' };
}
