import { HarnessError } from '../../../core/errors.ts';
import type { LaunchedRunner } from '../launch.ts';
import { podsOf, type SubmittedTask } from '../record.ts';

/** Evicts the pod of a task (Kubernetes, API-initiated Eviction). @throws HarnessError where the API server refuses */
export async function evict({ cluster, namespace, objects }: LaunchedRunner, task: SubmittedTask): Promise<void> {
  const [pod] = podsOf({ objects }, task);
  const metadata = { name: pod?.name ?? '', namespace };
  const response = await cluster.request(`/api/v1/namespaces/${namespace}/pods/${metadata.name}/eviction`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ apiVersion: 'policy/v1', kind: 'Eviction', metadata }),
  });
  const answer = await response.text();
  if (response.status !== 201) {
    throw new HarnessError(`the pod ${metadata.name} was not evicted: ${response.status}: ${answer.slice(0, 200)}`);
  }
}
