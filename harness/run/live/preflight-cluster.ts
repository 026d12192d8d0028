import { AuthorizationV1Api, KubeConfig, type V1Node } from '@kubernetes/client-node';
import type { ClusterData } from '../../kubernetes/cluster-data.ts';
import { createClusterHandle } from '../../kubernetes/cluster-handle.ts';
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
export async function listed<T>(data: ClusterData, path: string): Promise<T[] | undefined> {
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
