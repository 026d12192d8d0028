import type { V1Pod, V1VolumeMount } from '@kubernetes/client-node';
import type { Stall } from '../../fixtures/workloads/lib/heartbeat.ts';
import { deployObserver, type Observer } from '../environment/resource-server/observer.ts';
import { PLAYED_HOSTS, type PlayedSetup, playedSetups } from '../environment/resource-server/played-providers.ts';
import { type ClusterHandle, describePod, isReady } from '../kubernetes/cluster-handle.ts';
import { RESTRICTED_CONTAINER, START_SECONDS, startInTurn } from '../kubernetes/pods.ts';
import { createClaim, defaultStorageClass } from '../kubernetes/storage.ts';
import type { RequirementContext } from '../run/context.ts';
import { HarnessError } from '../run/errors.ts';
import { type CacheDriver, type CacheSession, driveCacheSession, type Start } from './client-cache-session.ts';
import {
  CACHE_FOLDER,
  CLIENT_NAME,
  callClientPod,
  clientConfigMap,
  clientPod,
  PROBE_PORT,
  prepareForClient,
} from './client-pod.ts';
import { START_PATIENCE_MS, startProcessWithCache, whyNoCache } from './process-client-cache.ts';
import { targetOf } from './target-file.ts';

const CLAIM = 'token-client-cache';
const TOKEN_FOLDER = '/var/run/secrets/tokens/oauth2';
const TOKEN_PATH = `${TOKEN_FOLDER}/token`;
const PATIENCE_MS = 15_000;

/** Overwrites every file of the cache, as a full disk or a broken node may leave them. */
const CORRUPT = `const fs = require('node:fs');
for (const file of fs.readdirSync('${CACHE_FOLDER}')) {
  if (fs.statSync('${CACHE_FOLDER}/' + file).isFile()) fs.writeFileSync('${CACHE_FOLDER}/' + file, '{"key":');
}`;

/**
 * The token client of the subject, started five times, with a cache on a volume and without; once per subject. Not applicable to a client
 * that declares no cache.
 */
export async function observeRestartedClient(t: RequirementContext): Promise<CacheSession> {
  const target = targetOf(t.subject.targets, 'token-client');
  const whyNot = target === undefined ? undefined : whyNoCache(target);
  if (whyNot !== undefined) t.notApplicable(whyNot);
  const session = await t.sharedByAllFiles('client cache session', async () => {
    if (target === undefined) return driveCacheSession(await deployForRestarts(t), PATIENCE_MS);
    const client = await startProcessWithCache(t, target);
    try {
      return await driveCacheSession(client, START_PATIENCE_MS);
    } finally {
      await client.stop();
    }
  });
  const { calls, failedStarts, exchanges, stalls } = session;
  t.evidence('starts with a cache', {
    calls,
    failedStarts,
    exchanges: exchanges.map(({ at, provider, status, parameters }) => ({
      at,
      provider,
      status,
      client: parameters.client_id,
      audience: parameters.audience,
    })),
    stalls,
  });
  return session;
}

