import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import type { V1Pod } from '@kubernetes/client-node';
import {
  type AdditionalTrust,
  type IdentityProviderConfig,
  type IdentityProviderState,
  REGISTER,
  STATE,
  TRUST,
} from '../../../../fixtures/workloads/identity-provider/config.ts';
import { HarnessError } from '../../../core/errors.ts';
import { HOSTS, IDENTITY_PROVIDER_PORT } from '../../../core/names.ts';
import { createClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import type { StartedIdentityProvider } from '../../../oauth/provider.ts';
import { START_SECONDS } from '../../../probes/pods.ts';
import { bundleConfigMap, workloadPod } from '../../../probes/workload-pod.ts';
import { DEFAULT_ACCESS_TOKEN_LIFETIME_SECONDS, DEFAULT_PROVIDERS, type IdentityProviderContext } from '../context.ts';
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
import { describeEmbedded } from './description.ts';
import { Relays } from './relays.ts';

const NAME = 'identity-provider';
const PORTS = { https: IDENTITY_PROVIDER_PORT, health: 8080, control: 8081 };

type Pods = NonNullable<IdentityProviderContext['pods']>;

function podOf(namespace: string, image: string): V1Pod {
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
    volumes: [{ name: 'config', secret: { secretName: NAME } }, CLUSTER_VOLUME],
  });
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
  const files = { 'config.json': JSON.stringify(config), 'tls.crt': cert, 'tls.key': key };
  await deploy(
    cluster,
    {
      objects: [...objectsAround({ namespace, name: NAME }, files), bundle],
      pod: podOf(namespace, data.workloadImage),
      labels: pods.lasting,
    },
    START_SECONDS,
  );
  const { https, control } = await forwardPorts(
    data.kubeConfig,
    { namespace, pod: NAME },
    { https: PORTS.https, control: PORTS.control },
  );
  context.resolver.add(`${HOSTS.embedded}:${IDENTITY_PROVIDER_PORT}`, { host: https.host, port: https.port });
  const { version } = createRequire(import.meta.url)('oidc-provider/package.json') as { version: string };
  const state = async (): Promise<IdentityProviderState> =>
    (await askControl(control, 'GET', STATE)) as IdentityProviderState;
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
      return (await askControl(control, 'POST', `${REGISTER}?${query}`)) as { clientId: string };
    },
    async trusting({ issuer: url, algorithms: allowed, keys }) {
      additional += 1;
      const description = describeEmbedded(`additional-issuer-${additional}`, lifetime, secret);
      const trust = { issuer: url, algorithms: allowed, ...(keys === undefined ? {} : { keys }) };
      await askControl(control, 'POST', TRUST, { provider: description, trust } satisfies AdditionalTrust);
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
