import type { Stall } from '../../fixtures/workloads/lib/heartbeat.ts';
import type { ObserverConfig } from '../../fixtures/workloads/observer/config.ts';
import type { ObserverRecord } from '../../fixtures/workloads/observer/records.ts';
import type { Act } from '../../fixtures/workloads/observer/simulated.ts';
import { HarnessError } from '../core/errors.ts';
import { makePki } from '../core/pki.ts';
import { SIMULATED_HOSTS, simulatedProviders } from '../fakes/simulated-providers.ts';
import type { ClusterHandle } from '../kubernetes/cluster-handle.ts';
import type { RequirementContext, TestNamespace } from '../rpc/context.ts';
import { clockAheadMs } from './clock-difference.ts';
import { bundleConfigMap, startWorkloadPod } from './workload-pod.ts';

/** By this name pods know the resource servers: `https://models.conformance.test:PORT/PROVIDER/v1`. */
export const RESOURCE_SERVER_HOST = 'models.conformance.test';

/** The hosts that it simulates with a certificate of the run. */
const SIMULATED = [SIMULATED_HOSTS.simulated, SIMULATED_HOSTS.tenants, SIMULATED_HOSTS.elsewhere];

const HTTPS_PORT = 8443;
const HTTP_PORT = 8080;
const NAME = 'observer';

/** An observer in the test's namespace: resource servers, and a recorder in front of the identity provider. */
export interface Observer {
  /** Lets a pod reach the provider and the resource servers by their names, through the observer. */
  hostAliases: { ip: string; hostnames: string[] }[];
  /** Host and port at which a pod that uses {@link hostAliases} finds both. */
  reach: string;
  /** CA certificate(s) that a pod has to trust for both, PEM. */
  ca: string;
  /** Base of the OpenAI-compatible interface that takes the access tokens of a provider. */
  baseURL(provider: string): string;
  /** Everything that was recorded so far, in order. */
  records(): Promise<ObserverRecord[]>;
  /** Milliseconds by which its clock is ahead of the harness's; 0 where the two cannot be distinguished. */
  clockAheadMs(): Promise<number>;
  /** When its pod stalled. */
  stalls(): Promise<Stall[]>;
  /**
   * Lets the recorder refuse the next token request to a provider, and repeat the request in the error's description.
   */
  refuseNext(provider: string): Promise<void>;
  /** Port at which the issuers of the simulated providers are, as well as {@link SIMULATED_HOSTS}. */
  port: number;
  /** Sets how a simulated provider behaves from now on. */
  act(provider: string, act: Act, lifeSeconds?: number): Promise<void>;
  /** Adds a client id to the token requests to a provider that name none, on their way there. */
  addClientId(provider: string, clientId: string): Promise<void>;
}

/**
 * Deploys the observer into a namespace (the test's own by default); once per file and subject. Rejects when it does
 * not become ready.
 */
export async function deployObserver(t: RequirementContext, where?: TestNamespace): Promise<Observer> {
  const { observer, ready } = await placeObserver(t, where);
  await ready;
  return observer;
}

/**
 * The same for pods that are not in need of the observer before they are called: they can start beside its own.
 *
 * @returns the observer, whose address is known, and what settles once it listens
 */
export async function placeObserver(
  t: RequirementContext,
  where?: TestNamespace,
): Promise<{ observer: Observer; ready: Promise<void> }> {
  const { name: namespace } = where ?? (await t.namespace());
  return t.shared(`observer in ${namespace}`, async () => {
    const [cluster, identityProvider] = await Promise.all([t.cluster(), t.identityProvider()]);
    const certificate = await t.certificate(identityProvider.host, { names: [RESOURCE_SERVER_HOST, ...SIMULATED] });
    await cluster.create(await observerObjects(namespace, identityProvider, certificate));
    const ready = startWorkloadPod(cluster, observerPod(namespace, cluster.workloadImage)).then(
      () => undefined,
      (error: unknown) => {
        throw new HarnessError('the observer does not get ready', { cause: error });
      },
    );
    // Whoever needs it awaits it; until then nobody else looks at it.
    ready.catch(() => undefined);
    const ip = await clusterIp(cluster, namespace);
    return { observer: observerAt(cluster, namespace, ip, identityProvider), ready };
  });
}

type IdentityProvider = Awaited<ReturnType<RequirementContext['identityProvider']>>;

/** Where the pod has its certificates. */
const TLS_FOLDER = '/etc/tls';

