import type { V1Pod } from '@kubernetes/client-node';
import { DeadlineExceeded, describeError, HarnessError } from '../../core/errors.ts';
import { type ClusterHandle, createClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { readLog } from '../../kubernetes/logs.ts';
import { containerStatus, describePod, isReady, lackedByPod } from '../../kubernetes/pod-status.ts';
import { refuserOf } from '../../kubernetes/refused-objects.ts';
import { podSpec } from '../../probes/pods.ts';
import { roleDefinition } from '../../roles/index.ts';
import { admissionLack, clockLack, idsOf, type Lack, type PreflightOptions } from './lacks.ts';
import type { NeededImage, Needs } from './needs.ts';

/** An image that a node has not got in so long it is taken to have not at all. */
const PULL_SECONDS = 120;

/** Clusters that grow by themselves need about so long for a first node. */
const NODE_SECONDS = 60;

/** As long a connection to the API server may take. */
const API_MS = 5_000;

/**
 * Tells what a pod of the harness sees, to whoever asks and in its log: its clock, and whether names of the cluster
 * resolve and the API server is reached. It looks anew for each question: a NetworkPolicy takes a moment to hold for a
 * pod that is new.
 */
const LOOK = `
const at = Date.now();
const dns = () => new Promise((resolve) => require('node:dns').lookup('kubernetes.default.svc',
  (error) => resolve(error === null ? 'yes' : error.code)));
const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
const api = () => new Promise((resolve) => {
  const socket = require('node:net').connect({ host, port: Number(port), timeout: ${API_MS} });
  const end = (found) => { socket.destroy(); resolve(found); };
  socket.on('connect', () => end('yes')).on('timeout', () => end('no answer')).on('error', ({ code }) => end(code));
});
const look = async () => {
  const [name, server] = await Promise.all([dns(), api()]);
  return JSON.stringify({ arch: process.arch, at, dns: name, api: server });
};
look().then(console.log);
require('node:http').createServer((_, response) => look().then((text) => response.end(text))).listen(8080);
`;

/** A name that does not resolve takes so long to fail, by the usual resolv.conf. */
const ANSWER_SECONDS = 30;

/** Policies drop what they deny, and say nothing. */
const REACH_MS = 10_000;
const REACHED = 'reached';

/** Starts a pod of each image once: whether it can be pulled, and what a pod sees. */
export async function missingImages(options: PreflightOptions, namespace: string): Promise<Lack[]> {
  const { images } = options.needs;
  if (options.given === undefined) {
    return (await Promise.all(images.map((image) => tryImage(options, namespace, image)))).flat();
  }
  // A namespace of somebody else may have a quota, and requirements that take one pod at a time.
  const lacks: Lack[] = [];
  for (const image of images) {
    lacks.push(...(await tryImage(options, namespace, image)));
  }
  return lacks;
}

async function tryImage(
  { data, needs, onProgress }: PreflightOptions,
  namespace: string,
  image: NeededImage,
): Promise<Lack[]> {
  const { name, reference, variable, why, requirements } = image;
  if (reference === undefined) {
    const fix = `push it to a registry that the nodes can reach, and name it in ${variable}`;
    return [{ missing: `image: ${why}`, found: `${variable} is not set`, fix, requirements }];
  }
  const cluster = createClusterHandle(data);
  const pod = `preflight-${name}`;
  try {
    await cluster.core.createNamespacedPod({ namespace, body: podOf(pod, reference, isNode(image)) });
  } catch (error) {
    return [admissionLack(`a Pod of the image ${reference}`, describeError(error), requirements)];
  }
  try {
    const started = await untilStarted(cluster, { namespace, pod, reference, isServer: isNode(image) });
    if (!isNode(image)) {
      return [];
    }
    // What a new pod may not is seen in it a moment later: by then another one has run.
    const unreached = await reachFromPods(cluster, started, reference, { needs, onProgress });
    return [...(await lookAround(cluster, started, needs, onProgress)), ...unreached];
  } catch (error) {
    if (!(error instanceof HarnessError || error instanceof DeadlineExceeded)) {
      throw error;
    }
    const fix = `let the nodes pull it, or name another one in ${variable}; for room, tolerations and selectors see --settings`;
    return [{ missing: `image ${reference}: ${why}`, found: describeError(error), fix, requirements }];
  } finally {
    // What is left goes with the run.
    await cluster.core.deleteNamespacedPod({ namespace, name: pod, gracePeriodSeconds: 0 }).catch(() => undefined);
  }
}

/** The stock Node is the image whose pod serves what it sees; of the others it is enough that they start. */
function isNode({ name }: NeededImage): boolean {
  return name === 'node';
}

function podOf(name: string, image: string, isServer: boolean): V1Pod {
  const spec = podSpec(image, 'default', {
    name: 'probe',
    command: isServer ? ['node', '--eval', LOOK] : ['true'],
    ...(isServer
      ? { readinessProbe: { httpGet: { port: 8080 }, periodSeconds: 1, timeoutSeconds: ANSWER_SECONDS } }
      : {}),
  });
  return { metadata: { name }, spec };
}

/**
 * Waits until a pod has a node and runs there, or has run.
 *
 * @throws HarnessError where it cannot, DeadlineExceeded where it does not
 */
async function untilStarted(
  cluster: ClusterHandle,
  { namespace, pod, reference, isServer }: { namespace: string; pod: string; reference: string; isServer: boolean },
): Promise<V1Pod> {
  await cluster.watchPod(namespace, pod, ({ object }) => (object.spec?.nodeName === undefined ? undefined : true), {
    what: `a node for a pod of the image ${reference}`,
    deadlineSeconds: NODE_SECONDS,
  });
  return cluster.watchPod(
    namespace,
    pod,
    ({ object }) => {
      const state = containerStatus(object, 'probe')?.state;
      // One pull may fail; a kubelet that waits before the next one has seen it fail again.
      const lacked = state?.waiting?.reason === 'ErrImagePull' ? undefined : lackedByPod(object, [reference]);
      if (lacked !== undefined && !/no node takes it/.test(lacked)) {
        throw new HarnessError(lacked);
      }
      return state?.terminated !== undefined || (isServer && isReady(object)) ? object : undefined;
    },
    { what: `a pod of the image ${reference} to run`, deadlineSeconds: PULL_SECONDS },
  );
}

/** What the first pod of a run sees: its clock, and whether names of the cluster resolve. */
async function lookAround(
  cluster: ClusterHandle,
  pod: V1Pod,
  needs: Needs,
  onProgress: (message: string) => void,
): Promise<Lack[]> {
  const { text, lacks } = await askPod(cluster, pod, needs);
  if (text === undefined) {
    onProgress('a pod runs; without get pods/proxy and pods/log it tells nothing of DNS and clocks');
    return needed(lacks);
  }
  let seen: { arch: string; at: number; dns: string; api?: string };
  try {
    seen = JSON.parse(text) as typeof seen;
  } catch {
    const found = `${describePod(pod)}; it told: ${text.slice(0, 200) || 'nothing'}`;
    const fix = 'name an image of Node 22 or later, and see DNS in pods';
    return needed([...lacks, { missing: 'a stock Node in a pod', found, fix, requirements: idsOf(needs) }]);
  }
  onProgress(`a pod runs (${seen.arch}), DNS ${seen.dns === 'yes' ? 'answers' : `fails: ${seen.dns}`}`);
  if (seen.dns !== 'yes') {
    lacks.push({
      missing: 'DNS in pods',
      found: `kubernetes.default.svc: ${seen.dns}`,
      fix: 'let pods of the run’s namespaces ask the cluster’s DNS (a default-deny NetworkPolicy?)',
      requirements: needs.requirements.filter(asksForNames).map(({ id }) => id),
    });
  }
  if (seen.api !== undefined && seen.api !== 'yes') {
    lacks.push({
      missing: 'a way from pods to the API server',
      found: `a connection from a pod of the harness: ${seen.api}`,
      fix: 'let pods of the run’s namespaces reach the API server (a default-deny NetworkPolicy?)',
      requirements: needs.fromPods,
    });
  }
  const startedAt = containerStatus(pod, 'probe')?.state?.running?.startedAt;
  const difference = startedAt === undefined ? 0 : (new Date(startedAt).getTime() - seen.at) / 1_000;
  lacks.push(...clockLack('a node and of a pod on it', difference, 'synchronise the clocks of the nodes', needs));
  return needed(lacks);
}

function needed(lacks: Lack[]): Lack[] {
  return lacks.filter(({ requirements }) => requirements.length > 0);
}

/** The log of a pod; undefined where the harness may not read it: no requirement that is planned does. */
async function logOf(cluster: ClusterHandle, namespace: string, pod: string): Promise<string | undefined> {
  const { status, body } = await readLog(cluster, namespace, pod, { container: 'probe' });
  return status === 200 ? body.toString() : undefined;
}

/** Whether an answer is a Status by which the authorizer says no. */
function isRefusedByRights(text: string): boolean {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === 'string' && refuserOf(403, message) === 'rights';
  } catch {
    return false;
  }
}

