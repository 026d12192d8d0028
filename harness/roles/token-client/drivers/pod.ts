import type { V1Container, V1Pod, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import { bundleWorkload } from '../../../core/bundle.ts';
import { HarnessError, UsageError } from '../../../core/errors.ts';
import { fill, type Values } from '../../../core/placeholders.ts';
import { SIMULATED_HOSTS, simulatedSetups } from '../../../fakes/simulated-providers.ts';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import { deployObserver } from '../../../probes/observer.ts';
import { createServiceAccount, startInTurn } from '../../../probes/pods.ts';
import { bundleConfigMap, bundleVolume, workloadContainer } from '../../../probes/workload-pod.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { Target } from '../../../targets/load.ts';
import { type ConfiguredProvider, callValues } from '../configure/files.ts';
import {
  ConfigurationSets,
  configuredSimulated,
  EVERYTHING,
  omitsClientId,
  plannedSetups,
  registerProviders,
  sessionSettings,
  type TargetClient,
} from '../configure/session.ts';
import type { CallAnswer } from '../driver.ts';
import { callByRequest } from './http-call.ts';
import { type ClientPod, podDriver, requestsTo } from './pod-observation.ts';
import { type CommandEnded, resultOf } from './process/run.ts';
import { CLIENT_NAME, workloadOf } from './reference-pod.ts';

type TokenClientTarget = Target<'token-client'>;
type PodRun = Extract<TokenClientTarget['run'], { form: 'pod' }>;
/** A target whose client is a pod. */
export type PodTarget = TokenClientTarget & { run: PodRun };

const CA_FILE = 'ca.crt';
export const POD_PROBE_PORT = 18_081;
const LATE_FOLDER = '/var/run/kube-agent-conformance/late';
const LATE_VOLUME = 'kube-agent-conformance-late';

/** Asked of Kubernetes, which grants no less; on the accelerated clock the tokens live shorter all the same. */
const LEAST_EXPIRATION_SECONDS = 600;

export function isPodTarget(target: TokenClientTarget): target is PodTarget {
  return target.run.form === 'pod';
}

/** A key of a ConfigMap has no folders. */
const keyOf = (set: string, path: string): string => `${set}.${path.replaceAll('/', '.')}`;

/** The container that is the client, of the pod as the target file has it. */
function clientContainer({ file, run }: PodTarget, pod: V1Pod): V1Container {
  const found = pod.spec?.containers.find(({ name }) => name === run.container);
  if (found === undefined) {
    throw new UsageError(`${file}: run.pod has no container "${run.container}"`);
  }
  return found;
}

/** What the probe has to see of the client's file system: its tokens, and what it may write to. */
function sharedMounts(
  pod: V1Pod,
  client: V1Container,
  tokenFolder: string,
): { mounts: V1VolumeMount[]; writable: string[] } {
  const volumes = new Map((pod.spec?.volumes ?? []).map((volume) => [volume.name, volume]));
  const mounts = (client.volumeMounts ?? []).filter(({ name, mountPath }) => {
    const volume = volumes.get(name);
    return mountPath === tokenFolder || volume?.emptyDir !== undefined || volume?.persistentVolumeClaim !== undefined;
  });
  return {
    mounts,
    writable: mounts.filter(({ mountPath }) => mountPath !== tokenFolder).map(({ mountPath }) => mountPath),
  };
}

/** The pod of a target file, as it is run: named, known by hostAliases, and with a probe beside it. */
export function watchedPod(
  target: PodTarget,
  values: Values,
  options: {
    namespace: string;
    name: string;
    probeImage: string;
    hostAliases: { ip: string; hostnames: string[] }[];
    reach: string;
    files: string[];
  },
): { pod: V1Pod; writableFolders: string[] } {
  const { run } = target;
  const pod = fill(run.pod, values, `${target.file}: run.pod`) as unknown as V1Pod;
  const client = clientContainer(target, pod);
  if (!client.volumeMounts?.some(({ mountPath }) => mountPath === run.tokenFolder)) {
    throw new UsageError(
      `${target.file}: the container "${run.container}" mounts nothing at run.tokenFolder ${run.tokenFolder}`,
    );
  }
  const { mounts, writable } = sharedMounts(pod, client, run.tokenFolder);
  const late: V1VolumeMount = { name: LATE_VOLUME, mountPath: LATE_FOLDER };
  const { securityContext } = client;
  const probe = workloadContainer(
    {
      name: 'token-probe',
      workload: 'token-probe',
      port: POD_PROBE_PORT,
      env: {
        TOKEN_PROBE_FILES: options.files.join(','),
        TOKEN_PROBE_REACH: options.reach,
        TOKEN_PROBE_LISTENERS: 'true',
      },
      volumeMounts: [...mounts, late],
    },
    options.probeImage,
  );
  // It must be able to read what the client writes.
  if (securityContext?.runAsUser !== undefined) {
    probe.securityContext = { ...probe.securityContext, runAsUser: securityContext.runAsUser };
  }
  const further: V1Volume[] = [bundleVolume('token-probe'), { name: LATE_VOLUME, emptyDir: {} }];
  return {
    writableFolders: writable,
    pod: {
      ...pod,
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...pod.metadata, namespace: options.namespace, name: options.name },
      spec: {
        ...pod.spec,
        hostAliases: [...(pod.spec?.hostAliases ?? []), ...options.hostAliases],
        containers: [
          ...(pod.spec?.containers ?? []).map((container) =>
            container.name === run.container
              ? { ...container, volumeMounts: [...(container.volumeMounts ?? []), late] }
              : container,
          ),
          probe,
        ],
        volumes: [...(pod.spec?.volumes ?? []), ...further],
      },
    },
  };
}

