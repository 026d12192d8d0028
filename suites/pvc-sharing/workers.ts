import { ApiException, type V1Node } from '@kubernetes/client-node';
import { DeadlineExceeded, NotTestable } from '../../harness/core/errors.ts';
import { FURTHER_NODE_TAINT } from '../../harness/core/names.ts';
import { asHarnessError } from '../../harness/core/outcome.ts';
import type { ClusterHandle } from '../../harness/kubernetes/cluster-handle.ts';
import { describePod } from '../../harness/kubernetes/pod-status.ts';
import { watchUntil } from '../../harness/kubernetes/watch.ts';
import { START_SECONDS } from '../../harness/probes/pods.ts';
import { type Claim, createClaim, defaultStorageClass, sharedClaim } from '../../harness/probes/storage.ts';
import { startVolumeWorker, type VolumeOperations, type VolumeWorkerPod } from '../../harness/probes/volume-worker.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';

/** Where every worker sees the whole claim. */
export const SHARED = '/shared';
/** Where the editor sees it through a read-only mount, and two of its folders. */
export const READ_ONLY = '/read-only';
export const SUB_PATHS = { one: '/one', two: '/two' };

/** The workers that share the ReadWriteMany claim, all on one node; each is started when it is first asked for. */
export type SharingWorker = 'author' | 'editor' | 'reader';

/**
 * One of the pods that share the ReadWriteMany claim. The author and the editor may write; the reader has the claim
 * `readOnly`. The editor has a read-only mount and two sub-paths of it besides.
 */
export function worker(t: RequirementContext, name: SharingWorker): Promise<VolumeWorkerPod> {
  return t.shared(`worker ${name}`, async () => {
    const { name: claim, namespace } = await sharedClaim(t);
    const whole = { claim, mountPath: SHARED };
    const mounts = {
      author: [whole],
      editor: [
        whole,
        { claim, mountPath: READ_ONLY, readOnly: true },
        ...Object.entries(SUB_PATHS).map(([subPath, mountPath]) => ({ claim, mountPath, subPath })),
      ],
      reader: [{ ...whole, readOnlyClaim: true }],
    };
    if (name === 'author') {
      return startVolumeWorker(t, namespace, { name, mounts: mounts[name] });
    }
    // The others run on the same node: this is about one node. All are started at the same time.
    const [started] = await Promise.all([
      startVolumeWorker(t, namespace, { name, mounts: mounts[name], sameNodeAs: 'author' }),
      worker(t, 'author'),
    ]);
    return started;
  });
}

/** Several of them at once. */
export function workers(t: RequirementContext, ...names: SharingWorker[]): Promise<VolumeWorkerPod[]> {
  return Promise.all(names.map((name) => worker(t, name)));
}

/** Taints that keep a pod away. */
const KEEPING_AWAY = ['NoSchedule', 'NoExecute'];

/** A node beside `node` on which a pod can run. */
function isSecondNode({ metadata, spec, status }: V1Node, node: string | undefined): boolean {
  const { key } = FURTHER_NODE_TAINT;
  return (
    metadata?.name !== node &&
    spec?.unschedulable !== true &&
    metadata?.labels?.['kubernetes.io/os'] === 'linux' &&
    status?.conditions?.some(({ type, status: state }) => type === 'Ready' && state === 'True') === true &&
    !(spec?.taints ?? []).some((taint) => taint.key !== key && KEEPING_AWAY.includes(taint.effect))
  );
}

/**
 * The node that the harness has added. It may be short of processors, and not Ready for a while: that says nothing of
 * the cluster.
 */
async function furtherNode(t: RequirementContext, { kubeConfig }: ClusterHandle, here?: string): Promise<string> {
  try {
    return await watchUntil<V1Node, string>(
      kubeConfig,
      '/api/v1/nodes',
      ({ object }) => (isSecondNode(object, here) ? object.metadata?.name : undefined),
      { what: 'a second node on which a pod can run', deadlineSeconds: START_SECONDS, signal: t.signal },
    );
  } catch (error) {
    throw asHarnessError('the cluster was given a second node', error);
  }
}

/** A second node of a cluster that is not the harness's own, which has one or has none. */
async function secondNode(t: RequirementContext, { core }: ClusterHandle, here?: string): Promise<string> {
  const nodes = (await core.listNode()).items;
  const name = nodes.find((candidate) => isSecondNode(candidate, here))?.metadata?.name;
  return name ?? t.notApplicable(`the cluster has one schedulable node: ${nodes.length} in all`);
}

