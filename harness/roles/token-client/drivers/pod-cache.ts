import { HarnessError } from '../../../core/errors.ts';
import type { Values } from '../../../core/placeholders.ts';
import { SIMULATED_HOSTS } from '../../../fakes/simulated-providers.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { Target } from '../../../targets/load.ts';
import { configurationFiles } from '../configure/files.ts';
import { cacheProvidersWithout, configuredSimulated, EVERYTHING } from '../configure/session.ts';
import { driveCachedPods } from '../scenarios/pod-restarts.ts';
import type { CacheDriver } from '../scenarios/restarts.ts';
import {
  callPod,
  configurationOf,
  isPodTarget,
  POD_PROBE_PORT,
  podValues,
  prepareForPods,
  provideImagesOf,
  watchedPod,
} from './pod.ts';

/** The client of a target file, a pod for each start, with the cache that another one left. */
export function startPodsWithCache(t: RequirementContext, target: Target<'token-client'>): Promise<CacheDriver> {
  if (!isPodTarget(target) || target.run.cacheVolume === undefined) {
    throw new HarnessError(`${target.file} names no volume of its cache`);
  }
  const { container, cacheVolume, tokenFolder, startSeconds, trigger } = target.run;
  return driveCachedPods(t, async ({ cluster, namespace, observer }) => {
    const tokenPath = `${tokenFolder}/token`;
    const values = await podValues(t, target, [{ audience: SIMULATED_HOSTS.simulated, tokenPath }]);
    await prepareForPods(t, namespace);
    let known: Values = values;
    return {
      container,
      volume: cacheVolume,
      probePort: POD_PROBE_PORT,
      tokenPath,
      startSeconds,
      ...(trigger.kind === 'exec' ? { startsForEachCall: true } : {}),
      without: cacheProvidersWithout(target),
      async podFor(name, providers) {
        const configured = providers.flatMap(({ name: as, simulated, ...setup }) =>
          configuredSimulated(target, [{ ...setup, name: simulated }], observer.baseURL).configured.map((provider) => ({
            ...provider,
            name: as,
          })),
        );
        const files = (of: typeof configured): Record<string, string> => configurationFiles(target, of, values);
        const configuration = configurationOf(
          target,
          { namespace, name, ca: observer.ca },
          trigger.kind === 'http'
            ? { [EVERYTHING]: files(configured) }
            : Object.fromEntries(configured.map((provider) => [provider.name, files([provider])])),
        );
        known = { ...values, ...configuration.values };
        const { pod } = watchedPod(target, known, {
          namespace,
          name,
          probeImage: cluster.workloadImage,
          hostAliases: observer.hostAliases,
          reach: observer.reach,
          files: [tokenPath],
        });
        await cluster.create([configuration.configMap]);
        await provideImagesOf(t, pod);
        return pod;
      },
      call: (name, provider, patienceMs) =>
        callPod(cluster, target, { namespace, name }, { provider, set: provider, values: known, patienceMs }),
    };
  });
}
