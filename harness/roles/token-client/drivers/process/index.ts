import { setTimeout as delay } from 'node:timers/promises';
import {
  copyInPlace,
  linkInPlace,
  padInPlace,
  projectInPlace,
  remainingFiles,
} from '../../../../../fixtures/workloads/token-probe/files.ts';
import { TokenProbe } from '../../../../../fixtures/workloads/token-probe/probe.ts';
import { HarnessError, NotTestable } from '../../../../core/errors.ts';
import { SIMULATED_HOSTS, simulatedSetups } from '../../../../fakes/simulated-providers.ts';
import { createServiceAccount } from '../../../../probes/pods.ts';
import { startProbePod } from '../../../../probes/token-probe.ts';
import type { RequirementContext } from '../../../../rpc/context.ts';
import type { Target } from '../../../../targets/load.ts';
import {
  ConfigurationSets,
  configuredSimulated,
  EVERYTHING,
  omitsClientId,
  plannedSetups,
  registerProviders,
  sessionSettings,
  type TargetClient,
} from '../../configure/session.ts';
import { startProcessRig, WRITABLE } from './sandbox.ts';
import { mirrorTokens } from './tokens.ts';

const NAME = 'token-client';

/** Asked of Kubernetes, which grants no less. */
const LEAST_EXPIRATION_SECONDS = 600;

/**
 * A token client that is a process of this host, one for each call or one for all. Its token files are those of a pod
 * that a kubelet rotates; it is led to an observer in this process.
 */
export async function startProcessClient(t: RequirementContext, target: Target<'token-client'>): Promise<TargetClient> {
  const rig = await startProcessRig(t, target);
  try {
    const { name: namespace } = await t.namespace();
    const latePath = rig.at('late', 'token');
    const providers = await registerProviders(t, target, {
      serviceAccount: NAME,
      tokenPath: (name) => ({ path: rig.at('tokens', `${name}-token`), configured: true }),
      baseURL: rig.baseURL,
    });
    if (omitsClientId(target)) {
      for (const { name, clientId } of providers) {
        await rig.addClientId(name, clientId);
      }
    }
    await createServiceAccount(t, namespace, NAME, false);
    const audiences = Object.fromEntries(providers.map(({ name, audience }) => [`${name}-token`, audience]));
    const probePod = await startProbePod(t, namespace, {
      name: NAME,
      serviceAccount: NAME,
      volumes: { oauth2: audiences },
      askedSeconds: Math.max(LEAST_EXPIRATION_SECONDS, t.clock.clientLifetimeSeconds),
    });
    let broken: Error | undefined;
    const mirror = await mirrorTokens(
      probePod,
      Object.fromEntries(Object.keys(audiences).map((file) => [probePod.path('oauth2', file), file])),
      rig.at('tokens'),
      (error) => {
        broken = error;
      },
    );
    rig.onStop(() => mirror.stop());
    const probe = new TokenProbe({
      files: [...providers.map(({ tokenPath }) => tokenPath), latePath],
      intervalMs: 1_000,
      burstMs: 300,
    });
    probe.start();
    rig.onStop(() => probe.stop());
    const { simulated, configured } = configuredSimulated(
      target,
      plannedSetups(
        t,
        simulatedSetups({
          hosts: SIMULATED_HOSTS,
          port: rig.port,
          tokenPath: rig.at('late', 'simulated-token'),
          swappedPath: rig.at('late', 'swapped', 'token'),
        }),
      ),
      rig.baseURL,
    );
    const sets = new ConfigurationSets(target, providers, configured, latePath, rig.values);
    for (const [set, files] of Object.entries(sets.files)) {
      rig.writeFiles(set, files);
    }
    const isResident = target.run.trigger.kind === 'http';
    const whyNot = await rig.start(EVERYTHING);
    if (whyNot !== undefined) {
      throw new NotTestable(whyNot);
    }
    return {
      ...sessionSettings(target),
      ...(isResident ? {} : { startsForEachCall: true }),
      providers,
      simulated,
      latePath,
      async call(name, patienceMs) {
        if (broken !== undefined) {
          throw new HarnessError(broken.message);
        }
        return rig.call(name, isResident ? EVERYTHING : sets.setFor(name), patienceMs);
      },
      observations: async () => probe.observations(),
      records: rig.records,
      stalls: async () => [...(await rig.stalls()), ...mirror.stalls()],
      refuseNext: rig.refuseNext,
      act: rig.act,
      async copy(from, to) {
        copyInPlace(from, to);
        sets.copied(from, to);
      },
      async pad(from, to) {
        padInPlace(from, to);
        sets.copied(from, to);
      },
      async link(from, to) {
        linkInPlace(from, to);
        sets.copied(from, to);
      },
      project: async (from, to) => projectInPlace(from, to),
      remaining: async () => WRITABLE.flatMap((name) => remainingFiles(rig.at(name))),
      listeners: rig.listeners,
      identity: async () => rig.identity(),
      identityAfter: () => rig.settledIdentity(),
      output: async () => rig.output(),
      secrets: async () => [],
      until: (instant) => delay(Math.max(0, instant.getTime() - Date.now()), undefined, { signal: t.signal }),
      progress: (message) => t.progress(message),
      stop: rig.stop,
    };
  } catch (error) {
    await rig.stop();
    throw error;
  }
}