/** Where the token files are: the first provider's at the documented default path, where there is one. */
function tokenPathOf(
  { defaultTokenPath, tokenFolder }: PodRun,
  provider: string,
  index: number,
): { path: string; configured: boolean } {
  const isDefault = index === 0 && defaultTokenPath !== undefined;
  return isDefault
    ? { path: defaultTokenPath, configured: false }
    : { path: `${tokenFolder}/${provider}-token`, configured: true };
}

/** What every pod of a target file is filled with; its tokens are those of the providers. */
export async function podValues(
  t: RequirementContext,
  { folder, run }: PodTarget,
  providers: Pick<ConfiguredProvider, 'audience' | 'tokenPath'>[],
): Promise<Values> {
  const { workloadImage } = await t.cluster();
  return {
    'target.folder': folder,
    'harness.image': workloadImage,
    'harness.tokenClient': await bundleWorkload(workloadOf(t)),
    'ca.file': `${run.configFolder}/${CA_FILE}`,
    'pod.serviceAccount': CLIENT_NAME,
    'tokens.sources': providers.map(
      tokenSource(run.tokenFolder, Math.max(LEAST_EXPIRATION_SECONDS, t.clock.clientLifetimeSeconds)),
    ),
  };
}

/** The ConfigMap with the files of some sets of providers, each in a folder of its name, and what a pod names it by. */
export function configurationOf(
  { run }: PodTarget,
  { namespace, name, ca }: { namespace: string; name: string; ca: string },
  sets: Record<string, Record<string, string>>,
): { configMap: object; values: Values } {
  const entries = Object.entries(sets).flatMap(([set, files]) =>
    Object.entries(files).map(([path, content]) => ({ key: keyOf(set, path), path: `${set}/${path}`, content })),
  );
  return {
    configMap: {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace, name },
      data: { [CA_FILE]: ca, ...Object.fromEntries(entries.map(({ key, content }) => [key, content])) },
    },
    values: {
      // What is called by HTTP is one process, which knows all its providers from the start.
      'config.folder': `${run.configFolder}/${EVERYTHING}`,
      'config.configMap': {
        name,
        items: [{ key: CA_FILE, path: CA_FILE }, ...entries.map(({ key, path }) => ({ key, path }))],
      },
    },
  };
}

/** Puts into a namespace what every pod of the target there needs: its ServiceAccount, and the probe's code. */
export async function prepareForPods(t: RequirementContext, namespace: string): Promise<void> {
  await createServiceAccount(t, namespace, CLIENT_NAME);
  await (await t.cluster()).create([await bundleConfigMap(namespace, 'token-probe')]);
}

/** Gives the images of a pod to the nodes, as far as this host has them. */
export async function provideImagesOf(t: RequirementContext, pod: V1Pod): Promise<void> {
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const images = new Set(containers.flatMap(({ image }) => (image === undefined ? [] : [image])));
  images.delete((await t.cluster()).workloadImage);
  for (const image of images) {
    await t.provideImage(image);
  }
}

/**
 * Lets the client in a pod make one call, as the target file says.
 *
 * @param call.set the set of providers whose configuration it is given, where the call starts it
 * @param onOutput is given what a command writes, as it comes, also when nobody waits for its end any more
 */
export async function callPod(
  cluster: ClusterHandle,
  { file, run }: PodTarget,
  pod: { namespace: string; name: string },
  { provider, set, values, patienceMs }: { provider: string; set: string; values: Values; patienceMs: number },
  onOutput: (written: string) => void = () => {},
): Promise<CallAnswer | undefined> {
  const { trigger, container, configFolder } = run;
  const where = `${file}: run.trigger`;
  const known = {
    ...values,
    ...callValues(provider, `${configFolder}/${trigger.kind === 'exec' ? set : EVERYTHING}`),
  };
  if (trigger.kind === 'http') {
    const { kind: _kind, port, ...request } = trigger;
    return callByRequest(requestsTo(cluster, pod, port), request, { values: known, where, patienceMs });
  }
  const running = cluster
    .exec(pod.namespace, pod.name, container, fill(trigger.command, known, where), onOutput)
    .then(({ exitCode, stdout, stderr }): CommandEnded => ({ exitCode, signal: null, output: `${stdout}\n${stderr}` }));
  const patience = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => patience.resolve(undefined), patienceMs);
  const ended = await Promise.race([running, patience.promise]).finally(() => clearTimeout(timer));
  return ended === undefined ? undefined : resultOf(ended, trigger.success);
}

