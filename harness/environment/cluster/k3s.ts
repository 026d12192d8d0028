import { randomBytes } from 'node:crypto';
import { basename, dirname } from 'node:path';
import { K3sContainer, type StartedK3sContainer } from '@testcontainers/k3s';
import { GenericContainer, type StartedTestContainer, Wait } from 'testcontainers';
import { parse, stringify } from 'yaml';
import { bundleWorkload } from '../../core/bundle.ts';
import { HarnessError } from '../../core/errors.ts';
import { API_SERVER_PORT, HOSTS, RUN_LABEL } from '../../core/names.ts';
import type { RunPki } from '../../core/pki.ts';
import { redact } from '../../core/redact.ts';
import type { Resolver } from '../../core/resolver.ts';
import type { ClusterData } from '../../kubernetes/cluster-data.ts';
import type { ClockSettings } from '../../rpc/protocol.ts';
import { AUDIT_LOG } from './audit-log.ts';
import type { StartedCluster } from './cluster.ts';
import { ADMISSION_POLICY_ARGUMENTS } from './faults/admission-policies.ts';
import { startAgent } from './k3s-agent.ts';
import { discoverCluster, openIssuerDiscovery, waitUntilNodeReady, waitUntilUsable } from './readiness.ts';

const NODE_NAME = 'node-0';
const CONFORMANCE_FOLDER = '/etc/conformance';
const K3S_TLS_FOLDER = '/var/lib/rancher/k3s/server/tls';
/** k3s imports the image archives that it finds here at its start (https://docs.k3s.io/installation/airgap). */
const K3S_IMAGES_FOLDER = '/var/lib/rancher/k3s/agent/images';
const ACCELERATOR_CONTROL_PORT = 8081;
const CLUSTER_API_AUDIENCES = ['https://kubernetes.default.svc.cluster.local', 'k3s'];

export interface K3sOptions {
  runId: string;
  /** Distinguishes the clusters of one run: the first one is `reference`. */
  name: string;
  networkName: string;
  pki: RunPki;
  resolver: Resolver;
  clock: ClockSettings;
  /** Reference of the k3s image, or of our node image, which keeps the same contract. */
  image: string;
  /** Reference of the workload image, for pods and for the token accelerator. */
  workloadImage: string;
  /** Archive of the workload image where no registry can be reached from the node. */
  workloadImageArchive?: string;
  /** True where twins rewrite objects by MutatingAdmissionPolicy: a cluster of the references is left as it comes. */
  admissionPolicies: boolean;
  /** Further arguments of `server`. */
  serverArguments?: string[];
  onProgress: (message: string) => void;
}

/** Every Kubernetes API call of a run can be read afterwards: metadata only, so that no token is in the log. */
const AUDIT_POLICY = stringify({
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [
    { level: 'None', users: [`system:node:${NODE_NAME}`, 'system:apiserver', 'system:kube-scheduler'] },
    { level: 'None', nonResourceURLs: ['/healthz*', '/livez*', '/readyz*'] },
    { level: 'Metadata' },
  ],
});

function kubeletKubeconfig(acceleratorHost: string, token: string): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'kubelet',
    clusters: [
      {
        name: 'accelerator',
        cluster: {
          server: `https://${acceleratorHost}:${API_SERVER_PORT}`,
          'certificate-authority': `${CONFORMANCE_FOLDER}/ca.crt`,
        },
      },
    ],
    users: [{ name: 'kubelet', user: { token } }],
    contexts: [{ name: 'kubelet', context: { cluster: 'accelerator', user: 'kubelet' } }],
  });
}

/** The archive of the workload image, where it has to be brought along. */
function workloadFiles({ workloadImageArchive }: K3sOptions): { source: string; target: string }[] {
  return workloadImageArchive === undefined
    ? []
    : [{ source: workloadImageArchive, target: `${K3S_IMAGES_FOLDER}/workload.tar` }];
}

/** Network aliases of a second cluster must differ on the run's network: the first keeps the plain names. */
function hostOf(host: string, name: string): string {
  return name === 'reference' ? host : `${name}.${host}`;
}

/**
 * Starts the token accelerator: a proxy between the kubelet and the API server that shortens the life of the projected tokens
 * (see fixtures/workloads/token-accelerator). The kubelet, its rotation and its files are the real ones.
 */
