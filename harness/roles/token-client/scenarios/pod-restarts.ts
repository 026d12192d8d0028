/**
 * A token client in pods that come one after another, with its cache on a claim: the reference's and those of a target
 * file.
 */

import type { V1Container, V1Pod } from '@kubernetes/client-node';
import type { Stall } from '../../../../fixtures/workloads/lib/heartbeat.ts';
import { DeadlineExceeded, HarnessError, NotTestable } from '../../../core/errors.ts';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import { describePod, isReady } from '../../../kubernetes/pod-status.ts';
import { deployObserver, type Observer } from '../../../probes/observer.ts';
import { RESTRICTED_CONTAINER, START_SECONDS, startInTurn } from '../../../probes/pods.ts';
import { createClaim, defaultStorageClass } from '../../../probes/storage.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { CacheProvider, Start } from '../cache-record.ts';
import { CLIENT_NAME } from '../drivers/reference-pod.ts';
import { type CacheDriver, simulatedSetupBy } from './restarts.ts';

const CLAIM = 'token-client-cache';
const CORRUPTER = 'kube-agent-conformance-corrupt';
const CORRUPTED_FOLDER = '/var/kube-agent-conformance/cache';

/** Kubernetes' own, where a pod says nothing. */
const GRACE_SECONDS = 30;

/**
 * Overwrites every file of the cache, as a full disk or a broken node may leave them, and tells how many. A folder that
 * its user may not read (`lost+found` of a file system) is not the client's either.
 */
const CORRUPT = `const fs = require('node:fs');
let count = 0;
const corrupt = (folder) => {
  let entries;
  try {
    entries = fs.readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (error.code === 'EACCES') return;
    throw error;
  }
  for (const entry of entries) {
    const path = folder + '/' + entry.name;
    if (entry.isDirectory()) corrupt(path);
    if (!entry.isFile()) continue;
    fs.writeFileSync(path, '{"key":');
    count += 1;
  }
};
corrupt('${CORRUPTED_FOLDER}');
fs.writeFileSync('/dev/termination-log', String(count));`;

/** Where pods of a client are started. */
export interface PlaceOfPods {
  cluster: ClusterHandle;
  namespace: string;
  observer: Observer;
}

export interface CachedPods {
  /** The container that is the client, and the pod's volume, an emptyDir, that its cache is on. */
  container: string;
  volume: string;
  probePort: number;
  tokenPath: string;
  startSeconds: number;
  startsForEachCall?: true;
  without?: CacheDriver['without'];
  /** The pod of this name, whose client is configured for these providers; what it mounts is there then. */
  podFor(name: string, providers: CacheProvider[]): Promise<V1Pod>;
  call(pod: string, provider: string, patienceMs: number): ReturnType<CacheDriver['call']>;
}

/** Drives the pods that `describe` gives. Everything goes with the namespace. */
export async function driveCachedPods(
  t: RequirementContext,
  describe: (place: PlaceOfPods) => Promise<CachedPods>,
): Promise<CacheDriver> {
  const place = await t.namespaceFor('client cache');
  const { name: namespace } = place;
  const [cluster, observer, storageClass] = await Promise.all([
    t.cluster(),
    deployObserver(t, place),
    defaultStorageClass(t),
  ]);
  await createClaim(t, namespace, CLAIM, 'ReadWriteOnce', storageClass);
  const pods = await describe({ cluster, namespace, observer });
  const stalls: Stall[] = [];
  let pod: V1Pod = {};
  let corruptFiles = 0;
  const nameOf = ({ metadata }: V1Pod): string => metadata?.name ?? '';
  return {
    ...(pods.startsForEachCall === true ? { startsForEachCall: true } : {}),
    ...(pods.without === undefined ? {} : { without: pods.without }),
    setup: simulatedSetupBy(observer.port, pods.tokenPath),
    async start(start, providers) {
      const name = `${CLIENT_NAME}-${start}`;
      pod = withCacheFor(start, await pods.podFor(name, providers), pods, cluster.workloadImage);
      const { why, seen } = await startInTurn(cluster, namespace, pod, () =>
        startedOrEnded(cluster, namespace, name, pods),
      );
      if (start === 'corrupt') {
        corruptFiles = corruptFilesOf(seen);
      }
      return why;
    },
    async end() {
      const response = await cluster.podFetch(namespace, nameOf(pod), pods.probePort, '/stalls');
      if (response.ok) {
        stalls.push(...((await response.json()) as { stalls: Stall[] }).stalls);
      }
      const gone = cluster.watchPod(namespace, nameOf(pod), ({ type }) => (type === 'DELETED' ? true : undefined), {
        what: `pod ${namespace}/${nameOf(pod)} to be gone`,
        deadlineSeconds: (pod.spec?.terminationGracePeriodSeconds ?? GRACE_SECONDS) + START_SECONDS,
      });
      await Promise.all([gone, cluster.core.deleteNamespacedPod({ namespace, name: nameOf(pod) })]);
    },
    call: (provider, patienceMs) => pods.call(nameOf(pod), provider, patienceMs),
    mark: () => observer.act('cached', 'good'),
    corruptFiles: () => corruptFiles,
    records: () => observer.records(),
    async stalls() {
      return [...stalls, ...(await observer.stalls())];
    },
    progress: (message) => t.progress(message),
  };
}

