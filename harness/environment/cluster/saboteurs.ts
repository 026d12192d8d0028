import { CoreV1Api, KubeConfig, type V1Pod, Watch } from '@kubernetes/client-node';
import { isReady } from '../../kubernetes/cluster-handle.ts';
import { HarnessError } from '../../run/errors.ts';
import type { StartedCluster } from './cluster.ts';

/** Something that works against the pods of a twin's namespace, as a faulty cluster would. */
export interface Saboteur {
  stop(): Promise<void>;
}

/** How often and how long a token file stands half written, in seconds; bounded, so that it ends by itself. */
const REWRITE_EVERY_SECONDS = 3;
const REWRITE_GAP_SECONDS = 0.2;
const REWRITES = 60;

/** How long a pod is left alone before it is replaced, in seconds: shorter than any rotation. */
const RECREATE_AFTER_SECONDS = 15;

function hasProjectedToken(pod: V1Pod): boolean {
  return (
    pod.spec?.volumes?.some(({ projected }) => projected?.sources?.some((source) => source.serviceAccountToken)) ===
    true
  );
}

type OnReady = (pod: V1Pod, cluster: StartedCluster, core: CoreV1Api) => Promise<void>;

/**
 * Rewrites the projected token files of a pod in place, in two writes with a gap: what the kubelet's AtomicWriter never does.
 */
const rewritesTokensInPlace: OnReady = async (pod, cluster) => {
  const folder = `/var/lib/kubelet/pods/${pod.metadata?.uid}/volumes/kubernetes.io~projected`;
  const script = `i=0; while [ $i -lt ${REWRITES} ] && [ -d "${folder}" ]; do i=$((i+1)); for f in "${folder}"/*/..data/*; do
    [ -f "$f" ] || continue; t=$(cat "$f"); case "$t" in eyJ*) printf '%.40s' "$t" > "$f"; sleep ${REWRITE_GAP_SECONDS}; printf '%s' "$t" > "$f";; esac
  done; sleep ${REWRITE_EVERY_SECONDS}; done`;
  await cluster.nodeExec(['sh', '-c', script]);
};

/** Replaces a pod by one of the same name: what a rotation must never need. */
const recreatesPods: OnReady = async (pod, _cluster, core) => {
  const { name, namespace, labels, annotations } = pod.metadata ?? {};
  if (name === undefined || namespace === undefined || pod.spec === undefined) {
    return;
  }
  await new Promise((resolve) => {
    setTimeout(resolve, RECREATE_AFTER_SECONDS * 1000);
  });
  await core.deleteNamespacedPod({ name, namespace, gracePeriodSeconds: 0 });
  const { nodeName: _nodeName, ...spec } = pod.spec;
  await core.createNamespacedPod({
    namespace,
    body: {
      metadata: {
        name,
        ...(labels === undefined ? {} : { labels }),
        ...(annotations === undefined ? {} : { annotations }),
      },
      spec,
    },
  });
};

const SABOTEURS: Record<string, OnReady> = {
  'rewrites-tokens-in-place': rewritesTokensInPlace,
  'recreates-pods': recreatesPods,
};

/**
 * Starts a saboteur: it acts once on each pod of the namespace that has projected tokens, when that becomes Ready.
 *
 * @throws HarnessError for one that does not exist, with those that do
 */
export function startSaboteur(name: string, cluster: StartedCluster, namespace: string): Saboteur {
  const onReady = SABOTEURS[name];
  if (onReady === undefined) {
    throw new HarnessError(`no saboteur is called ${name}; there are ${Object.keys(SABOTEURS).join(', ')}`);
  }
  const config = new KubeConfig();
  config.loadFromString(cluster.data.kubeConfig);
  const core = config.makeApiClient(CoreV1Api);
  const done = new Set<string>();
  const stopped = new AbortController();
  const follow = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      const { promise: closed, resolve: close } = Promise.withResolvers<void>();
      const watch = await new Watch(config).watch(
        `/api/v1/namespaces/${namespace}/pods`,
        {},
        (_type: string, pod: V1Pod) => {
          // One replacement is enough: the pod that takes the place is known by its name.
          const key = pod.metadata?.name ?? '';
          if (isReady(pod) && hasProjectedToken(pod) && !done.has(key)) {
            done.add(key);
            // The twin's namespace may be gone in the middle: then there is nothing left to work against.
            onReady(pod, cluster, core).catch(() => undefined);
          }
        },
        () => close(),
      );
      stopped.signal.addEventListener('abort', () => watch.abort(), { once: true });
      await closed;
    }
  };
  follow().catch(() => undefined);
  return {
    async stop() {
      stopped.abort();
    },
  };
}
