import { type CompactVerifyGetKey, createLocalJWKSet, errors, type JSONWebKeySet } from 'jose';
import type { Fetch } from '../../../oauth/fetch.ts';

/** The cluster's keys cannot be had now: nothing can be verified, so nothing is accepted. The cause says why. */
export class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable';
}

/** How long keys are used as they were fetched. */
export interface KeyCache {
  /** An unknown `kid` makes the keys be fetched again, but not more often than this. */
  cooldownMs: number;
  /** Older keys are fetched again before they are used: the only way to notice that one was withdrawn. */
  maxAgeMs: number;
}

export const KEY_CACHE: KeyCache = { cooldownMs: 5_000, maxAgeMs: 15_000 };

const FETCH_DEADLINE_MS = 15_000;

async function get(fetch: Fetch, url: string, accept: string): Promise<{ status: number; text: string }> {
  const response = await fetch(url, {
    headers: { accept },
    redirect: 'error',
    signal: AbortSignal.timeout(FETCH_DEADLINE_MS),
  });
  return { status: response.status, text: await response.text() };
}

async function fetchJson(fetch: Fetch, url: string, accept: string): Promise<Record<string, unknown>> {
  try {
    // A broken connection says nothing about the issuer; a GET may be sent again (RFC 9110 section 9.2.2).
    const { status, text } = await get(fetch, url, accept).catch(() => get(fetch, url, accept));
    if (status !== 200) {
      throw new Error(`HTTP ${status}`);
    }
    const document: unknown = JSON.parse(text);
    if (typeof document !== 'object' || document === null) {
      throw new Error('not a JSON object');
    }
    return document as Record<string, unknown>;
  } catch (cause) {
    throw new KeysUnavailable(`GET ${url}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/**
 * `jwks_uri` of an issuer as OpenID Connect Discovery 1.0 section 4 says: its document's `issuer` must be exactly the
 * configured one.
 */
async function discoverKeyUrl(issuer: string, fetch: Fetch): Promise<string> {
  const discovery = await fetchJson(
    fetch,
    `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
    'application/json',
  );
  if (discovery.issuer !== issuer) {
    throw new KeysUnavailable(`discovery of ${issuer} names another issuer: ${JSON.stringify(discovery.issuer)}`);
  }
  if (typeof discovery.jwks_uri !== 'string') {
    throw new KeysUnavailable(`discovery of ${issuer} has no jwks_uri`);
  }
  return discovery.jwks_uri;
}

/** Keys that were configured once for all; nothing is fetched. @param jwks a JWK Set as JSON text */
export function staticKeys(jwks: string): CompactVerifyGetKey {
  return createLocalJWKSet(JSON.parse(jwks) as JSONWebKeySet);
}

/**
 * Keys of a Kubernetes ServiceAccount issuer, by its discovery unless `keyUrl` is given. Fetched at the first use, and
 * again when they are old, or a token names a key that is not among them. Rejects with {@link KeysUnavailable}.
 */
export function clusterKeys(
  issuer: string,
  fetch: Fetch,
  { keyUrl, cache = KEY_CACHE }: { keyUrl?: string; cache?: KeyCache } = {},
): CompactVerifyGetKey {
  let current: ReturnType<typeof createLocalJWKSet> | undefined;
  let fetchedAt = 0;
  let fetching: Promise<void> | undefined;

  const refresh = async (): Promise<void> => {
    const begun = Date.now();
    const url = keyUrl ?? (await discoverKeyUrl(issuer, fetch));
    // The API server answers with this media type (RFC 7517 section 8.5.2) and with no other.
    const keys = await fetchJson(fetch, url, 'application/jwk-set+json, application/json;q=0.5');
    try {
      current = createLocalJWKSet(keys as unknown as JSONWebKeySet);
    } catch (cause) {
      throw new KeysUnavailable(`${url} is not a JWK Set`, { cause });
    }
    fetchedAt = begun;
  };

  const refreshOnce = (): Promise<void> => {
    fetching ??= refresh().finally(() => {
      fetching = undefined;
    });
    return fetching;
  };

  return async (header, token) => {
    if (current === undefined || Date.now() - fetchedAt > cache.maxAgeMs) {
      await refreshOnce();
    }
    try {
      if (current !== undefined) {
        return await current(header, token);
      }
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || Date.now() - fetchedAt < cache.cooldownMs) {
        throw error;
      }
    }
    await refreshOnce();
    if (current === undefined) {
      throw new KeysUnavailable(`no keys of ${issuer}`);
    }
    return current(header, token);
  };
}
