import { decodeJwt } from 'jose';
import { AssertionRefused, type Claims } from '../../embedded/assertion.ts';

/** What a decoder of jose reads, unverified. */
export function read<T>(decode: (assertion: string) => T, assertion: string): T {
  try {
    return decode(assertion);
  } catch {
    throw new AssertionRefused('not a JWT');
  }
}

/** The claims, unverified. */
export function readClaims(assertion: string): Claims {
  return read(decodeJwt, assertion);
}

/** Members of an answer's JSON. */
export function bodyOf(answer: unknown): Record<string, unknown> {
  return typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>) : {};
}
