import {
  type ApiException,
  AuthorizationV1Api,
  BatchV1Api,
  KubeConfig,
  type V1Node,
  type V1Pod,
  type V1StorageClass,
} from '@kubernetes/client-node';
import { DeadlineExceeded, describeAnswer, describeError, HarnessError } from '../../core/errors.ts';
import type { ClusterData } from '../../kubernetes/cluster-data.ts';
import { type ClusterHandle, createClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { readLog } from '../../kubernetes/logs.ts';
import { describePod, isReady, lackedByPod } from '../../kubernetes/pod-status.ts';
import { refuserOf } from '../../kubernetes/refused-objects.ts';
import { podSpec } from '../../probes/pods.ts';
import { defaultOf } from '../../probes/storage.ts';
import { workloadPod } from '../../probes/workload-pod.ts';
import { ROLE_DEFINITIONS, roleDefinition } from '../../roles/index.ts';
import { describeNeed, type NeededImage, type NeededRight, type Needs } from './needs.ts';

/** Something that a cluster lacks for the harness. */
export interface Lack {
  /** What is missing, in words that can be looked for. */
  missing: string;
  /** What the cluster said. */
  found: string;
  mend: string;
  /** Ids of the requirements that need it. */
  requirements: string[];
}

export interface PreflightOptions {
  data: ClusterData;
  needs: Needs;
  /** Makes a namespace as a run makes it, or gives the one that the run is kept to. Only where that is allowed. */
  namespace(): Promise<string>;
  /** The run is kept to this namespace. */
  given?: string;
  onProgress(message: string): void;
}

const ARCHITECTURES = ['amd64', 'arm64'];

/** An image that a node has not got in so long it is taken to have not at all. */
const PULL_SECONDS = 120;

/** Clusters that grow by themselves need about so long for a first node. */
const NODE_SECONDS = 60;

/** Tokens live minutes, and API servers allow no difference at all. */
const CLOCK_SECONDS = 5;

/**
 * Tells what a pod of the harness sees, to whoever asks and in its log: its clock, and whether names of the cluster
 * resolve.
 */
const LOOK = `
const at = Date.now();
const seen = new Promise((resolve) => require('node:dns').lookup('kubernetes.default.svc', (error) =>
  resolve(JSON.stringify({ arch: process.arch, at, dns: error === null ? 'yes' : error.code }))));
seen.then(console.log);
require('node:http').createServer((_, response) => seen.then((text) => response.end(text))).listen(8080);
`;

/** A name that does not resolve takes so long to fail, by the usual resolv.conf. */
const ANSWER_SECONDS = 30;

/** Policies drop what they deny, and say nothing. */
const REACH_MS = 10_000;
const REACHED = 'reached';

async function missingRights({ data, needs, given }: PreflightOptions): Promise<Lack[]> {
  const config = new KubeConfig();
  config.loadFromString(data.kubeConfig);
  const api = config.makeApiClient(AuthorizationV1Api);
  const isAllowed = async ({ verb, group, resource, scope }: NeededRight): Promise<boolean> => {
    const [name = '', subresource] = resource.split(/(?<=^[^/]+)\//);
    const spec =
      scope === 'path'
        ? { nonResourceAttributes: { path: resource, verb } }
        : {
            resourceAttributes: {
              verb,
              group,
              resource: name,
              ...(subresource === undefined ? {} : { subresource }),
              ...(scope === 'namespace' && given !== undefined ? { namespace: given } : {}),
            },
          };
    return (await api.createSelfSubjectAccessReview({ body: { spec } })).status?.allowed === true;
  };
  const answers = await Promise.all(needs.rights.map(async (right) => ({ right, allowed: await isAllowed(right) })));
  return answers
    .filter(({ allowed }) => !allowed)
    .map(({ right }) => ({
      missing: `right: ${describeNeed(right)}`,
      found: 'SelfSubjectAccessReview: not allowed',
      mend: 'conformance plan --output rbac shows the Role that grants it',
      requirements: right.requirements,
    }));
}

function idle(image: string, name: string): V1Pod {
  return { metadata: { name }, spec: podSpec(image, 'default', { name: 'probe', command: ['true'] }) };
}

/** A pod as those of the harness that serve something: observers, probes, the identity provider. */
function server(image: string, namespace: string): V1Pod {
  const container = { name: 'server', workload: 'token-probe', port: 8080 };
  return workloadPod({ namespace, name: 'preflight', image, serviceAccount: 'default', containers: [container] });
}

/** APIs that a cluster serves only where somebody has installed them, by the role that is seen by them. */
const FURTHER_APIS = ROLE_DEFINITIONS.flatMap(({ role, furtherApi }) =>
  furtherApi === undefined ? [] : [{ role, ...furtherApi }],
);

async function missingApis({ data, needs }: PreflightOptions): Promise<Lack[]> {
  const lacks = await Promise.all(
    FURTHER_APIS.map(async ({ role, api, mend }): Promise<Lack[]> => {
      const requirements = needs.requirements.filter((row) => row.role === role).map(({ id }) => id);
      if (requirements.length === 0) {
        return [];
      }
      const response = await createClusterHandle(data).request(`/apis/${api}`);
      await response.arrayBuffer();
      const found = `GET /apis/${api}: ${response.status}`;
      return response.ok ? [] : [{ missing: `the API ${api}`, found, mend, requirements }];
    }),
  );
  return lacks.flat();
}

/** What a policy, a quota or Pod Security says to the objects of the harness; nothing is made. */
async function refusedObjects(
  { data, needs, given }: PreflightOptions,
  namespace: string | undefined,
): Promise<Lack[]> {
  const config = new KubeConfig();
  config.loadFromString(data.kubeConfig);
  const { core } = createClusterHandle(data);
  const everything = needs.requirements.map(({ id }) => id);
  const attempt = async (what: string, make: () => Promise<unknown>): Promise<Lack[]> => {
    try {
      await make();
      return [];
    } catch (error) {
      const answer = describeAnswer(error);
      if (answer === undefined) {
        throw error;
      }
      // What one may not do at all is told as a right already.
      if (refuserOf((error as ApiException<unknown>).code, answer) !== 'policy') {
        return [];
      }
      return [
        {
          missing: `admission of ${what}`,
          found: answer,
          mend: 'give the harness’s objects what the policy asks for by --settings',
          requirements: everything,
        },
      ];
    }
  };
  if (namespace === undefined) {
    if (given !== undefined) {
      return [];
    }
    const metadata = { name: 'kac-preflight', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } };
    return attempt('a namespace', () => core.createNamespace({ body: { metadata }, dryRun: 'All' }));
  }
  const pod = idle(data.workloadImage, 'preflight');
  const { spec = { containers: [] } } = pod;
  const job = { metadata: { name: 'preflight' }, spec: { template: { spec } } };
  const makesJobs = needs.objects.some(({ resource }) => resource === 'jobs.batch');
  // Its kinds of pods ask for different resources, and a quota may say no to one of them.
  const kinds = [pod, server(data.workloadImage, namespace)];
  return [
    ...(await attempt('a pod', async () => {
      for (const body of kinds) {
        await core.createNamespacedPod({ namespace, body, dryRun: 'All' });
      }
    })),
    ...(makesJobs
      ? await attempt('a Job', () =>
          config.makeApiClient(BatchV1Api).createNamespacedJob({ namespace, body: job, dryRun: 'All' }),
        )
      : []),
  ];
}

/** Starts a pod of each image once: whether it can be pulled, and what a pod sees. */
async function missingImages(options: PreflightOptions, namespace: string): Promise<Lack[]> {
  const lacks = await Promise.all(options.needs.images.map((image) => tryImage(options, namespace, image)));
  return lacks.flat();
}

async function tryImage(
  { data, needs, onProgress }: PreflightOptions,
  namespace: string,
  { name, reference, variable, why, requirements }: NeededImage,
): Promise<Lack[]> {
  if (reference === undefined) {
    const mend = `push it to a registry that the nodes can reach, and name it in ${variable}`;
    return [{ missing: `image: ${why}`, found: `${variable} is not set`, mend, requirements }];
  }
  const cluster = createClusterHandle(data);
  const pod = `preflight-${name}`;
  const isNode = name === 'node';
  const spec = podSpec(reference, 'default', {
    name: 'probe',
    command: isNode ? ['node', '--eval', LOOK] : ['true'],
    ...(isNode
      ? { readinessProbe: { httpGet: { port: 8080 }, periodSeconds: 1, timeoutSeconds: ANSWER_SECONDS } }
      : {}),
  });
  const lack = (missing: string, found: string, mend: string): Lack[] => [{ missing, found, mend, requirements }];
  try {
    await cluster.core.createNamespacedPod({ namespace, body: { metadata: { name: pod }, spec } });
  } catch (error) {
    return lack('a pod of the harness', describeError(error), 'see the rights and --settings');
  }
  try {
    await cluster.watchPod(namespace, pod, ({ object }) => (object.spec?.nodeName === undefined ? undefined : true), {
      what: `a node for a pod of the image ${reference}`,
      deadlineSeconds: NODE_SECONDS,
    });
    const started = await cluster.watchPod(
      namespace,
      pod,
      ({ object }) => {
        const state = object.status?.containerStatuses?.[0]?.state;
        // One pull may fail; a kubelet that waits before the next one has seen it fail again.
        const lacked = state?.waiting?.reason === 'ErrImagePull' ? undefined : lackedByPod(object, [reference]);
        if (lacked !== undefined && !/no node takes it/.test(lacked)) {
          throw new HarnessError(lacked);
        }
        return state?.terminated !== undefined || (isNode && isReady(object)) ? object : undefined;
      },
      { what: `a pod of the image ${reference} to run`, deadlineSeconds: PULL_SECONDS },
    );
    if (!isNode) {
      return [];
    }
    return [
      ...(await lookAround(cluster, started, needs, onProgress)),
      ...(await reachFromPods(cluster, started, reference, needs)),
    ];
  } catch (error) {
    if (!(error instanceof HarnessError || error instanceof DeadlineExceeded)) {
      throw error;
    }
    const mend = `let the nodes pull it, or name another one in ${variable}; for room, tolerations and selectors see --settings`;
    return lack(`image ${reference}: ${why}`, describeError(error), mend);
  } finally {
    // What is left goes with the run.
    await cluster.core.deleteNamespacedPod({ namespace, name: pod, gracePeriodSeconds: 0 }).catch(() => undefined);
  }
}

/** What the first pod tells, through the API server as the requirements ask their pods, else by its log. */
async function lookAround(
  cluster: ClusterHandle,
  pod: V1Pod,
  needs: Needs,
  onProgress: (message: string) => void,
): Promise<Lack[]> {
  const { namespace = '', name = '' } = pod.metadata ?? {};
  const everything = needs.requirements.map(({ id }) => id);
  const lacks: Lack[] = [];
  let text = '';
  try {
    const answer = await cluster.podFetch(namespace, name, 8080, '/', {
      signal: AbortSignal.timeout(ANSWER_SECONDS * 1000),
    });
    text = await answer.text();
    if (!answer.ok) {
      throw new Error(`${answer.status} ${text}`);
    }
  } catch (error) {
    const proxied = needs.rights
      .filter(({ resource }) => resource === 'pods/proxy')
      .flatMap(({ requirements }) => requirements);
    lacks.push({
      missing: 'a way from the API server to pods',
      found: `GET of a pod through its proxy: ${describeError(error).slice(0, 300)}`,
      mend: 'let the API server reach pods of the run’s namespaces (a default-deny NetworkPolicy?), and grant pods/proxy',
      requirements: [...new Set(proxied)],
    });
    text = (await readLog(cluster, namespace, name)).body.toString();
  }
  let seen: { arch: string; at: number; dns: string };
  try {
    seen = JSON.parse(text) as typeof seen;
  } catch {
    const found = `${describePod(pod)}; it told: ${text.slice(0, 200) || 'nothing'}`;
    const mend = 'name an image of Node 22 or later, and see DNS in pods';
    return [
      ...lacks.filter(({ requirements }) => requirements.length > 0),
      { missing: 'a stock Node in a pod', found, mend, requirements: everything },
    ];
  }
  onProgress(`a pod runs (${seen.arch}), DNS ${seen.dns === 'yes' ? 'answers' : `fails: ${seen.dns}`}`);
  if (seen.dns !== 'yes') {
    lacks.push({
      missing: 'DNS in pods',
      found: `kubernetes.default.svc: ${seen.dns}`,
      mend: 'let pods of the run’s namespaces ask the cluster’s DNS (a default-deny NetworkPolicy?)',
      requirements: needs.requirements.filter(asksForNames).map(({ id }) => id),
    });
  }
  const startedAt = pod.status?.containerStatuses?.[0]?.state?.running?.startedAt;
  const difference = startedAt === undefined ? 0 : Math.abs(new Date(startedAt).getTime() - seen.at) / 1000;
  if (difference > CLOCK_SECONDS) {
    lacks.push({
      missing: 'clocks that agree',
      found: `the clocks of a node and of a pod on it differ by ${difference.toFixed(0)} s`,
      mend: 'synchronise the clocks of the nodes',
      requirements: everything,
    });
  }
  return lacks.filter(({ requirements }) => requirements.length > 0);
}

/** A second pod asks the first one, as token clients ask the harness's identity provider. */
async function reachFromPods(cluster: ClusterHandle, first: V1Pod, image: string, needs: Needs): Promise<Lack[]> {
  const requirements = needs.requirements.filter(asksForNames).map(({ id }) => id);
  const { namespace = '' } = first.metadata ?? {};
  const address = first.status?.podIP ?? '';
  if (requirements.length === 0) {
    return [];
  }
  const name = 'preflight-reach';
  const host = address.includes(':') ? `[${address}]` : address;
  const script = `fetch('http://${host}:8080/', { signal: AbortSignal.timeout(${REACH_MS}) }).then(
    (answer) => console.log('${REACHED}', answer.status), (error) => console.log(String(error.cause ?? error)))`;
  const spec = podSpec(image, 'default', { name: 'probe', command: ['node', '--eval', script] });
  try {
    await cluster.core.createNamespacedPod({ namespace, body: { metadata: { name }, spec } });
    await cluster.watchPod(namespace, name, ({ object }) => object.status?.containerStatuses?.[0]?.state?.terminated, {
      what: 'a pod that asks another one',
      deadlineSeconds: NODE_SECONDS,
    });
    return pathLacks((await readLog(cluster, namespace, name)).body.toString(), requirements);
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
          mend: 'let pods of the run’s namespaces reach each other (a default-deny NetworkPolicy?)',
          requirements,
        },
      ];
}