async function startAccelerator(options: K3sOptions, controlSecret: string): Promise<StartedTestContainer> {
  const host = hostOf(HOSTS.accelerator, options.name);
  const { cert, key } = await options.pki.issue(host);
  const config = {
    listen: { port: API_SERVER_PORT, controlPort: ACCELERATOR_CONTROL_PORT },
    tls: { certificateFile: `${CONFORMANCE_FOLDER}/tls.crt`, keyFile: `${CONFORMANCE_FOLDER}/tls.key` },
    upstream: {
      name: hostOf(HOSTS.cluster, options.name),
      port: API_SERVER_PORT,
      caFile: `${CONFORMANCE_FOLDER}/ca.crt`,
    },
    serviceAccountKeyFile: `${CONFORMANCE_FOLDER}/service.key`,
    apiAudiences: CLUSTER_API_AUDIENCES,
    defaultLifetimeSeconds: options.clock.lifetimeSeconds,
    controlSecret,
  };
  return new GenericContainer(options.workloadImage)
    .withLabels({ [RUN_LABEL]: options.runId })
    .withNetworkMode(options.networkName)
    .withNetworkAliases(host)
    .withExposedPorts(ACCELERATOR_CONTROL_PORT)
    .withCopyContentToContainer([
      { target: '/app/main.mjs', content: await bundleWorkload('token-accelerator') },
      { target: `${CONFORMANCE_FOLDER}/accelerator.json`, content: JSON.stringify(config) },
      { target: `${CONFORMANCE_FOLDER}/tls.crt`, content: cert },
      { target: `${CONFORMANCE_FOLDER}/tls.key`, content: key },
      { target: `${CONFORMANCE_FOLDER}/ca.crt`, content: options.pki.ca },
      { target: `${CONFORMANCE_FOLDER}/service.key`, content: options.pki.serviceAccountKey },
    ])
    .withCommand(['node', '/app/main.mjs'])
    .withWaitStrategy(Wait.forListeningPorts())
    .withStartupTimeout(30_000)
    .start();
}

/**
 * Starts a cluster by `K3sContainer`: from `rancher/k3s`, or from our node image where no registry is in reach.
 * Both understand the same arguments and files, so that nothing here asks which of them it is.
 *
 * It has the run's CA, an issuer that the identity provider can reach by the same name, and, on the accelerated clock,
 * a kubelet that talks to the API server through the token accelerator.
 *
 * @throws HarnessError when the node does not become Ready in time, with the last lines of its log
 */
