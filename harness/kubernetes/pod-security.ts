import type { V1Namespace } from '@kubernetes/client-node';
import { HarnessError } from '../core/errors.ts';
import type { ClusterHandle } from './cluster-handle.ts';

/** A standard of Pod Security (Kubernetes, "Pod Security Standards"). */
export type PodSecurityLevel = 'privileged' | 'baseline' | 'restricted';

const STRICTNESS: Record<PodSecurityLevel, number> = { privileged: 0, baseline: 1, restricted: 2 };

/** The label by which a namespace enforces one. */
export const ENFORCED_LEVEL = 'pod-security.kubernetes.io/enforce';

/** What a namespace enforces by its label; without one, everything passes. */
export function enforcedLevel({ metadata }: V1Namespace): PodSecurityLevel {
  const level = metadata?.labels?.[ENFORCED_LEVEL];
  return level !== undefined && level in STRICTNESS ? (level as PodSecurityLevel) : 'privileged';
}

/** Whether a level lets all pass that another one does. */
export function isAtMost(level: PodSecurityLevel, other: PodSecurityLevel): boolean {
  return STRICTNESS[level] <= STRICTNESS[other];
}

/** By these words the admission plugin PodSecurity says no (Kubernetes, "Pod Security Admission"). */
const BY_POD_SECURITY = /violates PodSecurity/;

/**
 * Tries a pod, by a dry run, in a namespace that enforces a level of Pod Security.
 *
 * @returns what Pod Security says against it, with the status; undefined where the pod is admitted
 * @throws HarnessError where the cluster refuses it for another reason, a quota or a policy of its own for example, or
 *   refuses a pod that meets every level as well: that says nothing of the pod
 */
export async function refusalByPodSecurity(
  cluster: Pick<ClusterHandle, 'request'>,
  namespace: string,
  { name, spec }: { name: string; spec: object },
): Promise<string | undefined> {
  const { status, message } = await tryPod(cluster, namespace, name, spec);
  if (status === 201) {
    return undefined;
  }
  const answer = `${status}: ${message}`;
  if (status !== 403 || !BY_POD_SECURITY.test(message)) {
    throw new HarnessError(
      `a dry run of the pod ${name} was not refused by Pod Security, but for another reason, so that nothing can be said of the level: ${answer}`,
    );
  }
  const control = await tryPod(
    cluster,
    namespace,
    `${name.slice(0, 40).replace(/[^a-z0-9]+$/, '')}-control`,
    RESTRICTED,
  );
  if (control.status === 403 && BY_POD_SECURITY.test(control.message)) {
    throw new HarnessError(
      `a pod that meets every level is refused, too: the cluster puts something into pods that does not, so that nothing can be said of the pod ${name}: ${control.status}: ${control.message}`,
    );
  }
  return answer;
}

/** A pod that meets every level of Pod Security; it is never run. */
const RESTRICTED = {
  automountServiceAccountToken: false,
  securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [
    {
      name: 'control',
      image: 'control.invalid/none:1',
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    },
  ],
};

async function tryPod(
  cluster: Pick<ClusterHandle, 'request'>,
  namespace: string,
  name: string,
  spec: object,
): Promise<{ status: number; message: string }> {
  const response = await cluster.request(`/api/v1/namespaces/${namespace}/pods?dryRun=All`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec }),
  });
  const { message = '' } = (await response.json()) as { message?: string };
  return { status: response.status, message };
}
