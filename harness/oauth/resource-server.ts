import { createLocalJWKSet, type JSONWebKeySet } from 'jose';
import { metadataUrls } from '../../fixtures/workloads/lib/discovery.ts';
import { verifyByAny } from '../../fixtures/workloads/lib/verify.ts';
import { NotTestable } from '../core/errors.ts';
import { redact } from '../core/redact.ts';
import type { Fetch } from './fetch.ts';
import { introspect } from './introspection.ts';
import type { ProviderDescription } from './provider.ts';
import { getText } from './transport.ts';

/** Algorithms by asymmetric keys: a resource server shares no secret with the provider. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

/** Above any stall of the machine: an access token may live for seconds, and its issuer is what is evaluated. */
const TOLERANCE_SECONDS = 300;

async function getJson(fetch: Fetch, url: string): Promise<Record<string, unknown>> {
  const response = await getText(fetch, url);
  if ('unanswered' in response) {
    throw new NotTestable(`GET ${url} was given no answer: ${response.unanswered}`);
  }
  const { status, text } = response;
  try {
    const document: unknown = JSON.parse(text);
    if (status === 200 && typeof document === 'object' && document !== null) {
      return document as Record<string, unknown>;
    }
  } catch {
    // Reported below, with what it is.
  }
  throw new NotTestable(`GET ${url} answered ${status} and no JSON document: ${redact(text.slice(0, 100))}`);
}

/**
 * The metadata of an issuer: by OpenID Connect Discovery, else by RFC 8414.
 *
 * @throws NotTestable with what came of the first place that was looked at, where none has any
 */
async function metadataOf(fetch: Fetch, issuer: string): Promise<{ url: string; metadata: Record<string, unknown> }> {
  let first: unknown;
  for (const url of metadataUrls(issuer)) {
    try {
      return { url, metadata: await getJson(fetch, url) };
    } catch (error) {
      if (!(error instanceof NotTestable)) {
        throw error;
      }
      first ??= error;
    }
  }
  throw first;
}

type Keys = ReturnType<typeof createLocalJWKSet>;

async function keysOf(fetch: Fetch, issuer: string): Promise<Keys> {
  const { url, metadata } = await metadataOf(fetch, issuer);
  const { jwks_uri: uri } = metadata;
  if (typeof uri !== 'string' || !URL.canParse(uri)) {
    throw new NotTestable(`the metadata at ${url} have no URL as jwks_uri: ${JSON.stringify(uri)?.slice(0, 100)}`);
  }
  const document = await getJson(fetch, uri);
  try {
    return createLocalJWKSet(document as unknown as JSONWebKeySet);
  } catch (error) {
    throw new NotTestable(`GET ${uri} answered no JSON Web Key Set (RFC 7517 section 5)`, { cause: error });
  }
}

/**
 * The resource server of a provider: by introspection where the provider declares it, else by the provider's keys. It
 * takes access tokens that the provider's published keys verify, with the provider's `iss`, its own `aud`, and an `exp`
 * that is not long past (RFC 9068 section 4). Resolves with why it refuses one, or with undefined.
 *
 * @throws NotTestable where the provider publishes no discovery document or no keys
 */
export async function resourceServerOf(
  fetch: Fetch,
  { issuer, accessTokenAudience, introspection }: ProviderDescription,
): Promise<(accessToken: string) => Promise<string | undefined>> {
  if (introspection !== undefined) {
    return async (accessToken) => {
      const answer = await introspect(fetch, introspection, accessToken);
      if (!answer.active) {
        return answer.why;
      }
      const { iss = issuer, aud = accessTokenAudience } = answer.members;
      if (iss !== issuer) {
        return `unexpected "iss" by introspection: ${JSON.stringify(iss)}`;
      }
      return [aud].flat().includes(accessTokenAudience)
        ? undefined
        : `unexpected "aud" by introspection: ${JSON.stringify(aud)}`;
    };
  }
  const keys = await keysOf(fetch, issuer);
  return async (accessToken) => {
    if (accessToken.split('.').length !== 3) {
      return 'it is no JWT, and no introspection is declared';
    }
    try {
      await verifyByAny(accessToken, keys, {
        issuer,
        audience: accessTokenAudience,
        algorithms: ALGORITHMS,
        requiredClaims: ['exp'],
        clockTolerance: TOLERANCE_SECONDS,
      });
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };
}