/**
 * What a pod tells, through the API server as the requirements ask their pods, else by its log; undefined where neither
 * is allowed.
 */
async function askPod(
  cluster: ClusterHandle,
  pod: V1Pod,
  needs: Needs,
): Promise<{ text: string | undefined; lacks: Lack[] }> {
  const { namespace = '', name = '' } = pod.metadata ?? {};
  let text = '';
  try {
    const answer = await cluster.podFetch(namespace, name, 8080, '/', {
      signal: AbortSignal.timeout(ANSWER_SECONDS * 1000),
    });
    text = await answer.text();
    if (!answer.ok) {
      throw new Error(`${answer.status} ${text}`);
    }
    return { text, lacks: [] };
  } catch (error) {
    const proxied = needs.rights
      .filter(({ resource }) => resource === 'pods/proxy')
      .flatMap(({ requirements }) => requirements);
    const lack = {
      missing: 'a way from the API server to pods',
      found: `GET of a pod through its proxy: ${describeError(error).slice(0, 300)}`,
      fix: 'let the API server reach pods of the run’s namespaces (a default-deny NetworkPolicy?), and grant pods/proxy',
      requirements: [...new Set(proxied)],
    };
    // Where it may not be asked at all, that is told as a right already.
    const lacks = isRefusedByRights(text) ? [] : [lack];
    return { text: await logOf(cluster, namespace, name), lacks };
  }
}