export async function startK3s(options: K3sOptions): Promise<StartedCluster> {
  const { pki, clock, resolver } = options;
  const host = hostOf(HOSTS.cluster, options.name);
  const issuer = `https://${host}:${API_SERVER_PORT}`;
  const kubeletToken = randomBytes(24).toString('base64url');
  const controlSecret = randomBytes(24).toString('base64url');
  const agentToken = randomBytes(24).toString('base64url');
  const accelerated = clock.kind === 'accelerated';
  const apiServerArguments = [
    `service-account-issuer=${issuer}`,
    `service-account-jwks-uri=${issuer}/openid/v1/jwks`,
    `api-audiences=${CLUSTER_API_AUDIENCES.join(',')}`,
    // k3s switches anonymous requests off; an identity provider reads discovery and keys without credentials.
    'anonymous-auth=true',
    `audit-policy-file=${CONFORMANCE_FOLDER}/audit-policy.yaml`,
    `audit-log-path=${AUDIT_LOG}`,
    ...(options.admissionPolicies ? ADMISSION_POLICY_ARGUMENTS : []),
    ...(accelerated ? [`token-auth-file=${CONFORMANCE_FOLDER}/tokens.csv`] : []),
  ];
  const kubeletArguments = [
    `sync-frequency=${clock.syncFrequencySeconds}s`,
    ...(accelerated ? [`kubeconfig=${CONFORMANCE_FOLDER}/kubelet.kubeconfig`] : []),
  ];
  const container = new K3sContainer(options.image)
    .withCommand([
      'server',
      '--disable=traefik',
      '--disable=servicelb',
      '--disable=metrics-server',
      `--node-name=${NODE_NAME}`,
      `--tls-san=${host}`,
      `--token=${agentToken}`,
      ...apiServerArguments.map((argument) => `--kube-apiserver-arg=${argument}`),
      ...kubeletArguments.map((argument) => `--kubelet-arg=${argument}`),
      ...(options.serverArguments ?? []),
    ])
    .withLabels({ [RUN_LABEL]: options.runId })
    .withNetworkMode(options.networkName)
    .withNetworkAliases(host)
    .withCopyContentToContainer([
      ...Object.entries(pki.clusterFiles).map(([name, content]) => ({
        target: `${K3S_TLS_FOLDER}/${name}`,
        content,
        mode: 0o600,
      })),
      { target: `${CONFORMANCE_FOLDER}/audit-policy.yaml`, content: AUDIT_POLICY },
      { target: `${CONFORMANCE_FOLDER}/ca.crt`, content: pki.ca },
      {
        target: `${CONFORMANCE_FOLDER}/kubelet.kubeconfig`,
        content: kubeletKubeconfig(hostOf(HOSTS.accelerator, options.name), kubeletToken),
        mode: 0o600,
      },
      {
        target: `${CONFORMANCE_FOLDER}/tokens.csv`,
        content: `${kubeletToken},system:node:${NODE_NAME},${NODE_NAME},"system:nodes"\n`,
        mode: 0o600,
      },
    ])
    .withCopyFilesToContainer(workloadFiles(options))
    .withStartupTimeout(120_000);

  const log: string[] = [];
  container.withLogConsumer((stream) => {
    stream.on('data', (line: Buffer | string) => {
      log.push(redact(line.toString().trimEnd()));
      if (log.length > 200) {
        log.shift();
      }
    });
  });
  options.onProgress('starting the node');
  // The accelerator waits for the API server, and the kubelet for the accelerator: both start at once.
  const [accelerator, node] = await settleBoth(
    accelerated ? startAccelerator(options, controlSecret) : Promise.resolve(undefined),
    container.start().catch((error: unknown) => {
      throw new HarnessError(
        `the node of cluster ${options.name} did not become Ready; its last lines:\n${log.slice(-20).join('\n')}`,
        {
          cause: error,
        },
      );
    }),
  );

  const agents: StartedTestContainer[] = [];
  const stop = async (): Promise<void> => {
    // They share storage of the node, so they go first. One that is still starting is found by the run's label.
    await Promise.all(agents.map((agent) => agent.stop({ timeout: 5_000 })));
    await Promise.all([node.stop({ timeout: 5_000 }), accelerator?.stop({ timeout: 0 })]);
  };
  try {
    resolver.add(`${host}:${API_SERVER_PORT}`, { host: node.getHost(), port: node.getMappedPort(API_SERVER_PORT) });
    const kubeConfig = named(node.getKubeConfig(), host);
    options.onProgress('waiting for the node, the default ServiceAccount and cluster DNS');
    await Promise.all([waitUntilUsable(kubeConfig), openIssuerDiscovery(kubeConfig)]);
    const addAgent = (number: number): Promise<void> =>
      joinAgent({
        options,
        node,
        kubeConfig,
        url: issuer,
        token: agentToken,
        nodeName: `node-${number}`,
        onStarted: (agent) => agents.push(agent),
      });
    return startedCluster({ options, node, accelerator, controlSecret, kubeConfig, issuer, stop, log, addAgent });
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The API server is reached at a published port of wherever the engine is; its certificate is checked against its own name. */
function named(kubeConfig: string, host: string): string {
  const config = parse(kubeConfig) as { clusters: { cluster: Record<string, unknown> }[] };
  for (const { cluster } of config.clusters) {
    cluster['tls-server-name'] = host;
  }
  return stringify(config);
}

/** Waits for both; if one fails, the other is stopped before the failure is told, so that nothing is left behind. */
async function settleBoth<
  A extends StartedTestContainer | undefined,
  B extends StartedTestContainer | StartedK3sContainer,
>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  const results = await Promise.allSettled([first, second]);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    for (const result of results) {
      if (result.status === 'fulfilled') {
        await result.value?.stop({ timeout: 0 });
      }
    }
    throw failed.reason;
  }
  return [await first, await second];
}

interface AgentParts {
  options: K3sOptions;
  node: StartedK3sContainer;
  kubeConfig: string;
  url: string;
  token: string;
  nodeName: string;
  onStarted: (agent: StartedTestContainer) => void;
}

