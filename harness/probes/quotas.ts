import { AuthorizationV1Api, type KubernetesObject, type V1ResourceQuota } from '@kubernetes/client-node';
import { DeadlineExceeded, HarnessError } from '../core/errors.ts';
import type { ClusterHandle } from '../kubernetes/cluster-handle.ts';
import { watchUntil } from '../kubernetes/watch.ts';

/** A quota by which a namespace takes no more than so many pods. */
export function podQuota(name: string, pods = 0): KubernetesObject {
  const quota = { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name }, spec: { hard: { pods: String(pods) } } };
  return quota;
}

/**
 * Whether the harness may make quotas: an administrator of one namespace may not (Kubernetes, "Default roles and role
 * bindings").
 */
export async function mayMakeQuotas({ kubeConfig, owned }: ClusterHandle, namespace?: string): Promise<boolean> {
  if (owned) {
    return true;
  }
  const resourceAttributes = {
    verb: 'create',
    group: '',
    resource: 'resourcequotas',
    ...(namespace === undefined ? {} : { namespace }),
  };
  const api = kubeConfig.makeApiClient(AuthorizationV1Api);
  return (await api.createSelfSubjectAccessReview({ body: { spec: { resourceAttributes } } })).status?.allowed === true;
}

/**
 * Acts while a quota lets no pod be made in a namespace.
 *
 * @returns false, without having acted, where the harness may make no quotas there
 */
export async function whileNoPodsAreMade(
  cluster: ClusterHandle,
  namespace: string,
  act: () => Promise<void>,
): Promise<boolean> {
  if (!(await mayMakeQuotas(cluster, namespace))) {
    return false;
  }
  const quota = podQuota('conformance-no-room');
  await cluster.create([{ ...quota, metadata: { ...quota.metadata, namespace } }]);
  // With rights that are documented one by one, the harness may make quotas and not watch them.
  if (cluster.owned) {
    await untilInForce(cluster, namespace, quota.metadata?.name ?? '');
  }
  await act();
  const path = `/api/v1/namespaces/${namespace}/resourcequotas/${quota.metadata?.name}`;
  const { status } = await cluster.request(path, { method: 'DELETE' });
  if (status !== 200) {
    throw new HarnessError(`the quota of the harness was not deleted: ${status}`);
  }
  return true;
}

/**
 * A quota limits nothing until its controller has written `status.hard`: the admission plugin reads that.
 *
 * @throws HarnessError when that takes too long
 */
async function untilInForce({ kubeConfig }: ClusterHandle, namespace: string, name: string): Promise<void> {
  try {
    await watchUntil<V1ResourceQuota, true>(
      kubeConfig,
      `/api/v1/namespaces/${namespace}/resourcequotas`,
      ({ object }) => (object.status?.hard?.pods === undefined ? undefined : true),
      {
        what: `the quota ${name} of the namespace ${namespace} to be in force`,
        deadlineSeconds: 30,
        fieldSelector: `metadata.name=${name}`,
      },
    );
  } catch (error) {
    throw error instanceof DeadlineExceeded ? new HarnessError(error.message) : error;
  }
}
