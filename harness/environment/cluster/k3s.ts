import { randomBytes } from 'node:crypto';
import { K3sContainer, type StartedK3sContainer } from '@testcontainers/k3s';
import type { StartedTestContainer } from 'testcontainers';
import { parse, stringify } from 'yaml';
import { HarnessError } from '../../core/errors.ts';
import { LogTail } from '../../core/log-tail.ts';
import { API_SERVER_PORT, RUN_LABEL } from '../../core/names.ts';
import type { RunPki } from '../../core/pki.ts';
import type { Resolver } from '../../core/resolver.ts';
import type { ClusterData } from '../../kubernetes/cluster-data.ts';
import type { ClockSettings } from '../../rpc/protocol.ts';
import type { StartedCluster } from './cluster.ts';
import { AcceleratorControl, startAccelerator } from './k3s/accelerator.ts';
import { Agents } from './k3s/agents.ts';
import { importImage, workloadFiles } from './k3s/images.ts';
import { CLUSTER_API_AUDIENCES, hostsOf } from './k3s/layout.ts';
import { issuerOf, serverCommand, serverFiles, syncFrequency } from './k3s/server.ts';
import { discoverCluster, openIssuerDiscovery, waitUntilUsable } from './readiness.ts';

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
  /** More arguments of `server`. */
  serverArguments?: string[];
  onProgress: (message: string) => void;
}

/** Lines of the node's log that are kept, that are shown where it does not start, and where it is gone later. */
const KEPT_LINES = 200;
const START_LINES = 20;
const GONE_LINES = 10;

/** What the parts of a cluster know each other by; new for each cluster. */
interface Secrets {
  kubeletToken: string;
  controlSecret: string;
  agentToken: string;
}

/** The running parts of a cluster. */
interface Parts {
  node: StartedK3sContainer;
  /** On the accelerated clock alone. */
  accelerator: StartedTestContainer | undefined;
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
  const { pki, clock, resolver, name } = options;
  const hosts = hostsOf(name);
  const issuer = issuerOf(hosts);
  const secrets: Secrets = { kubeletToken: secret(), controlSecret: secret(), agentToken: secret() };
  const log = new LogTail(KEPT_LINES);
  const { node, accelerator } = await startContainers(options, secrets, log);
  const stopNode = async (): Promise<void> => {
    await Promise.all([node.stop({ timeout: 5_000 }), accelerator?.stop({ timeout: 0 })]);
  };
  try {
    resolver.add(`${hosts.apiServer}:${API_SERVER_PORT}`, {
      host: node.getHost(),
      port: node.getMappedPort(API_SERVER_PORT),
    });
    const kubeConfig = withServerName(node.getKubeConfig(), hosts.apiServer);
    options.onProgress('waiting for the node, the default ServiceAccount and cluster DNS');
    await Promise.all([waitUntilUsable(kubeConfig), openIssuerDiscovery(kubeConfig)]);
    const control = AcceleratorControl.of(accelerator, secrets.controlSecret);
    const agents = new Agents({
      runId: options.runId,
      image: options.image,
      networkName: options.networkName,
      pki,
      serverContainer: node.getId(),
      url: issuer,
      token: secrets.agentToken,
      kubeletArguments: [syncFrequency(clock)],
      files: workloadFiles(options.workloadImageArchive),
      kubeConfig,
      onProgress: options.onProgress,
    });
    return {
      data: clusterData(options, kubeConfig, issuer),
      trust: { issuer, jwksUri: `${issuer}/openid/v1/jwks`, ca: pki.ca },
      discover: () => discoverCluster(kubeConfig),
      setTokenRequestFault: (namespace, fault) => control.setTokenRequestFault(namespace, fault),
      setLifetime: (audience, seconds) => control.setLifetime(audience, seconds),
      async nodeExec(command) {
        const { exitCode, output } = await node.exec(command);
        return { exitCode, output };
      },
      async importImage(archive) {
        await importImage(node, archive).catch((cause: unknown) => {
          throw new HarnessError(`cluster ${name}: ${(cause as Error).message}`, { cause });
        });
      },
      addNodes: (atLeast) => agents.addUntil(atLeast),
      async assertAlive() {
        await discoverCluster(kubeConfig).catch((cause: unknown) => {
          const lines = log.last(GONE_LINES);
          throw new HarnessError(`the API server of cluster ${name} is gone; last lines of its node:\n${lines}`, {
            cause,
          });
        });
      },
      async stop() {
        // They share storage of the node, so they go first.
        await agents.stop();
        await stopNode();
      },
    };
  } catch (error) {
    await stopNode();
    throw error;
  }
}

function secret(): string {
  return randomBytes(24).toString('base64url');
}

/**
 * Starts the node and, on the accelerated clock, the accelerator. @throws HarnessError with the last lines of the
 * node's log
 */
async function startContainers(options: K3sOptions, secrets: Secrets, log: LogTail): Promise<Parts> {
  const { pki, clock, runId, networkName } = options;
  const hosts = hostsOf(options.name);
  const container = new K3sContainer(options.image)
    .withCommand(serverCommand({ ...options, hosts, agentToken: secrets.agentToken }))
    .withLabels({ [RUN_LABEL]: runId })
    .withNetworkMode(networkName)
    .withNetworkAliases(hosts.apiServer)
    .withCopyContentToContainer(serverFiles(pki, hosts, secrets.kubeletToken))
    .withCopyFilesToContainer(workloadFiles(options.workloadImageArchive))
    .withStartupTimeout(120_000);
  container.withLogConsumer(log.consume);
  options.onProgress('starting the node');
  // The accelerator waits for the API server, and the kubelet for the accelerator: both start at once.
  const [accelerator, node] = await settleBoth(
    clock.kind === 'accelerated'
      ? startAccelerator({
          runId,
          hosts,
          networkName,
          pki,
          image: options.workloadImage,
          defaultLifetimeSeconds: clock.lifetimeSeconds,
          controlSecret: secrets.controlSecret,
        })
      : Promise.resolve(undefined),
    container.start().catch((cause: unknown) => {
      const lines = log.last(START_LINES);
      throw new HarnessError(`the node of cluster ${options.name} did not become Ready; its last lines:\n${lines}`, {
        cause,
      });
    }),
  );
  return { node, accelerator };
}

function clusterData(options: K3sOptions, kubeConfig: string, issuer: string): ClusterData {
  return {
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
}

/**
 * The API server is reached at a published port of wherever the engine is; its certificate is checked against its own
 * name.
 */
function withServerName(kubeConfig: string, host: string): string {
  const config = parse(kubeConfig) as { clusters: { cluster: Record<string, unknown> }[] };
  for (const { cluster } of config.clusters) {
    cluster['tls-server-name'] = host;
  }
  return stringify(config);
}

/**
 * Waits for both; if one fails, the other is stopped before the failure is reported, so that nothing is left behind.
 */
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