/** @throws HarnessError when it does not become Ready in time, with the last lines of its log */
async function joinAgent({ options, node, kubeConfig, nodeName, onStarted, ...server }: AgentParts): Promise<void> {
  options.onProgress(`starting ${nodeName}`);
  const { container, log } = await startAgent({
    runId: options.runId,
    image: options.image,
    networkName: options.networkName,
    pki: options.pki,
    serverContainer: node.getId(),
    ...server,
    nodeName,
    kubeletArguments: [`sync-frequency=${options.clock.syncFrequencySeconds}s`],
    files: workloadFiles(options),
  });
  onStarted(container);
  try {
    await waitUntilNodeReady(kubeConfig, nodeName);
  } catch (error) {
    throw new HarnessError(`${nodeName} did not become Ready; its last lines:\n${log.join('\n')}`, { cause: error });
  }
}

interface Parts {
  options: K3sOptions;
  node: StartedK3sContainer;
  accelerator: StartedTestContainer | undefined;
  controlSecret: string;
  kubeConfig: string;
  issuer: string;
  stop: () => Promise<void>;
  log: string[];
  /** Starts a further node, the first of them with the number 1. */
  addAgent: (number: number) => Promise<void>;
}

function startedCluster({
  options,
  node,
  accelerator,
  controlSecret,
  kubeConfig,
  issuer,
  stop,
  log,
  addAgent,
}: Parts): StartedCluster {
  const control = async (method: string, path: string, body: unknown): Promise<void> => {
    if (accelerator === undefined) {
      throw new HarnessError(`the token accelerator is asked for ${path}, but the clock is real`);
    }
    const url = `http://${accelerator.getHost()}:${accelerator.getMappedPort(ACCELERATOR_CONTROL_PORT)}${path}`;
    const response = await fetch(url, {
      method,
      headers: { authorization: `Bearer ${controlSecret}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) {
      throw new HarnessError(`the token accelerator answered ${response.status} to ${path}: ${await response.text()}`);
    }
  };
  const rules = new Map<string, number>();
  let rulesSent = Promise.resolve();
  const joining: Promise<void>[] = [];
  const data: ClusterData = {
    kind: 'k3s',
    kubeConfig,
    issuer,
    apiAudiences: CLUSTER_API_AUDIENCES,
    owned: true,
    signingKey: options.pki.serviceAccountKey,
    previousSigningKey: options.pki.previousServiceAccountKey,
    workloadImage: options.workloadImage,
    resolver: options.resolver.toData(),
  };
  return {
    data,
    trust: { issuer, jwksUri: `${issuer}/openid/v1/jwks`, ca: options.pki.ca },
    discover: () => discoverCluster(kubeConfig),
    setTokenRequestFault: (namespace, fault) => control('PUT', `/faults/${namespace}`, { fault }),
    setLifetime(audience, seconds) {
      if (accelerator === undefined || rules.get(audience) === seconds) {
        return rulesSent;
      }
      rules.set(audience, seconds);
      const list = [...rules].map(([name, lifetimeSeconds]) => ({ audience: name, lifetimeSeconds }));
      // Each request replaces all rules: one that arrived late would undo the one after it.
      rulesSent = rulesSent.then(() => control('PUT', '/rules', list));
      return rulesSent;
    },
    async nodeExec(command) {
      const { exitCode, output } = await node.exec(command);
      return { exitCode, output };
    },
    async importImage(archive) {
      const target = `/tmp/${basename(dirname(archive))}.tar`;
      await node.copyFilesToContainer([{ source: archive, target }]);
      // k3s has an endpoint of its own, and so has our node.
      const { exitCode, output } = await node.exec([
        'sh',
        '-c',
        `for socket in /run/k3s/containerd/containerd.sock /run/conformance-node/containerd.sock; do
           [ -S "$socket" ] && exec ctr --address "$socket" --namespace k8s.io images import "${target}"
         done; echo 'no socket of containerd'; exit 1`,
      ]);
      if (exitCode !== 0) {
        throw new HarnessError(
          `cluster ${options.name} did not take the image archive ${basename(archive)}: ${output}`,
        );
      }
    },
    async addNodes(atLeast) {
      while (1 + joining.length < atLeast) {
        joining.push(addAgent(joining.length + 1));
      }
      await Promise.all(joining);
    },
    async assertAlive() {
      try {
        await discoverCluster(kubeConfig);
      } catch (error) {
        throw new HarnessError(
          `the API server of cluster ${options.name} is gone; last lines of its node:\n${log.slice(-10).join('\n')}`,
          {
            cause: error,
          },
        );
      }
    },
    stop,
  };
}
