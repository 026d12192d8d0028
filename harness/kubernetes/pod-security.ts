import { HarnessError } from '../core/errors.ts';
import type { ClusterHandle } from './cluster-handle.ts';

/** By these words the admission plugin PodSecurity says no (Kubernetes, "Pod Security Admission"). */
const BY_POD_SECURITY = /violates PodSecurity/;

/**
 * Tries a pod, by a dry run, in a namespace that enforces a level of Pod Security.
 *
 * @returns what Pod Security says against it, with the status; undefined where the pod is admitted
 * @throws HarnessError where the cluster refuses it for another reason, a quota or a policy of its own for example:
 *   that says nothing of the level
 */
export async function refusalByPodSecurity(
  cluster: Pick<ClusterHandle, 'request'>,
  namespace: string,
  { name, spec }: { name: string; spec: object },
): Promise<string | undefined> {
  const response = await cluster.request(`/api/v1/namespaces/${namespace}/pods?dryRun=All`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec }),
  });
  const { message = '' } = (await response.json()) as { message?: string };
  if (response.status === 201) {
    return undefined;
  }
  const answer = `${response.status}: ${message}`;
  if (response.status === 403 && BY_POD_SECURITY.test(message)) {
    return answer;
  }
  throw new HarnessError(
    `a dry run of the pod ${name} was not refused by Pod Security, but for another reason, so that nothing can be said of the level: ${answer}`,
  );
}
