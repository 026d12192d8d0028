import {
  CoreV1Api,
  KubeConfig,
  type KubernetesObject,
  type V1PersistentVolumeClaim,
  type V1Pod,
  type V1ServiceAccount,
  Watch,
} from '@kubernetes/client-node';
import { HarnessError } from '../../../core/errors.ts';
import { isReady } from '../../../kubernetes/pod-status.ts';
import type { StartedCluster } from '../cluster.ts';
import { folderOfClaim, VOLUME_INJECTORS } from './fault-injectors-volumes.ts';

/** Something that works against the pods or ServiceAccounts of a twin's namespace, as a faulty cluster would. */
export interface FaultInjector {
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

type OnAccount = (account: { name: string; namespace: string }, core: CoreV1Api) => Promise<void>;

/**
 * Rewrites the projected token files of a pod in place, in two writes with a gap: what the kubelet's AtomicWriter never
 * does.
 */
const rewritesTokensInPlace: OnReady = async (pod, cluster) => {
  const folder = `/var/lib/kubelet/pods/${pod.metadata?.uid}/volumes/kubernetes.io~projected`;
  const script = `i=0; while [ $i -lt ${REWRITES} ] && [ -d "${folder}" ]; do i=$((i+1)); for f in "${folder}"/*/..data/*; do
    [ -f "$f" ] || continue; t=$(cat "$f"); case "$t" in eyJ*) printf '%.40s' "$t" > "$f"; sleep ${REWRITE_GAP_SECONDS}; printf '%s' "$t" > "$f";; esac
  done; sleep ${REWRITE_EVERY_SECONDS}; done`;
  await cluster.nodeExec(['sh', '-c', script]);
};

/** How often the token files of a pod are opened to all, and how many times; bounded, so that it ends by itself. */
const OPEN_EVERY_SECONDS = 2;
const OPENINGS = 60;

/** Lets everybody read those projected token files of a pod whose volume's name begins so, whoever the pod runs as. */
function opensTokensToAll(volumes: string): OnReady {
  return async (pod, cluster) => {
    const folder = `/var/lib/kubelet/pods/${pod.metadata?.uid}/volumes/kubernetes.io~projected`;
    const script = `i=0; while [ $i -lt ${OPENINGS} ] && [ -d "${folder}" ]; do i=$((i+1)); for f in "${folder}"/${volumes}*/..data/*; do
      case "$(stat -c %a "$f")" in *4) ;; *) chmod o+r "$f";; esac
    done; sleep ${OPEN_EVERY_SECONDS}; done`;
    await cluster.nodeExec(['sh', '-c', script]);
  };
}

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

/** Makes the Secret with a token without `exp` and `aud` that Kubernetes up to 1.23 made for every ServiceAccount. */
const makesTokenSecret: OnAccount = async ({ name, namespace }, core) => {
  await core.createNamespacedSecret({
    namespace,
    body: {
      metadata: { name: `${name}-token`, annotations: { 'kubernetes.io/service-account.name': name } },
      type: 'kubernetes.io/service-account-token',
    },
  });
};

const ACCOUNT_INJECTORS: Record<string, OnAccount> = {
  'makes-token-secrets': makesTokenSecret,
};

const POD_INJECTORS: Record<string, OnReady> = {
  'rewrites-tokens-in-place': rewritesTokensInPlace,
  'recreates-pods': recreatesPods,
  'opens-tokens-to-all': opensTokensToAll(''),
  'opens-api-tokens-to-all': opensTokensToAll('kube-api-access'),
};

/**
 * Starts a fault injector: it acts once on each pod of the namespace that has projected tokens, when that becomes
 * Ready, on each of its ServiceAccounts, or on each of its claims that is bound.
 *
 * @throws HarnessError for one that does not exist, with those that do
 */
export function startFaultInjector(name: string, cluster: StartedCluster, namespace: string): FaultInjector {
  const config = new KubeConfig();
  config.loadFromString(cluster.data.kubeConfig);
  const core = config.makeApiClient(CoreV1Api);
  const onReady = POD_INJECTORS[name];
  if (onReady !== undefined) {
    return follow<V1Pod>(config, `/api/v1/namespaces/${namespace}/pods`, (pod) =>
      isReady(pod) && hasProjectedToken(pod) ? () => onReady(pod, cluster, core) : undefined,
    );
  }
  const onAccount = ACCOUNT_INJECTORS[name];
  if (onAccount !== undefined) {
    return follow<V1ServiceAccount>(
      config,
      `/api/v1/namespaces/${namespace}/serviceaccounts`,
      ({ metadata }) =>
        () =>
          onAccount({ name: metadata?.name ?? '', namespace }, core),
    );
  }
  const onVolume = VOLUME_INJECTORS[name];
  if (onVolume !== undefined) {
    return follow<V1PersistentVolumeClaim>(config, `/api/v1/namespaces/${namespace}/persistentvolumeclaims`, (claim) =>
      claim.status?.phase === 'Bound' ? async () => onVolume(await folderOfClaim(core, claim), cluster) : undefined,
    );
  }
  const known = [POD_INJECTORS, ACCOUNT_INJECTORS, VOLUME_INJECTORS].flatMap(Object.keys);
  throw new HarnessError(`no fault injector is called ${name}; there are ${known.join(', ')}`);
}

/** Acts on each object once for which `choose` gives something to do. */
function follow<T extends KubernetesObject>(
  config: KubeConfig,
  path: string,
  choose: (object: T) => (() => Promise<void>) | undefined,
): FaultInjector {
  const done = new Set<string>();
  const stopped = new AbortController();
  const watchOn = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      const { promise: closed, resolve: close } = Promise.withResolvers<void>();
      const watch = await new Watch(config).watch(
        path,
        {},
        (_type: string, object: T) => {
          // Once is enough, also for what takes the place of an object: it is known by its name.
          const key = object.metadata?.name ?? '';
          const act = done.has(key) ? undefined : choose(object);
          if (act !== undefined) {
            done.add(key);
            // The twin's namespace may be gone in the middle: then there is nothing left to work against.
            act().catch(() => undefined);
          }
        },
        () => close(),
      );
      stopped.signal.addEventListener('abort', () => watch.abort(), { once: true });
      await closed;
    }
  };
  watchOn().catch(() => undefined);
  return {
    async stop() {
      stopped.abort();
    },
  };
}