/** Requirements whose pods look for others by their names. */
function asksForNames({ role, preconditions }: Needs['requirements'][number]): boolean {
  return roleDefinition(role).looksUpNames === true || preconditions?.cluster?.includes('network-policies') === true;
}

/** The API server says what time it is in every answer. */
async function clockDifference({ data, needs }: PreflightOptions): Promise<Lack[]> {
  const response = await createClusterHandle(data).request('/version');
  await response.arrayBuffer();
  const said = Date.parse(response.headers.get('date') ?? '');
  const difference = Math.abs(said - Date.now()) / 1000;
  if (!(difference > CLOCK_SECONDS)) {
    return [];
  }
  return [
    {
      missing: 'clocks that agree',
      found: `the clocks of this host and of the API server differ by ${difference.toFixed(0)} s`,
      mend: 'synchronise the clock of this host',
      requirements: needs.requirements.map(({ id }) => id),
    },
  ];
}

/** A list, or undefined where the harness may not see it. */
async function listed<T>(data: ClusterData, path: string): Promise<T[] | undefined> {
  const response = await createClusterHandle(data).request(path);
  const body = (await response.json()) as { items?: T[] };
  return response.ok ? (body.items ?? []) : undefined;
}

async function unfitNodes({ data, needs, onProgress }: PreflightOptions): Promise<Lack[]> {
  const nodes = await listed<V1Node>(data, '/api/v1/nodes');
  if (nodes === undefined) {
    onProgress('nodes may not be listed: versions and architectures are not known');
    return [];
  }
  const fit = nodes.filter(
    ({ spec, status }) =>
      spec?.unschedulable !== true &&
      status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true &&
      status.nodeInfo?.operatingSystem === 'linux' &&
      ARCHITECTURES.includes(status.nodeInfo.architecture),
  );
  onProgress(
    `${fit.length} of ${nodes.length} nodes are fit (${[...new Set(fit.map(({ status }) => `${status?.nodeInfo?.architecture}, ${status?.nodeInfo?.kubeletVersion}`))].join('; ')})`,
  );
  if (fit.length > 0) {
    return [];
  }
  return [
    {
      missing: 'a node',
      found: `of ${nodes.length} nodes none is Ready, schedulable, Linux and of ${ARCHITECTURES.join(' or ')}`,
      mend: 'add one, or uncordon one',
      requirements: needs.requirements.map(({ id }) => id),
    },
  ];
}

