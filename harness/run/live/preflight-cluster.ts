import { AuthorizationV1Api, KubeConfig, type V1Node } from '@kubernetes/client-node';
import type { ClusterData } from '../../kubernetes/cluster-data.ts';
import { createClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { ROLE_DEFINITIONS, roleDefinition } from '../../roles/index.ts';
import { clockLack, idsOf, type Lack, type PreflightOptions, RIGHT } from './lacks.ts';
import { describeNeed, type NeededRight, reachesFar } from './rights.ts';

const ARCHITECTURES = ['amd64', 'arm64'];

/** Rights that the harness does not have: for itself, and to give them to what is evaluated. */
export interface MissingRights {
  own: MissingRight[];
  toGive: MissingRight[];
}

interface MissingRight extends NeededRight {
  /** Of the namespaces that the run is kept to, those in which it is missing. */
  refusedIn: string[];
}

export async function missingRights({ data, needs, given }: PreflightOptions): Promise<MissingRights> {
  const config = new KubeConfig();
  config.loadFromString(data.kubeConfig);
  const api = config.makeApiClient(AuthorizationV1Api);
  const isAllowed = async ({ verb, group, resource, scope }: NeededRight, namespace?: string): Promise<boolean> => {
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
              ...(namespace === undefined ? {} : { namespace }),
            },
          };
    return (await api.createSelfSubjectAccessReview({ body: { spec } })).status?.allowed === true;
  };
  // Whichever requirement comes next gets any of the namespaces that a run is kept to.
  const refusedIn = async (right: NeededRight): Promise<MissingRight[]> => {
    const where = right.scope === 'namespace' && given !== undefined ? given : [undefined];
    const asked = await Promise.all(
      where.map(async (namespace) => ((await isAllowed(right, namespace)) ? [] : [namespace])),
    );
    const refused = asked.flat();
    return refused.length === 0 ? [] : [{ ...right, refusedIn: refused.filter((one) => one !== undefined) }];
  };
  const missingOf = async (rights: readonly NeededRight[]): Promise<MissingRight[]> =>
    (await Promise.all(rights.map(refusedIn))).flat();
  const [own, toGive] = await Promise.all([missingOf(needs.rights), missingOf(needs.rightsToGive)]);
  const mayGiveAll = toGive.length > 0 && (await missingOf(TO_GIVE_ALL)).length === 0;
  return { own, toGive: mayGiveAll ? [] : toGive };
}

/** Whoever has these gives what they do not hold (Kubernetes, "Using RBAC Authorization", privilege escalation). */
const TO_GIVE_ALL = ['bind', 'escalate'].map(
  (verb): NeededRight => ({
    verb,
    group: 'rbac.authorization.k8s.io',
    resource: 'roles',
    scope: 'namespace',
    why: '',
    requirements: [],
  }),
);

const FAR_REACHING =
  'grant it to whoever runs the harness, or do without: it reaches too far for the Role of `conformance plan`';

/** Rights that are missing, as something that the cluster lacks for the harness. */
export function rightLacks(
  { own, toGive }: MissingRights,
  { given, needs }: Pick<PreflightOptions, 'given' | 'needs'>,
): Lack[] {
  const kept = (given ?? []).map((namespace) => ` --namespace ${namespace}`).join('');
  const fix = `conformance plan${kept} --output rbac shows the Role that grants it`;
  const lackOf = (right: MissingRight, beside: string): Lack => ({
    missing: `${RIGHT}${describeNeed(right)}${beside}`,
    found: `SelfSubjectAccessReview: not allowed${right.refusedIn.length === 0 ? '' : ` in ${right.refusedIn.join(', ')}`}`,
    fix: fix.replace('the Role', given !== undefined && right.scope !== 'namespace' ? 'the ClusterRole' : 'the Role'),
    requirements: right.requirements,
    // Whoever keeps a run to namespaces has said that it has nothing beyond them.
    ...(given !== undefined && right.scope !== 'namespace' ? { leavesOut: true } : {}),
  });
  const documenting = new Set(
    needs.requirements.filter(({ role }) => roleDefinition(role).rulesToGive !== undefined).map(({ id }) => id),
  );
  return [
    ...own.map((right) => lackOf(right, '')),
    ...toGive.flatMap((right): Lack[] => {
      const lack = lackOf(right, ' (to give it to what is evaluated)');
      // A target asks for what it documents; what a requirement gives to accounts of its own is left out.
      const isOfTarget = (id: string): boolean => documenting.has(id);
      const [ofTargets, ofAccounts] = [
        right.requirements.filter(isOfTarget),
        right.requirements.filter((id) => !isOfTarget(id)),
      ];
      const parts: Lack[] = [
        { ...lack, requirements: ofTargets },
        { ...lack, requirements: ofAccounts, leavesOut: true },
      ];
      const by = reachesFar(right) ? { fix: FAR_REACHING } : {};
      return parts.flatMap((part) => (part.requirements.length === 0 ? [] : [{ ...part, ...by }]));
    }),
  ];
}

/** APIs that a cluster serves only where somebody has installed them, by the role that is seen by them. */
const FURTHER_APIS = ROLE_DEFINITIONS.flatMap(({ role, furtherApi }) =>
  furtherApi === undefined ? [] : [{ role, ...furtherApi }],
);

export async function missingApis({ data, needs }: PreflightOptions): Promise<Lack[]> {
  const lacks = await Promise.all(
    FURTHER_APIS.map(async ({ role, api, fix }): Promise<Lack[]> => {
      const [group] = api.split('/');
      const asking = new Set(
        needs.rights.filter((right) => right.group === group).flatMap(({ requirements: ids }) => ids),
      );
      const ofRole = needs.requirements.filter((row) => row.role === role).map(({ id }) => id);
      const requirements = ofRole.filter((id) => asking.has(id));
      if (requirements.length === 0) {
        return [];
      }
      const response = await createClusterHandle(data).request(`/apis/${api}`);
      await response.arrayBuffer();
      const found = `GET /apis/${api}: ${response.status}`;
      // Whoever has a target of the role wants it evaluated; of a reference nothing is lost.
      const isReference = !needs.targetRoles.includes(role);
      const lack: Lack = { missing: `the API ${api}`, found, fix, requirements };
      return response.ok ? [] : [isReference ? { ...lack, leavesOut: true } : lack];
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
