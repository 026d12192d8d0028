import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { KubeConfig } from '@kubernetes/client-node';
import {
  type AdditionalTrust,
  type IdentityProviderConfig,
  type IdentityProviderState,
  REGISTER,
  STATE,
  TRUST,
} from '../../../../fixtures/workloads/identity-provider/config.ts';
import { describeError, HarnessError } from '../../../core/errors.ts';
import { HOSTS, IDENTITY_PROVIDER_PORT } from '../../../core/names.ts';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import { createClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import { type ForwardedPort, forwardPort } from '../../../kubernetes/port-forward.ts';
import { refusedToHarness } from '../../../kubernetes/refused-objects.ts';
import type { StartedIdentityProvider } from '../../../oauth/provider.ts';
import { START_SECONDS } from '../../../probes/pods.ts';
import { bundleConfigMap, workloadPod } from '../../../probes/workload-pod.ts';
import { DEFAULT_ACCESS_TOKEN_LIFETIME_SECONDS, DEFAULT_PROVIDERS, type IdentityProviderContext } from '../context.ts';
import { describeEmbedded } from './description.ts';
import { Relays } from './relays.ts';

const NAME = 'identity-provider';
const PORTS = { https: IDENTITY_PROVIDER_PORT, health: 8080, control: 8081 };
const CONFIG_FOLDER = '/etc/conformance';
const CLUSTER_FOLDER = '/var/run/conformance/cluster';

/** Of the token that is shown to the API server; the kubelet replaces it in time. */
const TOKEN_SECONDS = 3600;
const ANSWER_MS = 30_000;

/** Where pods find the API server, by the names in its certificate (Kubernetes, "Accessing the API from a Pod"). */
const KEYS_URL = 'https://kubernetes.default.svc/openid/v1/jwks';

type Pods = NonNullable<IdentityProviderContext['pods']>;

function objectsOf(
  config: IdentityProviderConfig,
  { cert, key, bundle, namespace }: { cert: string; key: string; bundle: object; namespace: string },
): object[] {
  const metadata = { namespace, name: NAME };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata, automountServiceAccountToken: false },
    bundle,
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata,
      stringData: { 'config.json': JSON.stringify(config), 'tls.crt': cert, 'tls.key': key },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: {
        selector: { app: NAME },
        ports: [{ name: 'https', port: IDENTITY_PROVIDER_PORT, targetPort: PORTS.https }],
      },
    },
  ];
}