async function deployForRestarts(t: RequirementContext): Promise<CacheDriver> {
  const place = await t.namespaceFor('client cache');
  const { name: namespace } = place;
  const [cluster, observer, storageClass] = await Promise.all([
    t.cluster(),
    deployObserver(t, place),
    defaultStorageClass(t),
  ]);
  await createClaim(t, namespace, CLAIM, 'ReadWriteOnce', storageClass);
  await prepareForClient(t, cluster, namespace);
  const setups = playedSetups({
    hosts: PLAYED_HOSTS,
    port: observer.port,
    tokenPath: TOKEN_PATH,
    swappedPath: TOKEN_PATH,
  });
  const stalls: Stall[] = [];
  let pod = '';
  return {
    setup(played) {
      const setup = setups.find(({ name }) => name === played);
      if (setup === undefined) throw new HarnessError(`nobody plays the provider ${played}`);
      return setup;
    },
    async start(start, providers) {
      pod = `${CLIENT_NAME}-${start}`;
      const config = {
        cacheDir: CACHE_FOLDER,
        providers: Object.fromEntries(
          providers.map(({ name, played, ...setup }) => [name, providerConfig(observer, { ...setup, name: played })]),
        ),
      };
      await cluster.create([clientConfigMap(observer, { namespace, pod, config })]);
      const body = podOfStart(t, cluster, observer, { namespace, pod, start });
      return startInTurn(cluster, namespace, body, () => startedOrEnded(cluster, namespace, pod));
    },
    async end() {
      const response = await cluster.podFetch(namespace, pod, PROBE_PORT, '/stalls');
      if (response.ok) stalls.push(...((await response.json()) as { stalls: Stall[] }).stalls);
      const gone = cluster.watchPod(namespace, pod, ({ type }) => (type === 'DELETED' ? true : undefined), {
        what: `pod ${namespace}/${pod} to be gone`,
        deadlineSeconds: START_SECONDS,
      });
      await Promise.all([gone, cluster.core.deleteNamespacedPod({ namespace, name: pod })]);
    },
    call: (provider, patienceMs) => callClientPod(cluster, { namespace, pod, provider, patienceMs }),
    mark: () => observer.act('cached', 'good'),
    records: () => observer.records(),
    async stalls() {
      return [...stalls, ...(await observer.stalls())];
    },
    progress: (message) => t.progress(message),
  };
}

function providerConfig(
  observer: Observer,
  { name, tokenPath, impatient: _impatient, ...oauth2 }: Omit<PlayedSetup, 'name'> & { name: string },
): object {
  return {
    baseURL: observer.baseURL(name),
    oauth2: { ...oauth2, subjectTokenSource: { type: 'kubernetes_sa', tokenPath } },
  };
}

/** Why the client cannot be called; `undefined` once it can. */
async function startedOrEnded(cluster: ClusterHandle, namespace: string, name: string): Promise<string | undefined> {
  const seen = await cluster.watchPod(
    namespace,
    name,
    ({ object }) => {
      if (isReady(object)) return { ready: true };
      return hasEnded(object) ? { ready: false, why: describePod(object) } : undefined;
    },
    { what: `the client in pod ${namespace}/${name} to be Ready`, deadlineSeconds: START_SECONDS },
  );
  return seen.ready ? undefined : seen.why;
}

function hasEnded({ status }: V1Pod): boolean {
  const client = status?.containerStatuses?.find(({ name }) => name === CLIENT_NAME);
  return client !== undefined && (client.restartCount > 0 || client.state?.terminated !== undefined);
}

function podOfStart(
  t: RequirementContext,
  cluster: ClusterHandle,
  observer: Observer,
  { namespace, pod, start }: { namespace: string; pod: string; start: Start },
): V1Pod {
  const cache: V1VolumeMount = { name: 'cache', mountPath: CACHE_FOLDER, readOnly: start === 'unwritable' };
  const body = clientPod(t, cluster, observer, {
    namespace,
    pod,
    files: [TOKEN_PATH],
    shared: [{ name: 'token', mountPath: TOKEN_FOLDER, readOnly: true }],
    own: [cache],
    volumes: [
      {
        name: 'token',
        projected: { sources: [{ serviceAccountToken: { audience: PLAYED_HOSTS.played, path: 'token' } }] },
      },
      start === 'emptied'
        ? { name: 'cache', emptyDir: {} }
        : { name: 'cache', persistentVolumeClaim: { claimName: CLAIM } },
    ],
  });
  if (start === 'corrupt' && body.spec !== undefined) {
    body.spec.initContainers = [
      {
        name: 'corrupt',
        image: cluster.workloadImage,
        imagePullPolicy: 'IfNotPresent',
        command: ['node', '-e', CORRUPT],
        securityContext: RESTRICTED_CONTAINER,
        volumeMounts: [cache],
      },
    ];
  }
  return body;
}