function observerConfig({ host, port, upstream, providers }: IdentityProvider): ObserverConfig {
  return {
    ports: { https: HTTPS_PORT, http: HTTP_PORT },
    tls: {
      certificateFile: `${TLS_FOLDER}/tls.crt`,
      keyFile: `${TLS_FOLDER}/tls.key`,
      caFile: `${TLS_FOLDER}/ca.crt`,
    },
    identityProvider: { host, port, upstream },
    providers: providers.map(({ name, issuer, tokenEndpoint, accessTokenAudience }) => ({
      name,
      issuer,
      tokenEndpoint,
      accessTokenAudience,
    })),
    simulated: {
      providers: simulatedProviders({ hosts: SIMULATED_HOSTS, port }),
      elsewhere: SIMULATED_HOSTS.elsewhere,
      untrusted: {
        host: SIMULATED_HOSTS.untrusted,
        certificateFile: `${TLS_FOLDER}/untrusted.crt`,
        keyFile: `${TLS_FOLDER}/untrusted.key`,
      },
    },
  };
}

/** Everything but its pod. */
async function observerObjects(
  namespace: string,
  identityProvider: IdentityProvider,
  { cert, key }: { cert: string; key: string },
): Promise<object[]> {
  // Of a CA that is made for it and then forgotten: nobody trusts it.
  const untrusted = await (await makePki('untrusted')).issue(SIMULATED_HOSTS.untrusted);
  const metadata = { namespace, name: NAME };
  const config = JSON.stringify(observerConfig(identityProvider));
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    await bundleConfigMap(namespace, 'observer'),
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'config.json': config } },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata,
      type: 'kubernetes.io/tls',
      stringData: {
        'tls.crt': cert,
        'tls.key': key,
        'ca.crt': identityProvider.ca,
        'untrusted.crt': untrusted.cert,
        'untrusted.key': untrusted.key,
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: {
        selector: { app: NAME },
        ports: [{ name: 'https', port: identityProvider.port, targetPort: HTTPS_PORT }],
      },
    },
  ];
}

function observerPod(namespace: string, image: string): Parameters<typeof startWorkloadPod>[1] {
  return {
    namespace,
    name: NAME,
    image,
    serviceAccount: NAME,
    containers: [
      {
        name: NAME,
        workload: 'observer',
        port: HTTP_PORT,
        env: { OBSERVER_CONFIG: '/etc/conformance/config.json' },
        volumeMounts: [
          { name: 'config', mountPath: '/etc/conformance', readOnly: true },
          { name: 'tls', mountPath: TLS_FOLDER, readOnly: true },
        ],
      },
    ],
    volumes: [
      { name: 'config', configMap: { name: NAME } },
      { name: 'tls', secret: { secretName: NAME } },
    ],
  };
}

async function clusterIp(cluster: ClusterHandle, namespace: string): Promise<string> {
  const service = await cluster.core.readNamespacedService({ namespace, name: NAME });
  const ip = service.spec?.clusterIP;
  if (ip === undefined || ip === 'None') {
    throw new HarnessError(`the Service ${namespace}/${NAME} was given no cluster IP`);
  }
  return ip;
}

function observerAt(
  cluster: ClusterHandle,
  namespace: string,
  ip: string,
  { host, port, ca }: IdentityProvider,
): Observer {
  const ask = async <T>(path: string, init?: { method: string }): Promise<T> => {
    const response = await cluster.podFetch(namespace, NAME, HTTP_PORT, path, init);
    if (!response.ok) {
      throw new HarnessError(`the observer ${namespace}/${NAME} answers ${response.status}: ${await response.text()}`);
    }
    return (await response.json()) as T;
  };
  const post = async (path: string): Promise<void> => {
    await ask(path, { method: 'POST' });
  };
  return {
    hostAliases: [{ ip, hostnames: [host, RESOURCE_SERVER_HOST, ...Object.values(SIMULATED_HOSTS)] }],
    reach: `${ip}:${port}`,
    ca,
    baseURL: (provider) => `https://${RESOURCE_SERVER_HOST}:${port}/${provider}/v1`,
    records: async () => (await ask<{ records: ObserverRecord[] }>('/records')).records,
    clockAheadMs: () => clockAheadMs(async () => Date.parse((await ask<{ now: string }>('/healthz')).now)),
    stalls: async () => (await ask<{ stalls: Stall[] }>('/stalls')).stalls,
    refuseNext: (provider) => post(`/refuse?provider=${encodeURIComponent(provider)}`),
    port,
    addClientId: (provider, clientId) =>
      post(`/client?provider=${encodeURIComponent(provider)}&client_id=${encodeURIComponent(clientId)}`),
    act: (provider, act, lifeSeconds) =>
      post(
        `/act?provider=${encodeURIComponent(provider)}&act=${act}${lifeSeconds === undefined ? '' : `&life=${lifeSeconds}`}`,
      ),
  };
}