/** The pod of a start: with the claim in the place of its emptyDir, where it has the kept cache. */
export function withCacheFor(
  start: Start,
  pod: V1Pod,
  { container, volume }: Pick<CachedPods, 'container' | 'volume'>,
  image: string,
): V1Pod {
  const { spec } = pod;
  if (spec === undefined || start === 'emptied') {
    return pod;
  }
  return {
    ...pod,
    spec: {
      ...spec,
      volumes: (spec.volumes ?? []).map((each) =>
        each.name === volume ? { name: volume, persistentVolumeClaim: { claimName: CLAIM } } : each,
      ),
      ...(start === 'corrupt'
        ? { initContainers: [corrupter(spec.containers, { container, volume }, image), ...(spec.initContainers ?? [])] }
        : {}),
      containers:
        start === 'unwritable'
          ? spec.containers.map((each) => (each.name === container ? withReadOnly(each, volume) : each))
          : spec.containers,
    },
  };
}

function withReadOnly(container: V1Container, volume: string): V1Container {
  return {
    ...container,
    volumeMounts: (container.volumeMounts ?? []).map((mount) =>
      mount.name === volume ? { ...mount, readOnly: true } : mount,
    ),
  };
}

function corrupter(
  containers: V1Container[],
  { container, volume }: Pick<CachedPods, 'container' | 'volume'>,
  image: string,
): V1Container {
  const runAsUser = containers.find(({ name }) => name === container)?.securityContext?.runAsUser;
  return {
    name: CORRUPTER,
    image,
    imagePullPolicy: 'IfNotPresent',
    command: ['node', '-e', CORRUPT],
    terminationMessagePolicy: 'FallbackToLogsOnError',
    // It must be able to write what the client wrote.
    securityContext: { ...RESTRICTED_CONTAINER, ...(runAsUser === undefined ? {} : { runAsUser }) },
    volumeMounts: [{ name: volume, mountPath: CORRUPTED_FOLDER }],
  };
}

/**
 * Why the client cannot be called; nothing once it can.
 *
 * @throws NotTestable where the client never came to run, or the pod is gone: that is not for its cache
 */
export async function startedOrEnded(
  cluster: Pick<ClusterHandle, 'watchPod'>,
  namespace: string,
  name: string,
  { container, startSeconds }: Pick<CachedPods, 'container' | 'startSeconds'>,
): Promise<{ seen: V1Pod; why?: string }> {
  let last: V1Pod = {};
  try {
    return await cluster.watchPod(
      namespace,
      name,
      ({ type, object }) => {
        last = object;
        if (type === 'DELETED') {
          throw new NotTestable(`pod ${namespace}/${name} was deleted: ${describePod(object)}`);
        }
        if (isReady(object)) {
          return { seen: object };
        }
        return hasEnded(object, container) ? { seen: object, why: describePod(object) } : undefined;
      },
      { what: `the client in pod ${namespace}/${name} to be Ready`, deadlineSeconds: startSeconds },
    );
  } catch (error) {
    if (!(error instanceof DeadlineExceeded)) {
      throw error;
    }
    if (!hasBegun(last, container)) {
      throw new NotTestable(error.message);
    }
    return { seen: last, why: error.message };
  }
}

/**
 * True when the client, or a container that has to end well before it, ended. @throws HarnessError when the harness's
 * own did not end well
 */
function hasEnded({ status }: V1Pod, container: string): boolean {
  const client = status?.containerStatuses?.find(({ name }) => name === container);
  if (client !== undefined && (client.restartCount > 0 || client.state?.terminated !== undefined)) {
    return true;
  }
  const ends = (status?.initContainerStatuses ?? []).flatMap(({ name, state, lastState }) =>
    [state, lastState].map((each) => ({ name, exitCode: 0, message: '', ...each?.terminated })),
  );
  const failed = ends.find(({ exitCode }) => exitCode !== 0);
  if (failed?.name === CORRUPTER) {
    throw new HarnessError(`the cache could not be made corrupt: ${failed.message}`);
  }
  return failed !== undefined;
}

/** True when it is for the target that the pod is not Ready: the client runs, or what comes before it does. */
function hasBegun({ status }: V1Pod, container: string): boolean {
  const own = [
    ...(status?.initContainerStatuses ?? []).filter(({ name }) => name !== CORRUPTER),
    ...(status?.containerStatuses ?? []).filter(({ name }) => name === container),
  ];
  return own.some(({ state }) => state?.running !== undefined);
}

function corruptFilesOf({ status }: V1Pod): number {
  const told = status?.initContainerStatuses?.find(({ name }) => name === CORRUPTER)?.state?.terminated?.message;
  if (told === undefined) {
    throw new HarnessError('nobody says how many files of the cache were overwritten');
  }
  return Number(told);
}
