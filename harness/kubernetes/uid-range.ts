import type { CoreV1Api, V1Pod } from '@kubernetes/client-node';

/**
 * The annotation with the uids of a namespace on OpenShift: `FIRST/COUNT` (OpenShift: Managing security context
 * constraints).
 */
export const UID_RANGE_ANNOTATION = 'openshift.io/sa.scc.uid-range';

/** Uid and group of the harness's own pods, where the cluster assigns none: its images name no user of their own. */
export const OWN_UID = 1000;

/** First uid of the range that a namespace is annotated with; undefined where its pods may have any. */
export async function firstAssignedUid(core: CoreV1Api, namespace: string): Promise<number | undefined> {
  const { metadata } = await core.readNamespace({ name: namespace });
  const range = metadata?.annotations?.[UID_RANGE_ANNOTATION];
  return range === undefined ? undefined : Number(range.split('/')[0]);
}

/**
 * A pod of the harness's own without its uid and groups, so that the cluster can assign them. Ids of a test's own
 * choice stay.
 */
export function withoutOwnIds(pod: V1Pod): V1Pod {
  const { runAsUser, runAsGroup, fsGroup, ...rest } = pod.spec?.securityContext ?? {};
  if (pod.spec === undefined || runAsUser !== OWN_UID) {
    return pod;
  }
  return { ...pod, spec: { ...pod.spec, securityContext: rest } };
}

/**
 * A pod's specification, as it was admitted, without the ids that its namespace assigned: in another namespace it is
 * assigned others, and refused with these.
 */
export function withoutAssignedIds<T extends object>(spec: T, assigned: number | undefined): T {
  if (assigned === undefined) {
    return spec;
  }
  const ids = ['runAsUser', 'runAsGroup', 'fsGroup'];
  return JSON.parse(
    JSON.stringify(spec, (key, value) => (ids.includes(key) && value === assigned ? undefined : value)),
  );
}