async function missingStorage({ data, needs }: PreflightOptions): Promise<Lack[]> {
  const { storage: ids } = needs;
  if (ids.length === 0 || data.storageClass !== undefined) {
    return [];
  }
  const classes = await listed<V1StorageClass>(data, '/apis/storage.k8s.io/v1/storageclasses');
  if (classes === undefined || classes.length === 1 || defaultOf(classes) !== undefined) {
    return [];
  }
  const names = classes.map(({ metadata }) => metadata?.name).join(', ') || 'none at all';
  return [
    {
      missing: 'a StorageClass to use',
      found: `none is the default one; there are ${names}`,
      mend: 'storageClassName in --settings, or storage.readWriteOnce (a name, or `false`) in a target file of role cluster',
      requirements: ids,
    },
  ];
}

/**
 * Finds out in seconds, before the first requirement, what a live cluster lacks for the harness: rights, admission,
 * images, nodes, storage, DNS, clocks. What it makes for that goes with the run.
 *
 * @returns what is missing; nothing for a cluster on which everything that is planned can be evaluated
 */
export async function preflight(options: PreflightOptions): Promise<Lack[]> {
  const { needs, data } = options;
  const before = await Promise.all([
    missingRights(options),
    refusedObjects(options, undefined),
    unfitNodes(options),
    missingStorage(options),
    missingApis(options),
    clockDifference(options),
  ]);
  const lacks = before.flat();
  if (data.refusesServiceAccounts === true) {
    lacks.push({
      missing: 'an API server that takes ServiceAccount tokens',
      found: 'a fresh token of a ServiceAccount is answered with 401 at the server of the kubeconfig',
      mend: 'use a kubeconfig that leads to the API server itself, and not to a front of it',
      requirements: needs.requirements.filter(presentsTokens).map(({ id }) => id),
    });
  }
  const blocked = (resource: string): boolean =>
    lacks.some(
      ({ missing }) =>
        missing === `right: create ${resource}` || missing === 'admission of a namespace' || missing === 'a node',
    );
  if (needs.requirements.length === 0 || blocked('pods') || (options.given === undefined && blocked('namespaces'))) {
    return lacks;
  }
  const namespace = await options.namespace();
  const refused = await refusedObjects(options, namespace);
  lacks.push(...refused);
  if (refused.length === 0) {
    lacks.push(...(await missingImages(options, namespace)));
  }
  return lacks;
}

