import { refusalByPodSecurity } from '../../kubernetes/pod-security.ts';
import { firstAssignedUid, withoutAssignedIds } from '../../kubernetes/uid-range.ts';
import type { RequirementContext } from '../../rpc/context.ts';

/** A pod as it was asked for or admitted; `refused`: why a namespace that enforces `restricted` does not take it. */
export interface TriedPod {
  who: string;
  refused?: string;
}

/**
 * Creates pods once more, as a dry run in a namespace that enforces Pod Security `restricted`.
 *
 * @param pods as they were asked for, or admitted, in the namespace `from`
 */
export async function restrictedAdmission(
  t: RequirementContext,
  pods: readonly { who: string; spec: object; from: string }[],
): Promise<TriedPod[]> {
  const [cluster, { name: namespace }] = await Promise.all([t.cluster(), t.namespaceFor('restricted for sessions')]);
  return Promise.all(
    pods.map(async ({ who, spec, from }) => {
      // The ServiceAccount is another namespace's, and what a pod has of its node and its namespace is the cluster's.
      const assigned = await firstAssignedUid(cluster.core, from);
      const own = {
        ...withoutAssignedIds(spec, assigned),
        ...{ serviceAccountName: undefined, serviceAccount: undefined, nodeName: undefined },
      };
      const refused = await refusalByPodSecurity(cluster, namespace, { name: who, spec: own });
      return { who, ...(refused === undefined ? {} : { refused }) };
    }),
  );
}
