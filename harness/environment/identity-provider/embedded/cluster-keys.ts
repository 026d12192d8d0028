import { type CompactVerifyGetKey, createLocalJWKSet, errors, type JSONWebKeySet } from 'jose';
import type { Fetch } from '../fetch.ts';

/** The cluster's keys cannot be had now: nothing can be verified, so nothing is accepted. The cause says why. */
export class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable';
}

/** An unknown `kid` makes the keys be fetched again, but not more often than this. */
const COOLDOWN_MS = 5_000;

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
    if (status !== 200) throw new Error(`HTTP ${status}`);
    const document: unknown = JSON.parse(text);
    if (typeof document !== 'object' || document === null) throw new Error('not a JSON object');
    return document as Record<string, unknown>;
  } catch (cause) {
    throw new KeysUnavailable(`GET ${url}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/**
 * Keys of a Kubernetes ServiceAccount issuer, found as OpenID Connect Discovery 1.0 section 4 says: the issuer's document,
 * whose `issuer` must be exactly the configured one (section 4.3), then its `jwks_uri`. Fetched at the first use, kept, and
 * fetched again when a token names a key that is not among them. Rejects with {@link KeysUnavailable}.
 */
export function clusterKeys(issuer: string, fetch: Fetch): CompactVerifyGetKey {
  let current: ReturnType<typeof createLocalJWKSet> | undefined;
  let fetchedAt = 0;
  let fetching: Promise<void> | undefined;

  const refresh = async (): Promise<void> => {
    const discovery = await fetchJson(
      fetch,
      `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
      'application/json',
    );
    if (discovery.issuer !== issuer) {
      throw new KeysUnavailable(`discovery of ${issuer} names another issuer: ${JSON.stringify(discovery.issuer)}`);
    }
    if (typeof discovery.jwks_uri !== 'string') throw new KeysUnavailable(`discovery of ${issuer} has no jwks_uri`);
    // The API server answers with this media type (RFC 7517 section 8.5.2) and with no other.
    const keys = await fetchJson(fetch, discovery.jwks_uri, 'application/jwk-set+json, application/json;q=0.5');
    try {
      current = createLocalJWKSet(keys as unknown as JSONWebKeySet);
    } catch (cause) {
      throw new KeysUnavailable(`${discovery.jwks_uri} is not a JWK Set`, { cause });
    }
    fetchedAt = Date.now();
  };

  const refreshOnce = (): Promise<void> => {
    fetching ??= refresh().finally(() => {
      fetching = undefined;
    });
    return fetching;
  };

  return async (header, token) => {
    if (current === undefined) await refreshOnce();
    try {
      if (current !== undefined) return await current(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || Date.now() - fetchedAt < COOLDOWN_MS) throw error;
    }
    await refreshOnce();
    if (current === undefined) throw new KeysUnavailable(`no keys of ${issuer}`);
    return current(header, token);
  };
}
