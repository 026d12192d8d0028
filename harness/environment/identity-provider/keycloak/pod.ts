import { randomBytes } from 'node:crypto';
import type { V1Pod } from '@kubernetes/client-node';
import {
  KEYS,
  type ProviderRelayConfig,
  SERVE,
  TROUBLE,
} from '../../../../fixtures/workloads/provider-relay/config.ts';
import { HarnessError, NotApplicable } from '../../../core/errors.ts';
import { HOSTS, IDENTITY_PROVIDER_PORT } from '../../../core/names.ts';
import { redact } from '../../../core/redact.ts';
import { limitSeconds } from '../../../core/time-limits.ts';
import { type ClusterHandle, createClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import { readLog } from '../../../kubernetes/logs.ts';
import { RESTRICTED_CONTAINER } from '../../../probes/pods.ts';
import { bundleConfigMap, workloadPod } from '../../../probes/workload-pod.ts';
import { liveImage } from '../../images/live-images.ts';
import type { IdentityProviderContext } from '../context.ts';
import { Relays } from '../embedded/relays.ts';
import {
  askControl,
  CLUSTER_FOLDER,
  CLUSTER_VOLUME,
  CONFIG_FOLDER,
  deploy,
  forwardPorts,
  KEYS_URL,
  objectsAround,
} from '../pod-objects.ts';
import { ADMINISTRATOR, administer, logInAdministrator } from './administer.ts';
import type { KeycloakServer } from './servers.ts';
import { ADMIN_PORT, configurationFiles, type KeycloakServerOptions, startArguments } from './start-arguments.ts';

/** Of the pod, and of Keycloak's container in it. */
const NAME = 'keycloak';
const RELAY = 'provider-relay';
const RELAY_PORTS: ProviderRelayConfig['ports'] = { health: 8082, keys: 8083, control: 8081 };
const LOG_LINES = 25;
const STILL_READY_SECONDS = 30;

/** The image of the harness is built already, and starts quickly; that of Keycloak's project builds itself first. */
const START = `if [ -x /opt/conformance/start ]; then exec /opt/conformance/start start --optimized "$@"; fi
exec /opt/keycloak/bin/kc.sh start --db=dev-file "$@"`;

/** Its heap has 512 MiB at most, and beside it there are classes, threads and buffers. */
const RESOURCES = { requests: { cpu: '250m', memory: '640Mi' }, limits: { memory: '1Gi' } };

const PROBE_SECONDS = 2;

/** From the pod's creation on: its image may have to be pulled. */
const startSeconds = (): number => limitSeconds('podStart') + limitSeconds('keycloakPodStart');

export interface KeycloakPodOptions {
  namespace: string;
  /** Of Keycloak. */
  image: string;
  /** A stock Node, for the container beside it. */
  nodeImage: string;
  /** Arguments of `kc.sh start`. */
  startWith: string[];
  serviceAccount?: string;
}

/**
 * Keycloak, and beside it what gives it the keys of the cluster and leads it to the harness's host. Its database is in
 * the pod, with an administrator whose password nobody else has: everybody in the cluster reaches its admin API.
 */
export function keycloakPod(options: KeycloakPodOptions): V1Pod {
  const { namespace, image, nodeImage, startWith, serviceAccount = NAME } = options;
  const pod = workloadPod({
    namespace,
    name: NAME,
    image: nodeImage,
    serviceAccount,
    containers: [
      {
        name: RELAY,
        workload: RELAY,
        port: RELAY_PORTS.health,
        env: {
          PROVIDER_RELAY_CONFIG: `${CONFIG_FOLDER}/relay.json`,
          NODE_EXTRA_CA_CERTS: `${CLUSTER_FOLDER}/ca.crt`,
        },
        volumeMounts: [
          { name: 'relay', mountPath: CONFIG_FOLDER, readOnly: true },
          { name: 'cluster', mountPath: CLUSTER_FOLDER, readOnly: true },
        ],
      },
    ],
    volumes: [
      { name: 'relay', secret: { secretName: NAME, items: [{ key: 'relay.json', path: 'relay.json' }] } },
      { name: 'config', secret: { secretName: NAME } },
      { name: 'data', emptyDir: {} },
      { name: 'tmp', emptyDir: {} },
      CLUSTER_VOLUME,
    ],
  });
  const secret = (key: string): object => ({ secretKeyRef: { name: NAME, key } });
  pod.spec?.containers.push({
    name: NAME,
    image,
    imagePullPolicy: 'IfNotPresent',
    command: ['/bin/sh', '-c', START, NAME],
    args: startWith,
    env: [
      { name: 'KC_BOOTSTRAP_ADMIN_USERNAME', value: ADMINISTRATOR },
      { name: 'KC_BOOTSTRAP_ADMIN_PASSWORD', valueFrom: secret('password') },
      { name: 'JAVA_OPTS_KC_HEAP', value: '-Xms64m -Xmx512m' },
    ],
    ports: [{ containerPort: IDENTITY_PROVIDER_PORT }],
    startupProbe: {
      httpGet: { path: '/realms/master', port: IDENTITY_PROVIDER_PORT, scheme: 'HTTPS' },
      periodSeconds: PROBE_SECONDS,
      timeoutSeconds: 5,
      // Whether it takes too long is for the harness to say: started anew, it would take longer.
      failureThreshold: Math.ceil(startSeconds() / PROBE_SECONDS) + 1,
    },
    readinessProbe: { tcpSocket: { port: IDENTITY_PROVIDER_PORT }, periodSeconds: 30 },
    resources: RESOURCES,
    // The image of Keycloak's project builds itself at its start.
    securityContext: { ...RESTRICTED_CONTAINER, readOnlyRootFilesystem: false },
    volumeMounts: [
      { name: 'config', mountPath: CONFIG_FOLDER, readOnly: true },
      { name: 'data', mountPath: '/opt/keycloak/data' },
      { name: 'tmp', mountPath: '/tmp' },
    ],
  });
  return pod;
}

/**
 * Starts Keycloak as a pod of a live cluster, with a certificate of the run's CA. Pods find it by its Service; the
 * harness reaches it by a port-forward.
 *
 * @throws HarnessError where the cluster does not let it run, with the last lines of its log where they may be read
 */
export async function startKeycloakPod(
  context: IdentityProviderContext,
  pods: NonNullable<IdentityProviderContext['pods']>,
  options: KeycloakServerOptions,
): Promise<KeycloakServer> {
  const image = liveImage('keycloak');
  if (options.image !== 'keycloak' || image === undefined) {
    throw new NotApplicable(`inside a live cluster the harness runs the image keycloak alone, and no ${options.image}`);
  }
  const [data, namespace, { cert, key }] = await Promise.all([
    pods.cluster(),
    pods.namespace(),
    context.pki.issue(HOSTS.keycloak),
  ]);
  context.onProgress(`starts Keycloak (${image}) as the pod ${namespace}/${NAME}`);
  const cluster = createClusterHandle(data);
  const password = randomBytes(24).toString('base64url');
  const relay: ProviderRelayConfig = {
    ports: RELAY_PORTS,
    keysUrl: KEYS_URL,
    tokenFile: `${CLUSTER_FOLDER}/token`,
  };
  const files = {
    ...configurationFiles({ cert, key, ca: context.pki.ca }, options),
    'relay.json': JSON.stringify(relay),
    password,
  };
  const objects = [...objectsAround({ namespace, name: NAME }, files), await bundleConfigMap(namespace, RELAY)];
  const startWith = startArguments(CONFIG_FOLDER, options);
  const pod = keycloakPod({ namespace, image, nodeImage: data.workloadImage, startWith });
  await deploy(cluster, { objects, pod, labels: pods.lasting }, startSeconds()).catch(async (cause: unknown) => {
    throw new HarnessError(`Keycloak did not come up; its last lines:\n${await lastLines(cluster, namespace)}`, {
      cause,
    });
  });
  const forwarded = await forwardPorts(
    data.kubeConfig,
    { namespace, pod: NAME },
    { https: IDENTITY_PROVIDER_PORT, admin: ADMIN_PORT, control: RELAY_PORTS.control },
  );
  const { https, admin: adminPort, control } = forwarded;
  const relays = new Relays(control);
  const stop = async (): Promise<void> => {
    // Its objects go with the namespace, or by their label.
    relays.close();
    await Promise.all(Object.values(forwarded).map((port) => port.close()));
  };
  try {
    context.onProgress('sets Keycloak up');
    const admin = await logInAdministrator(`http://${adminPort.host}:${adminPort.port}`, password);
    const { systemInfo } = await administer('server info', admin.serverInfo.find());
    return {
      admin,
      version: async () => systemInfo?.version ?? 'unknown',
      upstream: { address: `${NAME}.${namespace}.svc`, port: IDENTITY_PROVIDER_PORT },
      route: { host: https.host, port: https.port },
      keysUrl: `http://127.0.0.1:${RELAY_PORTS.keys}${KEYS}`,
      async reach(url) {
        await askControl(control, 'POST', `${SERVE}?${new URLSearchParams({ host: new URL(url).host })}`);
        relays.serve(url);
      },
      async assertAlive() {
        await assertNotRestarted(cluster, namespace);
        if (relays.trouble !== undefined) {
          throw new HarnessError(relays.trouble);
        }
        const { trouble } = (await askControl(control, 'GET', TROUBLE)) as { trouble?: string };
        if (trouble !== undefined) {
          throw new HarnessError(`the identity provider of the harness (pod ${namespace}/${NAME}): ${trouble}`);
        }
      },
      stop,
    };
  } catch (cause) {
    await stop();
    throw new HarnessError(
      `Keycloak came up and could not be set up (${adminPort.trouble ?? 'it was reached'}); its last lines:\n${await lastLines(cluster, namespace)}`,
      { cause },
    );
  }
}

/** @throws HarnessError where a container was restarted, or the pod is not Ready */
async function assertNotRestarted(cluster: ClusterHandle, namespace: string): Promise<void> {
  const { status } = await cluster.podReady(namespace, NAME, STILL_READY_SECONDS).catch((cause: unknown) => {
    throw new HarnessError(`the identity provider of the harness (pod ${namespace}/${NAME}) is gone`, { cause });
  });
  const restarted = status?.containerStatuses?.find(({ restartCount }) => restartCount > 0);
  if (restarted !== undefined) {
    const { lastState, name } = restarted;
    throw new HarnessError(
      `the container ${name} of the identity provider of the harness (pod ${namespace}/${NAME}) was restarted: ${lastState?.terminated?.reason ?? 'no reason is given'}, exit code ${lastState?.terminated?.exitCode}`,
    );
  }
}

/** The end of its log, or why it cannot be had. */
async function lastLines(cluster: ClusterHandle, namespace: string): Promise<string> {
  const { status, body } = await readLog(cluster, namespace, NAME, { container: NAME, tailLines: LOG_LINES });
  return status === 200 ? redact(body.toString().trimEnd()) : `(GET pods/log was answered with ${status})`;
}