/** A second pod asks the first one, as token clients ask the harness's identity provider. */
async function reachFromPods(
  cluster: ClusterHandle,
  first: V1Pod,
  image: string,
  { needs, onProgress }: Pick<PreflightOptions, 'needs' | 'onProgress'>,
): Promise<Lack[]> {
  const requirements = needs.requirements.filter(asksForNames).map(({ id }) => id);
  const { namespace = '' } = first.metadata ?? {};
  const address = first.status?.podIP ?? '';
  if (requirements.length === 0 && needs.fromPods.length === 0) {
    return [];
  }
  const name = 'preflight-reach';
  const host = address.includes(':') ? `[${address}]` : address;
  const script = `fetch('http://${host}:8080/', { signal: AbortSignal.timeout(${REACH_MS}) }).then(
    (answer) => console.log('${REACHED}', answer.status), (error) => console.log(String(error.cause ?? error)))`;
  const spec = podSpec(image, 'default', { name: 'probe', command: ['node', '--eval', script] });
  try {
    await cluster.core.createNamespacedPod({ namespace, body: { metadata: { name }, spec } });
    await cluster.watchPod(namespace, name, ({ object }) => containerStatus(object, 'probe')?.state?.terminated, {
      what: 'a pod that asks another one',
      deadlineSeconds: NODE_SECONDS,
    });
    const log = await logOf(cluster, namespace, name);
    if (log === undefined) {
      onProgress('without get pods/log it is not known whether pods reach each other');
      return [];
    }
    return needed(pathLacks(log, requirements));
  } finally {
    await cluster.core.deleteNamespacedPod({ namespace, name, gracePeriodSeconds: 0 }).catch(() => undefined);
  }
}

/**
 * What the log of a pod that asked another one says of the way between them.
 *
 * @param requirements that need it
 */
export function pathLacks(log: string, requirements: string[]): Lack[] {
  const said = log.trim();
  return said.startsWith(REACHED)
    ? []
    : [
        {
          missing: 'a way from pods to pods',
          found: `GET of one pod of the harness by another: ${said.slice(0, 200) || 'it wrote nothing'}`,
          fix: 'let pods of the run’s namespaces reach each other (a default-deny NetworkPolicy?)',
          requirements,
        },
      ];
}

/** Requirements whose pods look for others by their names. */
function asksForNames({ role, preconditions }: Needs['requirements'][number]): boolean {
  return (
    roleDefinition(role).looksUpNames === true ||
    preconditions?.cluster?.some((word) => word === 'network-policies' || word === 'dns') === true
  );
}
