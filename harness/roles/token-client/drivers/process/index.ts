import { setTimeout as delay } from 'node:timers/promises';
import type { Stall } from '../../../../../fixtures/workloads/lib/heartbeat.ts';
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
import { WRITABLE } from './folder.ts';
import { type ProcessSandbox, startProcessSandbox } from './sandbox.ts';
import { mirrorTokens } from './tokens.ts';

const NAME = 'token-client';

/** Asked of Kubernetes, which grants no less. */
const LEAST_EXPIRATION_SECONDS = 600;

/**
 * A token client that is a process of this host, one for each call or one for all. Its token files are those of a pod
 * that a kubelet rotates; it is led to an observer in this process.
 */
export async function startProcessClient(t: RequirementContext, target: Target<'token-client'>): Promise<TargetClient> {
  const sandbox = await startProcessSandbox(t, target);
  const { client, folder, observer } = sandbox;
  try {
    const latePath = folder.at('late', 'token');
    const providers = await registerProviders(t, target, {
      serviceAccount: NAME,
      tokenPath: (name) => ({ path: folder.at('tokens', `${name}-token`), configured: true }),
      baseURL: (name) => observer.baseURL(name),
    });
    if (omitsClientId(target)) {
      for (const { name, clientId } of providers) {
        await observer.addClientId(name, clientId);
      }
    }
    const tokens = await provideTokens(t, sandbox, providers);
    const probe = new TokenProbe({
      files: [...providers.map(({ tokenPath }) => tokenPath), latePath],
      intervalMs: 1_000,
      burstMs: 300,
    });
    probe.start();
    sandbox.onStop(() => probe.stop());
    const { simulated, sets } = configure(t, target, sandbox, providers);
    const isResident = target.run.trigger.kind === 'http';
    const whyNot = await client.start(EVERYTHING);
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
        tokens.assertMirrored();
        return client.call(name, isResident ? EVERYTHING : sets.setFor(name), patienceMs);
      },
      observations: async () => probe.observations(),
      records: () => observer.records(),
      stalls: async () => [...(await observer.stalls()), ...tokens.stalls()],
      refuseNext: (name) => observer.refuseNext(name),
      act: (name, act, lifeSeconds) => observer.act(name, act, lifeSeconds),
      ...tokenFileChanges(sets),
      remaining: async () => WRITABLE.flatMap((name) => remainingFiles(folder.at(name))),
      listeners: sandbox.listeners,
      identity: async () => client.identity(),
      identityAfter: () => client.settledIdentity(),
      finish: () => client.end(),
      output: async () => ({ text: client.output() }),
      secrets: async () => [],
      until: (instant) => delay(Math.max(0, instant.getTime() - Date.now()), undefined, { signal: t.signal }),
      progress: (message) => t.progress(message),
      stop: sandbox.stop,
    };
  } catch (error) {
    await sandbox.stop();
    throw error;
  }
}

/** The token files of the providers: those of a pod, mirrored into the sandbox. */
async function provideTokens(
  t: RequirementContext,
  { folder, onStop }: ProcessSandbox,
  providers: readonly { name: string; audience: string }[],
): Promise<{ assertMirrored(): void; stalls(): Stall[] }> {
  const { name: namespace } = await t.namespace();
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
    folder.at('tokens'),
    (error) => {
      broken = error;
    },
  );
  onStop(() => mirror.stop());
  return {
    assertMirrored() {
      if (broken !== undefined) {
        throw new HarnessError(broken.message);
      }
    },
    stalls: () => mirror.stalls(),
  };
}

/** Writes the configurations of the client, by sets of providers. */
function configure(
  t: RequirementContext,
  target: Target<'token-client'>,
  { folder, observer, values }: ProcessSandbox,
  providers: Awaited<ReturnType<typeof registerProviders>>,
): { simulated: TargetClient['simulated']; sets: ConfigurationSets } {
  const setups = simulatedSetups({
    hosts: SIMULATED_HOSTS,
    port: observer.port,
    tokenPath: folder.at('late', 'simulated-token'),
    swappedPath: folder.at('late', 'swapped', 'token'),
  });
  const { simulated, configured } = configuredSimulated(target, plannedSetups(t, setups), (name) =>
    observer.baseURL(name),
  );
  const sets = new ConfigurationSets(target, providers, configured, folder.at('late', 'token'), values);
  for (const [set, files] of Object.entries(sets.files)) {
    folder.writeFiles(set, files);
  }
  return { simulated, sets };
}

/** What a scenario does to token files of this host. Which set a call is configured for depends on the late one. */
function tokenFileChanges(sets: ConfigurationSets): Pick<TargetClient, 'copy' | 'pad' | 'link' | 'project'> {
  return {
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
  };
}
