import { refusalByPodSecurity } from '../../../kubernetes/pod-security.ts';
import { firstAssignedUid, withoutAssignedIds } from '../../../kubernetes/uid-range.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import { first } from '../record.ts';
import { observeWork, type WorkRecord } from './work.ts';

export interface AdmissionRecord extends WorkRecord {
  /** Pods as they were admitted; `refused`: why a namespace that enforces `restricted` does not take them. */
  tried: { who: string; refused?: string }[];
}

/**
 * Creates each pod that the manager made once more, as a dry run in a namespace that enforces Pod Security
 * `restricted`.
 */
export async function observeAdmission(t: RequirementContext): Promise<AdmissionRecord> {
  const record = await observeWork(t);
  const [cluster, { name: namespace }] = await Promise.all([t.cluster(), t.namespaceFor('restricted for sessions')]);
  const tried = await Promise.all(
    Object.keys(record.asked).flatMap((name) => {
      const { spec, metadata } = first(record.objects, 'Pod', name) ?? {};
      return spec === undefined ? [] : [tryPod(name, spec, metadata?.namespace ?? '')];
    }),
  );
  return { ...record, tried };

  async function tryPod(who: string, spec: object, from: string): Promise<AdmissionRecord['tried'][number]> {
    // The ServiceAccount is another namespace's, and what a pod has of its node and its namespace is the cluster's.
    const assigned = await firstAssignedUid(cluster.core, from);
    const own = {
      ...withoutAssignedIds(spec, assigned),
      ...{ serviceAccountName: undefined, serviceAccount: undefined, nodeName: undefined },
    };
    const refused = await refusalByPodSecurity(cluster, namespace, { name: who, spec: own });
    return { who, ...(refused === undefined ? {} : { refused }) };
  }
}