/** A token client that is a pod of the target file. Everything in it goes with its namespace. */
export async function startPodClient(t: RequirementContext, target: TokenClientTarget): Promise<TargetClient> {
  if (!isPodTarget(target)) {
    throw new HarnessError(`${target.file} describes a process`);
  }
  const { run } = target;
  const { defaultTokenPath, tokenFolder, trigger } = run;
  if (defaultTokenPath !== undefined && !defaultTokenPath.startsWith(`${tokenFolder}/`)) {
    throw new UsageError(
      `${target.file}: run.defaultTokenPath ${defaultTokenPath} is not in run.tokenFolder ${tokenFolder}`,
    );
  }
  const [cluster, { name: namespace }, observer] = await Promise.all([t.cluster(), t.namespace(), deployObserver(t)]);
  const providers = await registerProviders(t, target, {
    serviceAccount: CLIENT_NAME,
    tokenPath: (name, index) => tokenPathOf(run, name, index),
    baseURL: (name) => observer.baseURL(name),
  });
  if (omitsClientId(target)) {
    for (const { name, clientId } of providers) {
      await observer.addClientId(name, clientId);
    }
  }
  const latePath = `${LATE_FOLDER}/token`;
  const values = await podValues(t, target, providers);
  const { simulated, configured } = configuredSimulated(
    target,
    plannedSetups(
      t,
      simulatedSetups({
        hosts: SIMULATED_HOSTS,
        port: observer.port,
        tokenPath: `${LATE_FOLDER}/simulated-token`,
        swappedPath: `${LATE_FOLDER}/swapped/token`,
      }),
    ),
    (name) => observer.baseURL(name),
  );
  const sets = new ConfigurationSets(target, providers, configured, latePath, values);
  const configuration = configurationOf(
    target,
    { namespace, name: CLIENT_NAME, ca: observer.ca },
    // One process is configured once.
    trigger.kind === 'http' ? { [EVERYTHING]: sets.files[EVERYTHING] ?? {} } : sets.files,
  );
  const known: Values = { ...values, ...configuration.values };
  const { pod, writableFolders } = watchedPod(target, known, {
    namespace,
    name: CLIENT_NAME,
    probeImage: cluster.workloadImage,
    hostAliases: observer.hostAliases,
    reach: observer.reach,
    files: [...providers.map(({ tokenPath }) => tokenPath), latePath],
  });
  await prepareForPods(t, namespace);
  await cluster.create([configuration.configMap]);
  await provideImagesOf(t, pod);
  await startInTurn(cluster, namespace, pod, () => cluster.podReady(namespace, CLIENT_NAME, run.startSeconds));

  const client: ClientPod = {
    namespace,
    name: CLIENT_NAME,
    container: run.container,
    probePort: POD_PROBE_PORT,
    writableFolders,
  };
  const { output, copy, pad, link, finish, ...driver } = podDriver(t, cluster, client, observer);
  const outputs: string[] = [];
  return {
    ...sessionSettings(target),
    ...driver,
    // What is started for each call has ended with it.
    ...(trigger.kind === 'exec' ? { startsForEachCall: true } : finish === undefined ? {} : { finish }),
    providers,
    simulated,
    latePath,
    call(provider, patienceMs) {
      const index = outputs.push('') - 1;
      const how = { provider, set: sets.setFor(provider), values: known, patienceMs };
      return callPod(cluster, target, client, how, (written) => {
        outputs[index] += written;
      });
    },
    async copy(from, to) {
      await copy(from, to);
      sets.copied(from, to);
    },
    async pad(from, to) {
      await pad(from, to);
      sets.copied(from, to);
    },
    async link(from, to) {
      await link(from, to);
      sets.copied(from, to);
    },
    async output() {
      const { text, ...log } = await output();
      return { ...log, text: [text, ...outputs].join('\n') };
    },
    stop: async () => undefined,
  };
}

/** The projection of a provider's token, as Kubernetes takes it. */
function tokenSource(
  folder: string,
  expirationSeconds: number,
): (provider: Pick<ConfiguredProvider, 'audience' | 'tokenPath'>) => object {
  return ({ audience, tokenPath }) => ({
    serviceAccountToken: { audience, expirationSeconds, path: tokenPath.slice(folder.length + 1) },
  });
}
