import { limitSeconds } from '../../core/time-limits.ts';
import { SIMULATED_HOSTS } from '../../fakes/simulated-providers.ts';
import type { Observer } from '../../probes/observer.ts';
import { START_SECONDS } from '../../probes/pods.ts';
import { targetFor } from '../../rpc/candidate.ts';
import type { RequirementContext } from '../../rpc/context.ts';
import type { Target } from '../../targets/load.ts';
import type { CacheProvider, CacheSession } from './cache-record.ts';
import { startPodsWithCache } from './drivers/pod-cache.ts';
import { startProcessWithCache } from './drivers/process/cache.ts';
import {
  CACHE_FOLDER,
  CLIENT_NAME,
  callClientPod,
  clientConfigMap,
  clientPod,
  PROBE_PORT,
  prepareForClient,
} from './drivers/reference-pod.ts';
import { driveCachedPods } from './scenarios/pod-restarts.ts';
import { type CacheDriver, driveCacheSession } from './scenarios/restarts.ts';

const TOKEN_FOLDER = '/var/run/secrets/tokens/oauth2';
const TOKEN_PATH = `${TOKEN_FOLDER}/token`;
const CACHE_VOLUME = 'cache';
const PATIENCE_MS = 15_000;

/** How long a call of a target may take: it may be a process, its start included. */
const START_PATIENCE_MS = limitSeconds('processStart') * 1_000;

/**
 * The token client of the subject, started five times, with a cache on a volume and without; once per subject. Not
 * applicable to a client that declares no cache.
 */
export async function observeRestartedClient(t: RequirementContext): Promise<CacheSession> {
  const target = targetFor(t.candidate, 'token-client');
  const whyNot = target === undefined ? undefined : whyNoCache(target);
  if (whyNot !== undefined) {
    t.notApplicable(whyNot);
  }
  const session = await t.sharedByAllFiles('client cache session', async () => {
    if (target === undefined) {
      return driveCacheSession(await deployForRestarts(t), PATIENCE_MS);
    }
    if (target.run.form === 'pod') {
      return driveCacheSession(await startPodsWithCache(t, target), START_PATIENCE_MS);
    }
    const client = await startProcessWithCache(t, target);
    try {
      return await driveCacheSession(client, START_PATIENCE_MS);
    } finally {
      await client.stop();
    }
  });
  const { calls, failedStarts, corruptFiles, exchanges, stalls } = session;
  t.evidence('starts with a cache', {
    calls,
    failedStarts,
    corruptFiles,
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

/** Why a client of a target file cannot be evaluated by its cache; undefined where it can. */
export function whyNoCache({
  capabilities,
  run,
}: Pick<Target<'token-client'>, 'capabilities' | 'run'>): string | undefined {
  if (!capabilities.includes('cache')) {
    return `the client declares the capabilities [${capabilities.join(', ')}], not cache`;
  }
  if (run.form === 'process' && run.cacheFolder === undefined) {
    return 'the target file does not say where the cache is (run.cacheFolder)';
  }
  if (run.form === 'pod' && run.cacheVolume === undefined) {
    return 'the target file does not say where the cache is (run.cacheVolume: the name of an emptyDir in run.pod that holds nothing else)';
  }
  return undefined;
}

/** The reference's pods, or those of a twin's variant of it. */
function deployForRestarts(t: RequirementContext): Promise<CacheDriver> {
  return driveCachedPods(t, async ({ cluster, namespace, observer }) => {
    await prepareForClient(t, cluster, namespace);
    return {
      container: CLIENT_NAME,
      volume: CACHE_VOLUME,
      probePort: PROBE_PORT,
      tokenPath: TOKEN_PATH,
      startSeconds: START_SECONDS,
      async podFor(pod, providers) {
        const config = {
          cacheDir: CACHE_FOLDER,
          providers: Object.fromEntries(
            providers.map((provider) => [provider.name, providerConfig(observer, provider)]),
          ),
        };
        await cluster.create([clientConfigMap(observer, { namespace, pod, config })]);
        return clientPod(t, cluster, observer, {
          namespace,
          pod,
          files: [TOKEN_PATH],
          shared: [{ name: 'token', mountPath: TOKEN_FOLDER, readOnly: true }],
          own: [{ name: CACHE_VOLUME, mountPath: CACHE_FOLDER }],
          volumes: [
            {
              name: 'token',
              projected: { sources: [{ serviceAccountToken: { audience: SIMULATED_HOSTS.simulated, path: 'token' } }] },
            },
            { name: CACHE_VOLUME, emptyDir: {} },
          ],
        });
      },
      call: (pod, provider, patienceMs) => callClientPod(cluster, { namespace, pod, provider, patienceMs }),
    };
  });
}

function providerConfig(
  observer: Observer,
  { name: _name, simulated, tokenPath, impatient: _impatient, ...oauth2 }: CacheProvider,
): object {
  return {
    baseURL: observer.baseURL(simulated),
    oauth2: { ...oauth2, subjectTokenSource: { type: 'kubernetes_sa', tokenPath } },
  };
}
