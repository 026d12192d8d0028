import { setTimeout as delay } from 'node:timers/promises';
import type { KubernetesObject, V1Pod } from '@kubernetes/client-node';
import type { Response } from 'undici';
import { NotTestable } from '../../../core/errors.ts';
import { fill, type Values } from '../../../core/placeholders.ts';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import { describePod, isReady } from '../../../kubernetes/pod-status.ts';
import { Recorder } from '../../../kubernetes/recorder.ts';
import type { ManifestChange } from '../../../role-data/manifest-change.ts';
import { forNamespace, manifestsOf, OWN_LABEL, readManifests } from '../../job-runner/manifests.ts';
import type { SessionManagerClient } from '../driver.ts';
import type { HttpTarget } from '../target.ts';
import { httpClient } from './http.ts';

export interface DeployedOptions {
  target: HttpTarget;
  cluster: ClusterHandle;
  namespace: string;
  serviceAccount: string;
  /** Variables that lead its calls to the recording proxy; absent where pods do not reach it. */
  inCluster?: Record<string, string>;
  /** What placeholders of the manifests stand for: `manager.image` is the reference's. */
  values: Values & { 'manager.image': string };
  changes: ManifestChange[];
  /** Gives an image of this host's engine to the nodes. */
  provideImage(reference: string): Promise<void>;
  signal: AbortSignal;
}

/** Any host: the API server's proxy is asked for the path alone. */
const ADDRESS = 'http://in-cluster';
const READY_SECONDS = 120;

/** The words of the API server for a Service none of whose pods it knows to be Ready (its REST storage of Services). */
const NOT_ROUTED = /"kind":"Status".*no endpoints available for service/s;
/** For so long after its pod was Ready. */
const ROUTED_SECONDS = 15;
const ROUTED_EVERY_MS = 250;

/**
 * Installs a manager in the cluster by its manifests, and gives a client that calls its Service through the API
 * server's proxy, which passes no `Authorization` header on.
 *
 * @throws NotTestable when its pod does not become Ready
 */
export async function deployManager(options: DeployedOptions): Promise<SessionManagerClient> {
  const { target, cluster, namespace, serviceAccount, inCluster, values, changes, provideImage, signal } = options;
  const { container, service, port, objects } = manifestsOf(target);
  const manifests = readManifests(target, values, changes);
  for (const { image } of manifests.workload.spec.template.spec.containers) {
    if (image !== undefined && image !== values['manager.image']) {
      await provideImage(image);
    }
  }
  const own = fill(objects, values, `${target.file}: manifests.objects`) as KubernetesObject[];
  await using pods = await Recorder.open<V1Pod>(cluster, `/api/v1/namespaces/${namespace}/pods`, {
    labelSelector: `${OWN_LABEL}=true`,
    describe: describePod,
    signal,
  });
  await cluster.create([
    ...own.map((object) => ({ ...object, metadata: { ...object.metadata, namespace } })),
    ...forNamespace(manifests, namespace, {
      serviceAccount,
      container,
      ...(inCluster === undefined ? {} : { env: inCluster }),
    }),
  ]);
  const ready = (): true | undefined => [...pods.latest().values()].some(({ object }) => isReady(object)) || undefined;
  await pods
    .until(ready, { what: 'the session manager’s pod to be Ready', deadlineSeconds: READY_SECONDS })
    .catch((error: unknown) => {
      throw new NotTestable(
        `the session manager does not become Ready in the cluster (manifests of ${target.file}): ${(error as Error).message}`,
      );
    });
  const routedUntil = Date.now() + ROUTED_SECONDS * 1000;
  const send = (url: string, init: object) => {
    const { pathname, search } = new URL(url);
    return onceRouted(
      () => cluster.serviceFetch(namespace, service, port, pathname + search, init),
      routedUntil,
      signal,
    );
  };
  return httpClient({ target, address: ADDRESS, values, send, signal });
}

/**
 * The answer of a Service. The API server answers itself, 503, where it has not learnt yet that a pod of it is Ready:
 * it has passed nothing on then. What it has learnt can be watched by nobody, so that it is asked again.
 *
 * @param until milliseconds; from then on its answer stands
 */
export async function onceRouted(ask: () => Promise<Response>, until: number, signal: AbortSignal): Promise<Response> {
  for (;;) {
    const answer = await ask();
    if (answer.status !== 503 || Date.now() > until || !NOT_ROUTED.test(await answer.clone().text())) {
      return answer;
    }
    await delay(ROUTED_EVERY_MS, undefined, { signal });
  }
}
