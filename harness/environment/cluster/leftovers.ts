import { ApiException, CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import { describeError, HarnessError } from '../../core/errors.ts';
import { RUN_OBJECT_LABEL, RUN_POD_ANNOTATION } from '../../core/names.ts';
import type { ClusterData } from '../../kubernetes/cluster-data.ts';
import { type ClusterHandle, createClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { isFromHere, liveRuns } from '../live-runs.ts';
import { GivenNamespaces, type RunSeen, runsSeenIn } from './given-namespaces.ts';
import { removeNamespace } from './namespaces.ts';

/** What was found of dead runs. */
export interface Removed {
  /** Namespaces that are gone. */
  namespaces: string[];
  /** Objects of the whole cluster that are gone, as `clusterroles NAME`. */
  clusterObjects: string[];
  /** Runs whose objects in given namespaces are gone, as `RUN in NAMESPACE`. */
  objects: string[];
  /** What could not be removed, and why. */
  stuck: string[];
}

/** What a run makes beyond its namespaces: rights of a target in the whole cluster, the bindings first. */
const CLUSTER_RESOURCES = ['clusterrolebindings', 'clusterroles'];
const RBAC_PATH = '/apis/rbac.authorization.k8s.io/v1';

interface Labelled {
  metadata?: { name?: string; uid?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
}

/** Objects of the whole cluster that runs have made; none where they may not be listed: then nor could they be made. */
async function clusterObjectsOfRuns(cluster: ClusterHandle, resource: string): Promise<Labelled[]> {
  const path = `${RBAC_PATH}/${resource}?labelSelector=${encodeURIComponent(RUN_OBJECT_LABEL)}`;
  const response = await cluster.request(path);
  const { items = [] } = (await response.json()) as { items?: Labelled[] };
  return response.ok ? items : [];
}

async function deleteClusterObject(cluster: ClusterHandle, path: string, uid: string | undefined): Promise<void> {
  const response = await cluster.request(path, {
    method: 'DELETE',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid } }),
  });
  const text = await response.text();
  if (!response.ok && response.status !== 404) {
    throw new HarnessError(`DELETE ${path} was answered with ${response.status}: ${text.slice(0, 300)}`);
  }
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
 * Removes what dead runs left on a live cluster: their namespaces and what they gave to targets in the whole cluster,
 * or their objects in given namespaces. A run in a pod is dead when its pod is; any other was started by this user on
 * this host, and its process is gone: of the rest nobody here can say.
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
  const runOf = ({ metadata: { labels = {}, annotations = {} } = {} }: Labelled): RunSeen => {
    const pod = annotations[RUN_POD_ANNOTATION];
    return { runId: labels[RUN_OBJECT_LABEL] ?? '', ...(pod === undefined ? {} : { pod }) };
  };
  const isDead = async ({ runId, pod }: RunSeen): Promise<boolean> =>
    pod === undefined ? isFromHere(runId) && !live.has(runId) : !(await isAtWork(core, pod));
  const removed: Removed = { namespaces: [], clusterObjects: [], objects: [], stuck: [] };
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
    items.map(async (item) => {
      const { name = '', uid } = item.metadata ?? {};
      if (await isDead(runOf(item))) {
        await attempt(removed.namespaces, name, () => removeNamespace(config, name, deadlineSeconds, uid));
      }
    }),
  );
  for (const resource of given.length > 0 ? [] : CLUSTER_RESOURCES) {
    for (const object of await clusterObjectsOfRuns(cluster, resource)) {
      const { name = '', uid } = object.metadata ?? {};
      if (await isDead(runOf(object))) {
        await attempt(removed.clusterObjects, `${resource} ${name}`, () =>
          deleteClusterObject(cluster, `${RBAC_PATH}/${resource}/${name}`, uid),
        );
      }
    }
  }
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
