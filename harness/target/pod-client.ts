import type { V1Container, V1Pod, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import { deployObserver } from '../environment/resource-server/observer.ts';
import { PLAYED_HOSTS, playedSetups } from '../environment/resource-server/played-providers.ts';
import { bundleWorkload } from '../environment/workloads.ts';
import { createServiceAccount, startInTurn } from '../kubernetes/pods.ts';
import { bundleConfigMap, bundleVolume, workloadContainer } from '../kubernetes/workload-pod.ts';
import type { RequirementContext } from '../run/context.ts';
import { HarnessError, UsageError } from '../run/errors.ts';
import { callByRequest } from './client-request.ts';
import type { CallAnswer } from './client-session.ts';
import { fill, type Values } from './placeholders.ts';
import { type ClientPod, podDriver, requestsTo } from './pod-driver.ts';
import { type CommandEnded, resultOf } from './process-client-run.ts';
import type { Target } from './target-file.ts';
import { type ConfiguredProvider, callValues } from './token-client-target-config.ts';
import {
  ConfigurationSets,
  configuredPlayed,
  EVERYTHING,
  plannedSetups,
  registerProviders,
  sessionSettings,
  type TargetClient,
} from './token-client-target-session.ts';

type TokenClientTarget = Target<'token-client'>;
type PodRun = Extract<TokenClientTarget['run'], { form: 'pod' }>;

const NAME = 'token-client';
const CA_FILE = 'ca.crt';
const PROBE_PORT = 18_081;
const LATE_FOLDER = '/var/run/kube-agent-conformance/late';
const LATE_VOLUME = 'kube-agent-conformance-late';

/** Asked of Kubernetes, which grants no less; on the accelerated clock the tokens live shorter all the same. */
const EXPIRATION_SECONDS = 600;

/** A key of a ConfigMap has no folders. */
const keyOf = (set: string, path: string): string => `${set}.${path.replaceAll('/', '.')}`;

/** The container that is the client, of the pod as the target file has it. */
function clientContainer({ file, run }: { file: string; run: PodRun }, pod: V1Pod): V1Container {
  const found = pod.spec?.containers.find(({ name }) => name === run.container);
  if (found === undefined) throw new UsageError(`${file}: run.pod has no container "${run.container}"`);
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
  target: TokenClientTarget & { run: PodRun },
  values: Values,
  options: {
    namespace: string;
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
      port: PROBE_PORT,
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
  if (securityContext?.runAsUser !== undefined)
    probe.securityContext = { ...probe.securityContext, runAsUser: securityContext.runAsUser };
  const further: V1Volume[] = [bundleVolume('token-probe'), { name: LATE_VOLUME, emptyDir: {} }];
  return {
    writableFolders: writable,
    pod: {
      ...pod,
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...pod.metadata, namespace: options.namespace, name: NAME },
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

/** A token client that is a pod of the target file. Everything in it goes with its namespace. */
export async function startPodClient(t: RequirementContext, target: TokenClientTarget): Promise<TargetClient> {
  const { run } = target;
  if (run.form !== 'pod') throw new HarnessError(`${target.file} describes a process`);
  const { defaultTokenPath, tokenFolder, configFolder, trigger } = run;
  if (defaultTokenPath !== undefined && !defaultTokenPath.startsWith(`${tokenFolder}/`)) {
    throw new UsageError(
      `${target.file}: run.defaultTokenPath ${defaultTokenPath} is not in run.tokenFolder ${tokenFolder}`,
    );
  }
  const [cluster, { name: namespace }, observer] = await Promise.all([t.cluster(), t.namespace(), deployObserver(t)]);
  const providers = await registerProviders(t, target, {
    serviceAccount: NAME,
    tokenPath: (name, index) => tokenPathOf(run, name, index),
    baseURL: (name) => observer.baseURL(name),
  });
  const latePath = `${LATE_FOLDER}/token`;
  const values: Values = {
    'target.folder': target.folder,
    'harness.image': cluster.workloadImage,
    'harness.tokenClient': await bundleWorkload('token-client'),
    'ca.file': `${configFolder}/${CA_FILE}`,
    'pod.serviceAccount': NAME,
    'tokens.sources': providers.map(tokenSource(tokenFolder)),
  };
  const { played, configured } = configuredPlayed(
    target,
    plannedSetups(
      t,
      playedSetups({
        hosts: PLAYED_HOSTS,
        port: observer.port,
        tokenPath: `${LATE_FOLDER}/played-token`,
        swappedPath: `${LATE_FOLDER}/swapped/token`,
      }),
    ),
    (name) => observer.baseURL(name),
  );
  const sets = new ConfigurationSets(target, providers, configured, latePath, values);
  // One process is configured once.
  const written = trigger.kind === 'http' ? { [EVERYTHING]: sets.files[EVERYTHING] ?? {} } : sets.files;
  const entries = Object.entries(written).flatMap(([set, files]) =>
    Object.entries(files).map(([path, content]) => ({ key: keyOf(set, path), path: `${set}/${path}`, content })),
  );
  const known: Values = {
    ...values,
    // What is called by HTTP is one process, which knows all its providers from the start.
    'config.folder': `${configFolder}/${EVERYTHING}`,
    'config.configMap': {
      name: NAME,
      items: [{ key: CA_FILE, path: CA_FILE }, ...entries.map(({ key, path }) => ({ key, path }))],
    },
  };
  const { pod, writableFolders } = watchedPod({ ...target, run }, known, {
    namespace,
    probeImage: cluster.workloadImage,
    hostAliases: observer.hostAliases,
    reach: observer.reach,
    files: [...providers.map(({ tokenPath }) => tokenPath), latePath],
  });
  await createServiceAccount(t, namespace, NAME);
  await cluster.create([
    await bundleConfigMap(namespace, 'token-probe'),
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace, name: NAME },
      data: { [CA_FILE]: observer.ca, ...Object.fromEntries(entries.map(({ key, content }) => [key, content])) },
    } as object,
  ]);
  const images = new Set((pod.spec?.containers ?? []).flatMap(({ image }) => (image === undefined ? [] : [image])));
  images.delete(cluster.workloadImage);
  for (const image of images) await t.provideImage(image);
  await startInTurn(cluster, namespace, pod, () => cluster.podReady(namespace, NAME, run.startSeconds));

  const client: ClientPod = { namespace, name: NAME, container: run.container, probePort: PROBE_PORT, writableFolders };
  const { output, copy, link, ...driver } = podDriver(t, cluster, client, observer);
  const outputs: string[] = [];
  const exec = async (command: string[], patienceMs: number): Promise<CommandEnded | undefined> => {
    const running = cluster.exec(namespace, NAME, run.container, command).then(({ exitCode, stdout, stderr }) => {
      outputs.push(stdout, stderr);
      return { exitCode, signal: null, output: `${stdout}\n${stderr}` };
    });
    const patience = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => patience.resolve(undefined), patienceMs);
    return Promise.race([running, patience.promise]).finally(() => clearTimeout(timer));
  };
  return {
    ...sessionSettings(target),
    ...driver,
    ...(trigger.kind === 'exec' ? { startsForEachCall: true } : {}),
    providers,
    played,
    latePath,
    async call(name, patienceMs): Promise<CallAnswer | undefined> {
      const set = trigger.kind === 'exec' ? sets.setFor(name) : EVERYTHING;
      const where = `${target.file}: run.trigger`;
      const forThis = { ...known, ...callValues(name, `${configFolder}/${set}`) };
      if (trigger.kind === 'http') {
        const { kind: _kind, port, ...request } = trigger;
        return callByRequest(requestsTo(cluster, client, port), request, { values: forThis, where, patienceMs });
      }
      const ended = await exec(fill(trigger.command, forThis, where), patienceMs);
      return ended === undefined ? undefined : resultOf(ended, trigger.success);
    },
    async copy(from, to) {
      await copy(from, to);
      sets.copied(from, to);
    },
    async link(from, to) {
      await link(from, to);
      sets.copied(from, to);
    },
    output: async () => [await output(), ...outputs].join('\n'),
    stop: async () => undefined,
  };
}

/** The projection of a provider's token, as Kubernetes takes it. */
function tokenSource(folder: string): (provider: ConfiguredProvider) => object {
  return ({ audience, tokenPath }) => ({
    serviceAccountToken: { audience, expirationSeconds: EXPIRATION_SECONDS, path: tokenPath.slice(folder.length + 1) },
  });
}
