import { HarnessError } from '../../core/errors.ts';
import { createClusterHandle } from '../../kubernetes/cluster-handle.ts';
import type { StartedCluster } from './cluster.ts';

/**
 * The keys that a cluster publishes for its tokens, a JWK Set as JSON text.
 *
 * @throws HarnessError where the harness may not read them
 */
export async function publishedKeys({ data }: StartedCluster): Promise<string> {
  const response = await createClusterHandle(data).request('/openid/v1/jwks');
  const keys = await response.text();
  if (response.status !== 200) {
    throw new HarnessError(
      `the keys of the cluster ${data.issuer} were answered ${response.status}: ${keys.slice(0, 200)}`,
    );
  }
  return keys;
}

/** Whether two JWK Sets (RFC 7517, as JSON text) have an RSA or EC key in common, whatever they call it. */
export function haveOneKey(first: string, second: string): boolean {
  const known = new Set(numbersOf(first));
  return numbersOf(second).some((key) => known.has(key));
}

/** Of each key the numbers that make it. */
function numbersOf(jwks: string): string[] {
  const { keys = [] } = JSON.parse(jwks) as { keys?: Record<string, unknown>[] };
  return keys.map(({ n, x, y }) => JSON.stringify([n, x, y]));
}
