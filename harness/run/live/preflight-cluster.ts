import {
  type ApiException,
  AuthorizationV1Api,
  BatchV1Api,
  KubeConfig,
  type V1Node,
  type V1Pod,
  type V1StorageClass,
} from '@kubernetes/client-node';
import { describeAnswer } from '../../core/errors.ts';
import { keycloakPod } from '../../environment/identity-provider/keycloak/pod.ts';
import type { ClusterData } from '../../kubernetes/cluster-data.ts';
import { createClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { refuserOf } from '../../kubernetes/refused-objects.ts';
import { podSpec } from '../../probes/pods.ts';
import { defaultOf } from '../../probes/storage.ts';
import { workloadPod } from '../../probes/workload-pod.ts';
import { ROLE_DEFINITIONS } from '../../roles/index.ts';
import { clockLack, idsOf, type Lack, type PreflightOptions } from './lacks.ts';
import { describeNeed, type NeededRight } from './rights.ts';

const ARCHITECTURES = ['amd64', 'arm64'];

/** Rights that the harness needs and does not have. */
export async function missingRights({ data, needs, given }: PreflightOptions): Promise<NeededRight[]> {
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
  return answers.filter(({ allowed }) => !allowed).map(({ right }) => right);
}

/** A right that is missing, as something that the cluster lacks for the harness. */
export function rightLack(right: NeededRight): Lack {
  return {
    missing: `right: ${describeNeed(right)}`,
    found: 'SelfSubjectAccessReview: not allowed',
    fix: 'conformance plan --output rbac shows the Role that grants it',
    requirements: right.requirements,
  };
}

function idle(image: string, name: string): V1Pod {
  return { metadata: { name }, spec: podSpec(image, 'default', { name: 'probe', command: ['true'] }) };
}

/** A pod as those of the harness that serve something: observers, probes, the identity provider. */
function server(image: string, namespace: string): V1Pod {
  const container = { name: 'server', workload: 'token-probe', port: 8080 };
  return workloadPod({ namespace, name: 'preflight', image, serviceAccount: 'default', containers: [container] });
}

/** The pod of Keycloak, which asks for more than any other. */
function provider(image: string, nodeImage: string, namespace: string): V1Pod {
  const pod = keycloakPod({ namespace, image, nodeImage, startWith: [], serviceAccount: 'default' });
  return { ...pod, metadata: { ...pod.metadata, name: 'preflight' } };
}

/** APIs that a cluster serves only where somebody has installed them, by the role that is seen by them. */
const FURTHER_APIS = ROLE_DEFINITIONS.flatMap(({ role, furtherApi }) =>
  furtherApi === undefined ? [] : [{ role, ...furtherApi }],
);

export async function missingApis({ data, needs }: PreflightOptions): Promise<Lack[]> {
  const lacks = await Promise.all(
    FURTHER_APIS.map(async ({ role, api, fix }): Promise<Lack[]> => {
      const requirements = needs.requirements.filter((row) => row.role === role).map(({ id }) => id);
      if (requirements.length === 0) {
        return [];
      }
      const response = await createClusterHandle(data).request(`/apis/${api}`);
      await response.arrayBuffer();
      const found = `GET /apis/${api}: ${response.status}`;
      return response.ok ? [] : [{ missing: `the API ${api}`, found, fix, requirements }];
    }),
  );
  return lacks.flat();
}

const ROOM = 'make room in the quota, or let the harness’s objects ask for less by --settings';

/** What a policy, a quota or Pod Security says to the objects of the harness; nothing is made. */
export async function refusedObjects(
  { data, needs, given }: PreflightOptions,
  namespace: string | undefined,
): Promise<Lack[]> {
  const config = new KubeConfig();
  config.loadFromString(data.kubeConfig);
  const { core } = createClusterHandle(data);
  const everything = idsOf(needs);
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
          fix: /exceeded quota/.test(answer)
            ? ROOM
            : 'give the harness’s objects what the policy asks for by --settings',
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
  const keycloak = needs.images.find(({ name }) => name === 'keycloak')?.reference;
  const kinds = [
    pod,
    server(data.workloadImage, namespace),
    ...(keycloak === undefined ? [] : [provider(keycloak, data.workloadImage, namespace)]),
  ];
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

/** The API server says what time it is in every answer. */
export async function clockDifference({ data, needs }: PreflightOptions): Promise<Lack[]> {
  const response = await createClusterHandle(data).request('/version');
  await response.arrayBuffer();
  const said = Date.parse(response.headers.get('date') ?? '');
  return clockLack(
    'this host and of the API server',
    (said - Date.now()) / 1_000,
    'synchronise the clock of this host',
    needs,
  );
}

/** A list, or undefined where the harness may not see it. */
async function listed<T>(data: ClusterData, path: string): Promise<T[] | undefined> {
  const response = await createClusterHandle(data).request(path);
  const body = (await response.json()) as { items?: T[] };
  return response.ok ? (body.items ?? []) : undefined;
}

export async function unfitNodes({ data, needs, onProgress }: PreflightOptions): Promise<Lack[]> {
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
      fix: 'add one, or uncordon one',
      requirements: idsOf(needs),
    },
  ];
}

export async function missingStorage({ data, needs }: PreflightOptions): Promise<Lack[]> {
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
      fix: 'storageClassName in --settings, or storage.readWriteOnce (a name, or `false`) in a target file of role cluster',
      requirements: ids,
    },
  ];
}