/** Roles and suites whose requirements show a ServiceAccount's token to the API server. */
function presentsTokens({ role, suite }: Needs['requirements'][number]): boolean {
  return (
    roleDefinition(role).isAtApiServer === true ||
    ['audience-isolation', 'rbac-minimal', 'token-rotation'].includes(suite)
  );
}

/** One line for each thing that is missing, with what it is for and how to mend it. */
export function renderLacks(lacks: readonly Lack[]): string[] {
  return lacks.flatMap(({ missing, found, mend, requirements }) => [
    `  ${missing}`,
    `      found: ${found}`,
    `      needed by: ${requirements.length > 8 ? `${requirements.length} requirements (${requirements.slice(0, 5).join(', ')}, …)` : requirements.join(', ')}`,
    `      mend: ${mend}`,
  ]);
}

/** Why each requirement cannot be evaluated that lacks something. */
export function lackingOf(lacks: readonly Lack[]): Record<string, string> {
  const reasons = new Map<string, string[]>();
  for (const { missing, found, requirements } of lacks) {
    for (const id of requirements) {
      reasons.set(id, [...(reasons.get(id) ?? []), `${missing} (${found})`]);
    }
  }
  return Object.fromEntries(
    [...reasons].map(([id, list]) => [id, `this cluster lacks for the harness: ${list.join('; ')}`]),
  );
}
