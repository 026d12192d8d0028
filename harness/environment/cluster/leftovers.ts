import { ApiException, CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import { describeError } from '../../core/errors.ts';
import { RUN_OBJECT_LABEL, RUN_POD_ANNOTATION } from '../../core/names.ts';
import type { ClusterData } from '../../kubernetes/cluster-data.ts';
import { createClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { isFromHere, liveRuns } from '../live-runs.ts';
import { GivenNamespaces, type RunSeen, runsSeenIn } from './given-namespaces.ts';
import { removeNamespace } from './namespaces.ts';

/** What was found of dead runs. */
export interface Removed {
  /** Namespaces that are gone. */
  namespaces: string[];
  /** Runs whose objects in given namespaces are gone, as `RUN in NAMESPACE`. */
  objects: string[];
  /** What could not be removed, and why. */
  stuck: string[];
}

/** Whether a pod is at work: there, the same one, and not at its end. */
async function isAtWork(core: CoreV1Api, pod: string): Promise<boolean> {
  const [namespace = '', name = '', uid] = pod.split('/');
  try {
    const { metadata, status } = await core.readNamespacedPod({ namespace, name });
    return metadata?.uid === uid && status?.phase !== 'Succeeded' && status?.phase !== 'Failed';
  } catch (error) {
    if (error instanceof ApiException && error.code === 404) {
      return false;
    }
    throw error;
  }
}

/**
 * Removes what dead runs left on a live cluster: their namespaces, and their objects in given ones. A run in a pod is
 * dead when its pod is; any other was started by this user on this host, and its process is gone: of the rest nobody
 * here can say.
 *
 * @param options.given namespaces of somebody else to look through
 */
export async function removeLeftovers(
  data: ClusterData,
  { given, deadlineSeconds }: { given: readonly string[]; deadlineSeconds: number },
): Promise<Removed> {
  const config = new KubeConfig();
  config.loadFromString(data.kubeConfig);
  const core = config.makeApiClient(CoreV1Api);
  const cluster = createClusterHandle(data);
  const live = liveRuns({ kept: false });
  const isDead = async ({ runId, pod }: RunSeen): Promise<boolean> =>
    pod === undefined ? isFromHere(runId) && !live.has(runId) : !(await isAtWork(core, pod));
  const removed: Removed = { namespaces: [], objects: [], stuck: [] };
  const attempt = async (list: string[], what: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
      list.push(what);
    } catch (error) {
      removed.stuck.push(`${what}: ${describeError(error)}`);
    }
  };
  // Whoever is kept to namespaces may not list them.
  const items = given.length > 0 ? [] : (await core.listNamespace({ labelSelector: RUN_OBJECT_LABEL })).items;
  await Promise.all(
    items.map(async ({ metadata }) => {
      const { name = '', uid, labels = {}, annotations = {} } = metadata ?? {};
      const pod = annotations[RUN_POD_ANNOTATION];
      if (await isDead({ runId: labels[RUN_OBJECT_LABEL] ?? '', ...(pod === undefined ? {} : { pod }) })) {
        await attempt(removed.namespaces, name, () => removeNamespace(config, name, deadlineSeconds, uid));
      }
    }),
  );
  for (const namespace of given) {
    for (const run of await runsSeenIn(cluster, namespace)) {
      if (await isDead(run)) {
        const clean = (): Promise<void> => new GivenNamespaces(cluster, run.runId, [namespace]).clean();
        await attempt(removed.objects, `${run.runId} in ${namespace}`, clean);
      }
    }
  }
  return removed;
}
