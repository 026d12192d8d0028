import { HarnessError } from '../../../core/errors.ts';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';

/** Creates an object of the harness. @throws HarnessError where the API server does not answer 201 */
export async function createObject(cluster: ClusterHandle, path: string, object: object): Promise<void> {
  const response = await cluster.request(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(object),
  });
  const answer = await response.text();
  if (response.status !== 201) {
    throw new HarnessError(`POST ${path} of the harness was answered ${response.status}: ${answer.slice(0, 300)}`);
  }
}

/** Deletes an object of the harness. @throws HarnessError where the API server does not take that */
export async function deleteObject(cluster: ClusterHandle, path: string): Promise<void> {
  const response = await cluster.request(path, { method: 'DELETE' });
  const answer = await response.text();
  if (response.status !== 200 && response.status !== 202) {
    throw new HarnessError(`DELETE ${path} of the harness was answered ${response.status}: ${answer.slice(0, 300)}`);
  }
}
