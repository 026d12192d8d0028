import type { ClusterHandle } from '../kubernetes/cluster-handle.ts';
import type { CallAnswer } from './client-session.ts';

/**
 * Lets the reference token client (or a twin of it) in a pod make one call.
 *
 * @returns how it says that it ended; `undefined` when it has not answered within `patienceMs`
 */
export async function callWithin(
  cluster: ClusterHandle,
  options: { namespace: string; pod: string; port: number; provider: string; patienceMs: number },
): Promise<CallAnswer | undefined> {
  const { namespace, pod, port, provider, patienceMs } = options;
  const patience = AbortSignal.timeout(patienceMs);
  try {
    const response = await cluster.podFetch(namespace, pod, port, '/call', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ provider }),
      signal: patience,
    });
    if (response.ok) return (await response.json()) as CallAnswer;
    return {
      ok: false,
      error: `the client's pod answered ${response.status}: ${(await response.text()).slice(0, 200)}`,
    };
  } catch (error) {
    if (patience.aborted) return undefined;
    throw error;
  }
}