/** A pod with the ReadWriteMany claim on another node than the author's. Not applicable where there is none. */
export async function distantWorker(t: RequirementContext): Promise<VolumeWorkerPod> {
  const [author] = await Promise.all([worker(t, 'author'), t.addNodes(2)]);
  const cluster = await t.cluster();
  const here = author.pod.spec?.nodeName;
  const node = cluster.owned ? await furtherNode(t, cluster, here) : await secondNode(t, cluster, here);
  const { name: claim, namespace } = await sharedClaim(t);
  const { key } = FURTHER_NODE_TAINT;
  return startVolumeWorker(t, namespace, {
    name: 'distant',
    mounts: [{ claim, mountPath: SHARED }],
    node,
    tolerations: [{ key, operator: 'Exists' }],
  });
}

/** A claim of the cluster's default class, ReadWriteOnce; bound perhaps only when a pod needs it. */
export function ownClaim(t: RequirementContext): Promise<Claim> {
  return t.shared('a ReadWriteOnce claim', async () => {
    const { name: namespace } = await t.namespace();
    return createClaim(t, namespace, 'own', 'ReadWriteOnce', await defaultStorageClass(t));
  });
}

/** What came of a first write to the root of a claim. */
interface FirstWrite {
  /** The process that wrote, and the root as it was before. */
  seen: VolumeOperations['stat']['response'];
  written: VolumeOperations['write']['response'];
}

export async function firstWrite(pod: VolumeWorkerPod): Promise<FirstWrite> {
  const seen = await pod.do('stat', { path: SHARED });
  return { seen, written: await pod.do('write', { path: `${SHARED}/by-${pod.name}`, text: 'x' }) };
}

/**
 * The first of two pods with the claim of the default class. It is deleted by one requirement: what others want of it
 * is done at its start.
 */
export function keeper(t: RequirementContext): Promise<{ keeper: VolumeWorkerPod; first: FirstWrite }> {
  return t.shared('worker keeper', async () => {
    const pod = await startOwnWorker(t, 'keeper');
    return { keeper: pod, first: await firstWrite(pod) };
  });
}

/** A pod with the claim of the default class; both are there at the same time, on one node. */
export async function startOwnWorker(t: RequirementContext, name: 'keeper' | 'victim'): Promise<VolumeWorkerPod> {
  const { name: claim, namespace } = await ownClaim(t);
  return startVolumeWorker(t, namespace, {
    name,
    mounts: [{ claim, mountPath: SHARED }],
    ...(name === 'victim' ? { sameNodeAs: 'keeper' } : {}),
  });
}

function isAbsent(error: unknown): boolean {
  return error instanceof ApiException && error.code === 404;
}

/** How long one look may take before it is asked anew whether the pod is there at all: a watch does not say so. */
const LOOK_SECONDS = 10;

/**
 * Deletes a pod and waits until there is none of its name.
 *
 * @param force with a grace period of 0: its processes are killed, and its object is gone at once
 * @throws NotTestable when it is still there after some time
 */
export async function removePod(t: RequirementContext, namespace: string, name: string, force: boolean): Promise<void> {
  const cluster = await t.cluster();
  await cluster.core.deleteNamespacedPod({ namespace, name, ...(force ? { gracePeriodSeconds: 0 } : {}) });
  for (let waited = 0; waited < START_SECONDS; waited += LOOK_SECONDS) {
    const left = await cluster.core.readNamespacedPod({ namespace, name }).catch((error: unknown) => {
      if (isAbsent(error)) {
        return undefined;
      }
      throw error;
    });
    if (left === undefined) {
      return;
    }
    try {
      await cluster.watchPod(namespace, name, ({ type }) => (type === 'DELETED' ? true : undefined), {
        what: `pod ${namespace}/${name} to be gone`,
        deadlineSeconds: LOOK_SECONDS,
      });
      return;
    } catch (error) {
      if (!(error instanceof DeadlineExceeded)) {
        throw error;
      }
      t.progress(`still there: ${describePod(left)}`);
    }
  }
  throw new NotTestable(`pod ${namespace}/${name} was deleted and is still there after ${START_SECONDS} s`);
}