function podOf(namespace: string, image: string): object {
  return workloadPod({
    namespace,
    name: NAME,
    image,
    serviceAccount: NAME,
    containers: [
      {
        name: NAME,
        workload: NAME,
        port: PORTS.health,
        env: {
          IDENTITY_PROVIDER_CONFIG: `${CONFIG_FOLDER}/config.json`,
          NODE_EXTRA_CA_CERTS: `${CLUSTER_FOLDER}/ca.crt`,
        },
        volumeMounts: [
          { name: 'config', mountPath: CONFIG_FOLDER, readOnly: true },
          { name: 'cluster', mountPath: CLUSTER_FOLDER, readOnly: true },
        ],
      },
    ],
    volumes: [
      { name: 'config', secret: { secretName: NAME } },
      {
        name: 'cluster',
        projected: {
          sources: [
            { serviceAccountToken: { path: 'token', expirationSeconds: TOKEN_SECONDS } },
            { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
          ],
        },
      },
    ],
  });
}

/** Makes the objects of the provider's pod, and waits until it is Ready. @throws HarnessError when it is not in time */
async function deploy(cluster: ClusterHandle, objects: object[], labels: Record<string, string>): Promise<void> {
  for (const object of objects) {
    const { metadata, ...rest } = object as { kind: string; metadata: { labels?: Record<string, string> } };
    const labelled = { ...rest, metadata: { ...metadata, labels: { ...metadata.labels, ...labels } } };
    await cluster.create([labelled]).catch((error: unknown) => {
      throw refusedToHarness(`the ${rest.kind} of the identity provider`, error);
    });
  }
}

/**
 * Starts the embedded identity provider as a pod of a live cluster, with a certificate of the run's CA. It has the
 * cluster's keys from the API server, by the token of its own ServiceAccount. Pods find it by its Service; the harness
 * reaches it by a port-forward, by which it reaches the additional issuers that this host serves in turn.
 *
 * @throws HarnessError where the cluster does not let it run
 */
export async function startEmbeddedPod(
  context: IdentityProviderContext,
  pods: Pods,
  { opaqueAccessTokens = false }: { opaqueAccessTokens?: boolean } = {},
): Promise<StartedIdentityProvider> {
  const secret = opaqueAccessTokens ? randomBytes(24).toString('base64url') : undefined;
  const lifetime = context.accessTokenLifetimeSeconds ?? DEFAULT_ACCESS_TOKEN_LIFETIME_SECONDS;
  const providers = (context.providers ?? DEFAULT_PROVIDERS).map((name) => describeEmbedded(name, lifetime, secret));
  const [data, namespace, { cert, key }] = await Promise.all([
    pods.cluster(),
    pods.namespace(),
    context.pki.issue(HOSTS.embedded),
  ]);
  const { issuer, algorithms } = context.trust;
  const config: IdentityProviderConfig = {
    ports: PORTS,
    tls: { certificateFile: `${CONFIG_FOLDER}/tls.crt`, keyFile: `${CONFIG_FOLDER}/tls.key` },
    ca: context.pki.ca,
    cluster: {
      issuer,
      keysUrl: KEYS_URL,
      tokenFile: `${CLUSTER_FOLDER}/token`,
      ...(algorithms === undefined ? {} : { algorithms }),
    },
    providers,
  };
  const cluster = createClusterHandle(data);
  const bundle = await bundleConfigMap(namespace, NAME);
  await deploy(
    cluster,
    [...objectsOf(config, { cert, key, bundle, namespace }), podOf(namespace, data.workloadImage)],
    pods.lasting,
  );
  await cluster.podReady(namespace, NAME, START_SECONDS).catch((error: unknown) => {
    throw new HarnessError('the identity provider of the harness does not get ready', { cause: error });
  });
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromString(data.kubeConfig);
  const [https, control] = await Promise.all(
    [PORTS.https, PORTS.control].map((port) => forwardPort(kubeConfig, { namespace, pod: NAME, port })),
  );
  if (https === undefined || control === undefined) {
    throw new HarnessError('two ports were to be forwarded');
  }
  context.resolver.add(`${HOSTS.embedded}:${IDENTITY_PROVIDER_PORT}`, { host: https.host, port: https.port });
  const { version } = createRequire(import.meta.url)('oidc-provider/package.json') as { version: string };
  const state = async (): Promise<IdentityProviderState> => (await ask(control, 'GET', STATE)) as IdentityProviderState;
  const { instance } = await state();
  const relays = new Relays(control);
  let additional = 0;

  return {
    description: {
      kind: 'embedded',
      version: `oidc-provider ${version}`,
      providers,
      keySources: ['key-url', 'static-keys'],
      host: HOSTS.embedded,
      port: IDENTITY_PROVIDER_PORT,
      upstream: { address: `${NAME}.${namespace}.svc`, port: IDENTITY_PROVIDER_PORT },
    },
    async register(provider, workload) {
      const query = new URLSearchParams({
        provider,
        namespace: workload.namespace,
        'service-account': workload.serviceAccount,
      });
      return (await ask(control, 'POST', `${REGISTER}?${query}`)) as { clientId: string };
    },
    async trusting({ issuer: url, algorithms: allowed, keys }) {
      additional += 1;
      const description = describeEmbedded(`additional-issuer-${additional}`, lifetime, secret);
      const trust = { issuer: url, algorithms: allowed, ...(keys === undefined ? {} : { keys }) };
      await ask(control, 'POST', TRUST, { provider: description, trust } satisfies AdditionalTrust);
      relays.serve(url);
      if (keys !== undefined && 'url' in keys) {
        relays.serve(keys.url);
      }
      return description;
    },
    requests: async () => ({ counts: (await state()).requests, countedBy: 'the server itself' }),
    async assertAlive() {
      if ((await state()).instance !== instance) {
        throw new HarnessError(
          `the identity provider of the harness (pod ${namespace}/${NAME}) was restarted, and has forgotten its clients`,
        );
      }
      if (relays.trouble !== undefined) {
        throw new HarnessError(relays.trouble);
      }
    },
    async stop() {
      // Its objects go with the namespace, or by their label.
      relays.close();
      await Promise.all([https.close(), control.close()]);
    },
  };
}

/** One request to its control port. @throws HarnessError that says what became of it */
async function ask(control: ForwardedPort, method: 'GET' | 'POST', path: string, body?: unknown): Promise<unknown> {
  const what = `${method} ${path} of the identity provider of the harness`;
  let response: Response;
  try {
    response = await fetch(`http://${control.host}:${control.port}${path}`, {
      method,
      headers: { connection: 'close' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
  } catch (error) {
    throw new HarnessError(`${what}: ${control.trouble ?? describeError(error)}`, { cause: error });
  }
  if (!response.ok) {
    throw new HarnessError(`${what} was answered with ${response.status}: ${await response.text()}`);
  }
  return response.json();
}
