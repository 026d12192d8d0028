import { decodeJwt } from 'jose';
import type { Fetch } from './fetch.ts';
import { introspect } from './introspection.ts';
import type { ProviderDescription } from './provider.ts';

/** Claims of an access token, where it is a JWT. */
export function claimsOf(accessToken: string | undefined): Record<string, unknown> | undefined {
  try {
    return decodeJwt(accessToken ?? '');
  } catch {
    return undefined;
  }
}

/**
 * What a resource server gets to know of the holder of an access token: its claims, and what introspection says where
 * the provider declares it.
 *
 * @returns the members by name, or why nothing can be known
 */
export async function identityOf(
  fetch: Fetch,
  { introspection }: ProviderDescription,
  accessToken: string,
): Promise<Record<string, unknown> | string> {
  const claims = claimsOf(accessToken);
  if (introspection === undefined) {
    return (
      claims ??
      'issues opaque access tokens and declares no introspection ("introspection" of the provider in a target file), by which alone they could be told apart'
    );
  }
  const answer = await introspect(fetch, introspection, accessToken);
  if (!answer.active) {
    return claims ?? `issues opaque access tokens of which ${answer.why}`;
  }
  const introspected = Object.entries(answer.members).map(([name, value]) => [`introspection: ${name}`, value]);
  return { ...claims, ...Object.fromEntries(introspected) };
}

const sameAs = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

/**
 * The members that tell one holder from another: two access tokens of the one share them, and one of the other has them
 * otherwise. The other one must have been issued between the two, so that neither a time nor a number of the token
 * counts.
 */
export function tellingMembers(
  before: Record<string, unknown>,
  between: Record<string, unknown>,
  after: Record<string, unknown>,
): string[] {
  return Object.keys(before).filter(
    (name) => sameAs(before[name], after[name]) && !sameAs(before[name], between[name]),
  );
}

/** Those of the telling members in which an access token says that it is the one holder's. */
export function membersOf(
  telling: string[],
  holder: Record<string, unknown>,
  token: Record<string, unknown>,
): string[] {
  return telling.filter((name) => sameAs(holder[name], token[name]));
}
