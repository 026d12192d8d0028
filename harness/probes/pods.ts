import { ApiException, type V1Container, type V1Pod, type V1PodSpec } from '@kubernetes/client-node';
import { DeadlineExceeded, NotTestable } from '../core/errors.ts';
import { limitSeconds } from '../core/time-limits.ts';
import type { ClusterHandle } from '../kubernetes/cluster-handle.ts';
import { containerStatus } from '../kubernetes/pod-status.ts';
import { OWN_UID } from '../kubernetes/uid-range.ts';
import type { RequirementContext } from '../rpc/context.ts';

/**
 * Security settings under which every pod of the harness runs: Pod Security `restricted`, read-only root file system.
 * Where the cluster assigns uids, the ids are left out ({@link ../kubernetes/uid-range.ts}).
 */
export const RESTRICTED_POD = {
  runAsNonRoot: true,
  runAsUser: OWN_UID,
  fsGroup: OWN_UID,
  seccompProfile: { type: 'RuntimeDefault' },
};
export const RESTRICTED_CONTAINER = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

/** What a container of the harness's own asks for, unless a requirement is about it. */
export const OWN_RESOURCES = { requests: { cpu: '10m', memory: '32Mi' }, limits: { memory: '256Mi' } };

/** How long a pod of the harness's own may take to start, also where many of them do so on a small machine. */
export const START_SECONDS = limitSeconds('podStart');

/**
 * Pods of one worker that start at the same time at most: a node that starts a hundred at once starts none of them in
 * time.
 */
const STARTING_AT_ONCE = 6;
let starting = 0;
const waiting: (() => void)[] = [];

/**
 * Creates a pod when its turn has come, and waits by `ready`.
 *
 * @param ready what the pod has to come to before it is the next one's turn
 */
export async function startInTurn<T>(
  cluster: ClusterHandle,
  namespace: string,
  pod: V1Pod,
  ready: () => Promise<T>,
): Promise<T> {
  if (starting >= STARTING_AT_ONCE) {
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
    });
  } else {
    starting += 1;
  }
  try {
    await cluster.core.createNamespacedPod({ namespace, body: pod });
    return await ready();
  } finally {
    // The turn is handed on, or given back.
    const next = waiting.shift();
    if (next === undefined) {
      starting -= 1;
    } else {
      next();
    }
  }
}

/** One container of the workload image under `restricted`. */
export function podSpec(image: string, serviceAccountName: string, container: Omit<V1Container, 'image'>): V1PodSpec {
  return {
    serviceAccountName,
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 5,
    securityContext: RESTRICTED_POD,
    containers: [
      {
        image,
        imagePullPolicy: 'IfNotPresent',
        resources: OWN_RESOURCES,
        securityContext: RESTRICTED_CONTAINER,
        ...container,
      },
    ],
  };
}

/** The API server's answer to a pod of the harness's; none is made. */
export async function dryRunPod(
  { core }: ClusterHandle,
  namespace: string,
  pod: V1Pod,
): Promise<{ status: number; message?: string }> {
  try {
    await core.createNamespacedPod({ namespace, body: pod, dryRun: 'All' });
    return { status: 201 };
  } catch (error) {
    if (!(error instanceof ApiException)) {
      throw error;
    }
    const status = (typeof error.body === 'string' ? JSON.parse(error.body) : error.body) as { message?: string };
    return { status: error.code, ...(status.message === undefined ? {} : { message: status.message }) };
  }
}

/**
 * Starts a pod that does nothing until it is stopped, and ends at once then. @throws NotTestable when it does not run
 */
export async function startIdlePod(
  t: RequirementContext,
  namespace: string,
  name: string,
  serviceAccount: string,
): Promise<V1Pod> {
  const cluster = await t.cluster();
  const spec = podSpec(cluster.workloadImage, serviceAccount, {
    name: 'idle',
    command: ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 1; done'],
  });
  return startInTurn(cluster, namespace, { metadata: { name }, spec }, () =>
    cluster.podReady(namespace, name, START_SECONDS),
  );
}

/**
 * Runs a shell script in a pod to its end.
 *
 * @param automountServiceAccountToken of the pod; absent: unset
 * @returns the exit code
 * @throws NotTestable when it does not end in time
 */
export async function runInPod(
  t: RequirementContext,
  namespace: string,
  name: string,
  options: { serviceAccount: string; script: string; automountServiceAccountToken?: boolean },
): Promise<number> {
  const cluster = await t.cluster();
  const { automountServiceAccountToken } = options;
  const spec: V1PodSpec = {
    ...podSpec(cluster.workloadImage, options.serviceAccount, {
      name: 'script',
      command: ['sh', '-c', options.script],
    }),
    ...(automountServiceAccountToken === undefined ? {} : { automountServiceAccountToken }),
  };
  return startInTurn(cluster, namespace, { metadata: { name }, spec }, async () => {
    try {
      return await cluster.watchPod(
        namespace,
        name,
        ({ object }) => containerStatus(object, 'script')?.state?.terminated?.exitCode,
        { what: `pod ${namespace}/${name} to end`, deadlineSeconds: START_SECONDS },
      );
    } catch (error) {
      throw error instanceof DeadlineExceeded ? new NotTestable(error.message) : error;
    }
  });
}

/** Creates a ServiceAccount; with `automount` given, that is set for its pods. */
export async function createServiceAccount(
  t: RequirementContext,
  namespace: string,
  name: string,
  automount?: boolean,
): Promise<void> {
  const { core } = await t.cluster();
  await core.createNamespacedServiceAccount({
    namespace,
    body: { metadata: { name }, ...(automount === undefined ? {} : { automountServiceAccountToken: automount }) },
  });
}
