import { AuthorizationV1Api, type KubernetesObject, type V1ResourceQuota } from '@kubernetes/client-node';
import { DeadlineExceeded, HarnessError } from '../core/errors.ts';
import type { ClusterHandle } from '../kubernetes/cluster-handle.ts';
import { watchUntil } from '../kubernetes/watch.ts';

/** Quotas by which a requirement brings a refusal about: what they refuse is no want of room. */
const BROUGHT_ABOUT = ['conformance-no-room', 'no-pods'] as const;

type OwnQuota = (typeof BROUGHT_ABOUT)[number];

/** A quota by which a namespace takes no more than so many pods. */
export function podQuota(name: OwnQuota, pods = 0): KubernetesObject {
  const quota = { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name }, spec: { hard: { pods: String(pods) } } };
  return quota;
}

/** Whether a refusal names a quota of the harness's own, and none of the cluster's owner. */
export function isByOwnQuota(words: string): boolean {
  return BROUGHT_ABOUT.some((name) => words.includes(`exceeded quota: ${name},`));
}

/** What it takes to make a quota, to know when it is in force, and to take it away again. */
const QUOTA_VERBS = ['create', 'watch', 'delete'];

/**
 * Whether the harness may make quotas and see that they are in force: an administrator of one namespace may not
 * (Kubernetes, "Default roles and role bindings").
 */
export async function mayMakeQuotas({ kubeConfig, owned }: ClusterHandle, namespace?: string): Promise<boolean> {
  if (owned) {
    return true;
  }
  const api = kubeConfig.makeApiClient(AuthorizationV1Api);
  const isAllowed = async (verb: string): Promise<boolean> => {
    const resourceAttributes = {
      verb,
      group: '',
      resource: 'resourcequotas',
      ...(namespace === undefined ? {} : { namespace }),
    };
    return (
      (await api.createSelfSubjectAccessReview({ body: { spec: { resourceAttributes } } })).status?.allowed === true
    );
  };
  return (await Promise.all(QUOTA_VERBS.map(isAllowed))).every(Boolean);
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
  await quotaInForce(cluster, namespace, quota);
  await act();
  await removeQuota(cluster, namespace, quota);
  return true;
}

/**
 * Takes a quota away: a namespace may be somebody else's, and the next requirement's.
 *
 * @throws HarnessError where that is refused
 */
export async function removeQuota(
  cluster: Pick<ClusterHandle, 'request'>,
  namespace: string,
  { metadata }: KubernetesObject,
): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/resourcequotas/${metadata?.name}`;
  const { status } = await cluster.request(path, { method: 'DELETE' });
  if (status !== 200 && status !== 404) {
    throw new HarnessError(`the quota of the harness was not deleted: ${status}`);
  }
}

/**
 * Waits until a quota is in force: it limits nothing until its controller has written `status.hard`, which the
 * admission plugin reads.
 *
 * @throws HarnessError when that takes too long
 */
export async function quotaInForce(
  { kubeConfig }: Pick<ClusterHandle, 'kubeConfig'>,
  namespace: string,
  { metadata }: KubernetesObject,
): Promise<void> {
  const name = metadata?.name ?? '';
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
