import { GenericContainer, getContainerRuntimeClient, type StartedTestContainer } from 'testcontainers';
import { HarnessError } from '../../../core/errors.ts';
import { LogTail } from '../../../core/log-tail.ts';
import { FURTHER_NODE_TAINT, RUN_LABEL } from '../../../core/names.ts';
import type { RunPki } from '../../../core/pki.ts';

/** What k3s keeps of itself: a volume of the container, and a folder in it for the volumes that nodes share. */
const K3S_FOLDER = '/var/lib/rancher/k3s';
const SHARED_STORAGE = `${K3S_FOLDER}/storage-shared`;
/** How many lines of its log are kept for a message. */
const KEPT_LINES = 20;

export interface AgentOptions {
  runId: string;
  /** Reference of the image of the server: its `agent` command is used. */
  image: string;
  networkName: string;
  pki: RunPki;
  /** Id of the server's container: the folder of shared volumes is taken from there. */
  serverContainer: string;
  /** What the agent joins, and the server's token. */
  url: string;
  token: string;
  nodeName: string;
  kubeletArguments: string[];
  files: { source: string; target: string }[];
}

class AgentContainer extends GenericContainer {
  constructor(image: string) {
    super(image);
    // As K3sContainer has it; the types of dockerode do not know it.
    Object.assign(this.hostConfig, { CgroupnsMode: 'host' });
  }
}

/** Where the engine keeps the server's folder of shared volumes. */
async function sharedFolderOf(containerId: string): Promise<string> {
  const { container } = await getContainerRuntimeClient();
  const { Mounts } = await container.dockerode.getContainer(containerId).inspect();
  const volume = Mounts.find(({ Destination }) => Destination === K3S_FOLDER);
  if (volume === undefined) {
    throw new HarnessError(
      `the node's container has no volume at ${K3S_FOLDER}: a second node cannot share its storage`,
    );
  }
  return `${volume.Source}${SHARED_STORAGE.slice(K3S_FOLDER.length)}`;
}

/**
 * Starts another node of a cluster: by the command `agent` and by K3S_URL and K3S_TOKEN, as k3s has it
 * (https://docs.k3s.io/quick-start). It has the volumes that are shared between nodes in common with its server, and a
 * taint that keeps pods away that were not made for it: its kubelet has no token accelerator.
 *
 * It has started when its container has; whether the node is Ready is to be read from the API.
 */
export async function startAgent(options: AgentOptions): Promise<{ container: StartedTestContainer; log: LogTail }> {
  const log = new LogTail(KEPT_LINES);
  const authorities = Object.entries(options.pki.clusterFiles).filter(([name]) => /^(server|client)-ca\./.test(name));
  const container = await new AgentContainer(options.image)
    .withCommand([
      'agent',
      `--node-name=${options.nodeName}`,
      `--node-taint=${FURTHER_NODE_TAINT.key}=${FURTHER_NODE_TAINT.value}:${FURTHER_NODE_TAINT.effect}`,
      ...options.kubeletArguments.map((argument) => `--kubelet-arg=${argument}`),
    ])
    .withEnvironment({ K3S_URL: options.url, K3S_TOKEN: options.token })
    .withPrivilegedMode()
    .withLabels({ [RUN_LABEL]: options.runId })
    .withNetworkMode(options.networkName)
    .withBindMounts([
      { source: '/sys/fs/cgroup', target: '/sys/fs/cgroup' },
      { source: await sharedFolderOf(options.serverContainer), target: SHARED_STORAGE },
    ])
    .withTmpFs({ '/run': 'rw', '/var/run': 'rw' })
    // k3s gets its certificates from its server; our own node issues them itself.
    .withCopyContentToContainer(
      authorities.map(([name, content]) => ({ target: `${K3S_FOLDER}/server/tls/${name}`, content, mode: 0o600 })),
    )
    .withCopyFilesToContainer(options.files)
    .withLogConsumer(log.consume)
    .start();
  return { container, log };
}
