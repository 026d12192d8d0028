import type { V1ContainerStatus, V1Pod } from '@kubernetes/client-node';
import { HarnessError } from '../core/errors.ts';

/**
 * The status of a container by its name; undefined as long as there is none. A cluster may add containers to a pod, and
 * statuses stand in no order that could be relied on.
 */
export function containerStatus({ status }: V1Pod, container: string): V1ContainerStatus | undefined {
  return status?.containerStatuses?.find(({ name }) => name === container);
}

/** Why a pod does not run, from its status: for messages. */
export function describePod(pod: V1Pod): string {
  const containers = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  const states = containers.map(({ name, state, restartCount }) => {
    const reason =
      state?.waiting?.reason ??
      (state?.terminated === undefined ? 'running' : `${state.terminated.reason} (${state.terminated.exitCode})`);
    return `${name} ${reason}${state?.waiting?.message === undefined ? '' : `: ${state.waiting.message}`}, ${restartCount} restarts`;
  });
  const unscheduled = pod.status?.conditions?.find(({ type, status }) => type === 'PodScheduled' && status === 'False');
  const { phase = 'no phase', reason, message } = pod.status ?? {};
  // Of the pod as a whole: evicted, rejected by its node.
  const why = reason === undefined ? undefined : [reason, message].filter(Boolean).join(': ');
  return [phase, why, unscheduled?.message, ...states].filter(Boolean).join('; ');
}

/**
 * Throws where the kubelet had no room for a pod of the harness's own: the scheduler counts a pod that is ending as
 * gone before the kubelet does. That says nothing about the cluster.
 *
 * @throws HarnessError in the words of the kubelet (pkg/kubelet/lifecycle/predicate.go: `OutOfcpu`, `OutOfpods`, …)
 */
export function assertRoomFor({ metadata, spec, status }: V1Pod): void {
  if (status?.phase === 'Failed' && status.reason?.startsWith('OutOf') === true) {
    throw new HarnessError(
      `node ${spec?.nodeName} had no room for pod ${metadata?.name} (${status.reason}): ${status.message ?? 'no reason given'}`,
    );
  }
}

/** States of a container whose image is not there (Kubernetes, "Images"; pkg/kubelet/images/types.go). */
const NO_IMAGE = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'ErrImageNeverPull',
  'InvalidImageName',
  'ImageInspectError',
  'RegistryUnavailable',
]);

/** The scheduler's messages where there is no node for a pod as it is, whatever its volumes are. */
const NO_NODE = /Insufficient (cpu|memory|ephemeral-storage)|Too many pods|untolerated taint|node affinity\/selector/;

/**
 * What a pod of the harness's own lacks on this cluster, so that nothing is said about the cluster when it does not
 * run.
 *
 * @param images references of the harness's own images; what other images lack is not its business
 */
export function lackedByPod(pod: V1Pod, images: string[]): string | undefined {
  const { spec, status } = pod;
  const imageOf = new Map(
    [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].map(({ name, image }) => [name, image ?? '']),
  );
  for (const { name, state } of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]) {
    const image = imageOf.get(name) ?? '';
    const { reason = '', message = '' } = state?.waiting ?? {};
    if (NO_IMAGE.has(reason) && images.includes(image)) {
      return `the harness's image ${image} cannot be had by node ${spec?.nodeName} (${reason}${message === '' ? '' : `: ${message}`})`;
    }
  }
  const unscheduled = status?.conditions?.find(({ type, status: is }) => type === 'PodScheduled' && is === 'False');
  const why = unscheduled?.message ?? '';
  return NO_NODE.test(why) && !/volume/i.test(why) ? `no node takes it: ${why}` : undefined;
}

export function isReady(pod: V1Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
}
