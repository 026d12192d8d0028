import { readFileSync } from 'node:fs';
import { loadCatalogue, type Requirement } from '../../catalogue/catalogue.ts';
import type { PolicyRule } from '../../core/policy-rule.ts';
import type { LedgerEntry } from '../../environment/cluster/kubeconfig/ledger.ts';
import { type LiveImageName, liveImage, liveImageVariable } from '../../environment/images/live-images.ts';
import { documentedRules } from '../../kubernetes/harness-rights.ts';
import { ruleAllows } from '../../kubernetes/rbac.ts';
import type { NodeImage } from '../../role-data/index.ts';
import { ROLE_DEFINITIONS, roleDefinition } from '../../roles/index.ts';
import type { Target } from '../../targets/load.ts';

/** Where a right has to hold. */
export type Scope = 'cluster' | 'namespace' | 'path';

/** One thing that the harness has to be allowed on a live cluster. */
export interface NeededRight {
  verb: string;
  group: string;
  /** With its subresource, as `pods/log`; a path where the scope is one. */
  resource: string;
  scope: Scope;
  why: string;
  /** Ids of the requirements that need it; all of them where it is for the run itself. */
  requirements: string[];
}

export interface NeededImage {
  name: LiveImageName;
  /** Undefined where nobody has said yet where the cluster can pull it. */
  reference: string | undefined;
  /** Environment variable that names another one. */
  variable: string;
  why: string;
  requirements: string[];
}

export interface Needs {
  /** What can be evaluated on a live cluster at all. */
  requirements: Requirement[];
  /** What cannot, and why. */
  notApplicable: { id: string; reason: string }[];
  rights: NeededRight[];
  /** How many objects are made, by resource, where nothing is repeated. */
  objects: { resource: string; count: number; scope: Scope }[];
  images: NeededImage[];
  /** Ids of requirements that look for the StorageClass of ordinary claims. */
  storage: string[];
  /** A rough guess in seconds. */
  seconds: number;
}

export interface NeedsOptions {
  targets?: Target[];
  /** The run is kept to namespaces that exist. */
  namespaces?: string[];
  env?: NodeJS.ProcessEnv;
}

/**
 * Requests of each requirement on a live cluster with every right, measured at the harness's door to it: how often
 * each. `cluster list nodes` is about the whole cluster, `get /version` about a path, everything else is in a
 * namespace. Written by `npm run measure-rights`, and held against the real requests by `npm test`.
 */
type Measured = Record<string, Record<string, number>>;

export function readMeasured(): Measured {
  return JSON.parse(readFileSync(new URL('./measured.json', import.meta.url), 'utf8')) as Measured;
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/**
 * What was measured of requirements of the same suite and role, else of the same role: for one that was never measured.
 * Where all requirements of a role share one observation, any of them may be the one that makes it.
 */
function ofOthers(row: Requirement, measured: Measured, requirements: readonly Requirement[]): Record<string, number> {
  const measuredRows = requirements.filter(({ id, role }) => role === row.role && measured[id] !== undefined);
  const isShared = roleDefinition(row.role).sharesOneObservation === true;
  const near = isShared ? [] : measuredRows.filter(({ suite }) => suite === row.suite);
  // How often cannot be told from others.
  return Object.fromEntries(
    (near.length > 0 ? near : measuredRows).flatMap(({ id }) =>
      Object.keys(measured[id] ?? {}).map((right) => [right, 1]),
    ),
  );
}

/** Requirements that look for a StorageClass for ordinary claims, where no target file says which. */
function needStorage(requirements: readonly Requirement[], measured: Measured, targets: readonly Target[]): string[] {
  const isDeclared = targets.some((target) => roleDefinition(target.role).namesStorageClass?.(target) === true);
  if (isDeclared) {
    return [];
  }
  return requirements
    .filter(
      ({ id, preconditions }) =>
        preconditions?.cluster?.includes('storage') === true ||
        measured[id]?.['cluster list storageclasses.storage.k8s.io'] !== undefined,
    )
    .map(({ id }) => id);
}

/** The words of {@link Measured} for what a ledger holds. */
export function measuredOf(entries: readonly LedgerEntry[]): Measured {
  const measured: Measured = {};
  for (const { requirement, verb, group, resource, path, namespaced, count } of entries) {
    if (requirement === undefined) {
      continue;
    }
    const what = resource === undefined ? `${verb} ${path}` : `${verb} ${withGroup(resource, group)}`;
    const key = resource === undefined || namespaced ? what : `cluster ${what}`;
    const row = measured[requirement] ?? {};
    row[key] = (row[key] ?? 0) + count;
    measured[requirement] = row;
  }
  return measured;
}

/**
 * Rights that a run asked for and that no requirement of the same role was measured to need. What they share is asked
 * for by whichever comes first, and some things are asked only when something goes wrong.
 */
export function unmeasured(entries: readonly LedgerEntry[], requirements: readonly Requirement[]): string[] {
  const measured = readMeasured();
  const asked = measuredOf(entries);
  const roleOf = new Map(requirements.map(({ id, role }): [string, string] => [id, role]));
  const known = new Map<string, Set<string>>();
  for (const [id, row] of Object.entries(measured)) {
    const role = roleOf.get(id) ?? '';
    known.set(role, new Set([...(known.get(role) ?? []), ...Object.keys(row)]));
  }
  return Object.entries(asked).flatMap(([id, row]) =>
    Object.keys(row)
      .filter((right) => known.get(roleOf.get(id) ?? '')?.has(right) !== true)
      .map((right) => `${id} asks to ${right}, which \`conformance plan\` does not know: npm run measure-rights`),
  );
}

function withGroup(resource: string, group: string): string {
  const [kind = '', subresource] = resource.split(/(?<=^[^/]+)\//);
  return `${kind}${group === '' ? '' : `.${group}`}${subresource === undefined ? '' : `/${subresource}`}`;
}

function parseMeasured(text: string): Pick<NeededRight, 'verb' | 'group' | 'resource' | 'scope'> {
  const isCluster = text.startsWith('cluster ');
  const [verb = '', what = ''] = (isCluster ? text.slice('cluster '.length) : text).split(' ');
  if (what.startsWith('/')) {
    return { verb, group: '', resource: what, scope: 'path' };
  }
  const [named = '', subresource] = what.split('/');
  const [resource = '', ...group] = named.split('.');
  return {
    verb,
    group: group.join('.'),
    resource: subresource === undefined ? resource : `${resource}/${subresource}`,
    scope: isCluster ? 'cluster' : 'namespace',
  };
}

/** Why the harness asks for what it asks for, by resource. */
const WHY: Record<string, string> = {
  namespaces: 'makes namespaces of its own, and removes them in the end',
  nodes: 'reads versions and architectures of the nodes',
  pods: 'starts pods that look, and reads what became of them',
  'pods/log': 'reads what its pods print',
  'pods/proxy': 'talks to its pods through the API server',
  'pods/exec': 'runs commands in its pods',
  'pods/portforward': 'reaches the identity provider that it runs as a pod',
  'pods/eviction': 'evicts its pods, as a drained node does',
  'pods/status': 'reports of its pods what a node that shuts down does',
  'pods/ephemeralcontainers': 'adds a container to its pods, as kubectl debug does',
  'services/proxy': 'talks to its Services through the API server',
  services: 'gives its pods a name',
  serviceaccounts: 'makes the ServiceAccounts that are evaluated',
  'serviceaccounts/token': 'asks for tokens of its ServiceAccounts',
  configmaps: 'brings the code of its pods',
  secrets: 'makes Secrets of its own for pods that mount them',
  persistentvolumeclaims: 'makes claims, and sees what becomes of them',
  events: 'reads why something did not happen',
  jobs: 'makes Jobs, and sees what becomes of them',
  cronjobs: 'makes CronJobs',
  deployments: 'makes Deployments',
  ingressroutes: 'sees the routes that a session operator makes',
  middlewares: 'makes the middleware that sessions are behind',
  customresourcedefinitions: 'installs what the target file names in install.files',
  networkpolicies: 'makes NetworkPolicies in its own namespaces',
  storageclasses: 'finds the StorageClass for its claims',
  roles: 'gives the ServiceAccounts that are evaluated their rights',
  rolebindings: 'gives the ServiceAccounts that are evaluated their rights',
  clusterroles: 'gives what is evaluated the cluster rights that it documents',
  clusterrolebindings: 'gives what is evaluated the cluster rights that it documents',
  '/.well-known/openid-configuration': 'reads who issues the tokens of the cluster',
  '/openid/v1/jwks': 'reads the keys that the tokens of the cluster are verified with',
  tokenreviews: 'asks whether the cluster takes a token',
  localsubjectaccessreviews: 'asks whether a right is known already',
  subjectaccessreviews: 'asks whether a right is known already',
};

const why = (resource: string): string => WHY[resource] ?? WHY[resource.split('/')[0] ?? ''] ?? 'asks the cluster';

/**
 * Rights without which a requirement evaluates less, and says so, or finds another way: of cluster-wide controls, and
 * to list StorageClasses.
 */
function isOptional(
  { verb, group, resource, scope }: Pick<NeededRight, 'verb' | 'group' | 'resource' | 'scope'>,
  row: Requirement,
): boolean {
  // What a quota makes is left out where none may be made.
  if (resource === 'resourcequotas') {
    return true;
  }
  if (resource === 'storageclasses') {
    return row.preconditions?.cluster?.includes('read-write-many') !== true;
  }
  // RB-01 evaluates the calls that its harness may make controls of.
  if (row.id === 'RB-01' && scope === 'cluster') {
    return true;
  }
  return scope === 'cluster' && CONTROLS.some((rule) => ruleAllows(rule, { verb, group, resource }));
}

/** The controls of RB-01, as the documented manifest has them. */
const CONTROLS = documentedRules('kube-agent-conformance-controls');

/**
 * Everybody may ask these of himself, and everybody's own questions need no right (Kubernetes, "Default roles and role
 * bindings").
 */
/** What stays for a while after it is deleted. */
const LINGERS = new Set(['pods', 'jobs', 'cronjobs', 'deployments', 'statefulsets', 'persistentvolumeclaims']);

/** Paths that every user may read, by the ClusterRole system:discovery. */
const DISCOVERY = /^\/(api|apis|version|openapi|healthz|livez|readyz)(\/|$)/;

const FREE = new Set(['selfsubjectaccessreviews', 'selfsubjectrulesreviews', 'selfsubjectreviews']);

/** Needed by the run itself, whatever is selected. */
function ofTheRun(given: boolean): Pick<NeededRight, 'verb' | 'group' | 'resource' | 'scope'>[] {
  const namespaces = (['create', 'delete', 'get', 'watch'] as const).map((verb) => ({
    verb,
    group: '',
    resource: 'namespaces',
    scope: 'cluster' as const,
  }));
  const serviceAccounts = (['get', 'watch'] as const).map((verb) => ({
    verb,
    group: '',
    resource: 'serviceaccounts',
    scope: 'namespace' as const,
  }));
  const token = { verb: 'create', group: '', resource: 'serviceaccounts/token', scope: 'namespace' as const };
  // By a ConfigMap it holds a namespace of somebody else.
  const claim = { verb: 'create', group: '', resource: 'configmaps', scope: 'namespace' as const };
  return [...(given ? [claim, { ...claim, verb: 'get' }] : namespaces), ...serviceAccounts, token];
}

/**
 * Of requirements that run an implementation as a ServiceAccount with the rights that it documents; the run makes it,
 * for whichever asks.
 */
function ofAccess(given: boolean): Pick<NeededRight, 'verb' | 'group' | 'resource' | 'scope'>[] {
  const rbac = 'rbac.authorization.k8s.io';
  return [
    { verb: 'create', group: '', resource: 'serviceaccounts', scope: 'namespace' },
    { verb: 'create', group: rbac, resource: 'roles', scope: 'namespace' },
    { verb: 'update', group: rbac, resource: 'roles', scope: 'namespace' },
    // An administrator of a namespace holds there what an implementation needs, and may give it.
    ...(given ? [] : TO_GIVE).map((verb) => ({ verb, group: rbac, resource: 'roles', scope: 'namespace' as const })),
    { verb: 'create', group: rbac, resource: 'rolebindings', scope: 'namespace' },
  ];
}

/**
 * To give a ServiceAccount more than one has oneself takes these (Kubernetes, "Using RBAC Authorization", privilege
 * escalation).
 */
const TO_GIVE = ['bind', 'escalate'];

function imagesOf(rows: Requirement[], env: NodeJS.ProcessEnv): NeededImage[] {
  const starting = (name: NodeImage): string[] =>
    rows.filter(({ role }) => roleDefinition(role).nodeImages?.includes(name) === true).map(({ id }) => id);
  const image = (name: NeededImage['name'], requirements: string[], reason: string): NeededImage[] => {
    const variable = liveImageVariable(name);
    const reference = liveImage(name, env);
    return requirements.length === 0 ? [] : [{ name, reference, variable, why: reason, requirements }];
  };
  return [
    ...image(
      'node',
      rows.map(({ id }) => id),
      'a stock Node, for the pods of the harness',
    ),
    ...image('workload', starting('workload'), 'the agent of tasks and sessions (fixtures/images/workload)'),
    ...ROLE_DEFINITIONS.flatMap(({ role, referenceImage }) => {
      const { name, requirements = [] } = referenceImage ?? {};
      const running = rows.filter(({ id }) => requirements.includes(id)).map(({ id }) => id);
      const reason = `the reference ${role.replaceAll('-', ' ')} (fixtures/images/${name})`;
      return name === undefined ? [] : image(name, running, reason);
    }),
  ];
}

/** Capabilities of a cluster that only one of the harness's own has. */
const OWNED = {
  'harness-owned': 'a cluster that the harness starts',
  'signing-key': 'the key that signs ServiceAccount tokens',
} as const;

function whyNot({ preconditions }: Requirement): string | undefined {
  const owned = (Object.keys(OWNED) as (keyof typeof OWNED)[]).find(
    (word) => preconditions?.cluster?.includes(word) === true,
  );
  if (owned !== undefined) {
    return `it needs ${OWNED[owned]}, and a live cluster is somebody else's`;
  }
  return undefined;
}

/** Whether the harness runs its own provider inside the cluster for a requirement: no target file gives another one. */
function needsProvider({ role }: Requirement, targets: Target[]): boolean {
  const isGiven = targets.some((target) => {
    const given = roleDefinition(target.role).environmentOptions?.(target)?.identityProviderTarget;
    return given !== undefined && given.server.kind !== 'embedded';
  });
  return roleDefinition(role).usesIdentityProvider('run') && !isGiven;
}

/** Of the harness's own identity provider, which runs as a pod that the harness reaches by a port-forward. */
function ofTheProvider(): Pick<NeededRight, 'verb' | 'group' | 'resource' | 'scope'>[] {
  const right = (verb: string, resource: string) => ({ verb, group: '', resource, scope: 'namespace' as const });
  return [
    ...['serviceaccounts', 'configmaps', 'secrets', 'services', 'pods'].map((resource) => right('create', resource)),
    right('watch', 'pods'),
    right('get', 'pods/portforward'),
    right('create', 'pods/portforward'),
  ];
}

/**
 * On the real clock a token lives 600 s and is replaced after 80 % of it; on an idle machine the rest runs in its
 * shadow.
 */
const ROTATION_SECONDS = 700;

/**
 * What the harness needs of a live cluster to evaluate these requirements. Asks nobody.
 *
 * A requirement that was never measured there is taken to need what the others of its suite and role do, where its role
 * does not say what.
 */
export function needsOf(selected: Requirement[], options: NeedsOptions = {}): Needs {
  const { targets = [], namespaces = [], env = process.env } = options;
  const measured = readMeasured();
  const all = once(() => loadCatalogue().requirements);
  const given = namespaces.length > 0;
  const applicable = selected.filter((row) => whyNot(row) === undefined);
  const notApplicable = selected.flatMap((row) => {
    const reason = whyNot(row);
    return reason === undefined ? [] : [{ id: row.id, reason }];
  });
  const rights = new Map<string, NeededRight>();
  const add = (right: Pick<NeededRight, 'verb' | 'group' | 'resource' | 'scope'>, id: string): void => {
    if (FREE.has(right.resource) || (right.scope === 'path' && DISCOVERY.test(right.resource))) {
      return;
    }
    const key = `${right.scope} ${right.verb} ${right.group}/${right.resource}`;
    const known = rights.get(key) ?? { ...right, why: why(right.resource), requirements: [] };
    if (!known.requirements.includes(id)) {
      known.requirements.push(id);
    }
    rights.set(key, known);
  };
  const objects = new Map<string, { resource: string; count: number; scope: Scope }>();
  for (const row of applicable) {
    for (const right of ofTheRun(given)) {
      add(right, row.id);
    }
    if (needsProvider(row, targets)) {
      for (const right of ofTheProvider()) {
        add(right, row.id);
      }
    }
    if (roleDefinition(row.role).isAtApiServer === true) {
      for (const right of ofAccess(given)) {
        add(right, row.id);
      }
    }
    const asked = roleDefinition(row.role).askedOnLiveClusters?.(row, targets);
    for (const [text, count] of Object.entries(asked ?? measured[row.id] ?? ofOthers(row, measured, all()))) {
      const parsed = parseMeasured(text);
      // A Role in a namespace is enough to read that namespace.
      const right =
        given && parsed.resource === 'namespaces' && parsed.verb === 'get'
          ? { ...parsed, scope: 'namespace' as const }
          : parsed;
      if (isOptional(right, row)) {
        continue;
      }
      add(right, row.id);
      // A GET that becomes a WebSocket is asked for again, as what it does (Kubernetes 1.35).
      if (right.verb === 'get' && right.resource === 'pods/exec') {
        add({ ...right, verb: 'create' }, row.id);
      }
      if (right.verb === 'create' && right.resource === 'roles' && !given) {
        for (const verb of TO_GIVE) {
          add({ ...right, verb }, row.id);
        }
      }
      if (
        right.verb !== 'create' ||
        right.scope === 'path' ||
        right.resource.includes('/') ||
        /reviews$/.test(right.resource)
      ) {
        continue;
      }
      const resource = withGroup(right.resource, right.group);
      const known = objects.get(resource) ?? { resource, count: 0, scope: right.scope };
      objects.set(resource, { ...known, count: known.count + count });
    }
  }
  if (given) {
    // What was made goes by itself, and not with its namespace.
    for (const right of [...rights.values()]) {
      if (right.verb !== 'create' || right.scope !== 'namespace' || /\/|reviews$/.test(right.resource)) {
        continue;
      }
      for (const verb of LINGERS.has(right.resource) ? ['delete', 'get', 'list', 'watch'] : ['delete', 'list']) {
        for (const id of right.requirements) {
          add({ ...right, verb }, id);
        }
      }
    }
  }
  const files = new Set(applicable.map(({ suite, role }) => `${suite}/${role}`));
  if (!given && files.size > 0) {
    objects.set('namespaces', { resource: 'namespaces', count: files.size, scope: 'cluster' });
  }
  const longest = Math.max(0, ...applicable.map(({ expectedSeconds = 10 }) => expectedSeconds));
  const rotates = applicable.some(
    ({ suite, preconditions }) => suite === 'token-rotation' || preconditions?.rotations === true,
  );
  return {
    requirements: applicable,
    notApplicable,
    rights: [...rights.values()].toSorted((one, other) => compare(keyOf(one), keyOf(other))),
    objects: [...objects.values()].toSorted((one, other) => compare(one.resource, other.resource)),
    images: imagesOf(applicable, env),
    storage: needStorage(applicable, measured, targets),
    seconds: Math.ceil(Math.max(longest, rotates ? ROTATION_SECONDS : 0) + 2 * applicable.length),
  };
}

const keyOf = ({ scope, group, resource, verb }: NeededRight): string => `${scope} ${group} ${resource} ${verb}`;
const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);

/** `create pods`, `list jobs.batch in all namespaces`, `get /version`. */
export function describeNeed({ verb, group, resource, scope }: NeededRight): string {
  return `${verb} ${scope === 'path' ? resource : withGroup(resource, group)}`;
}

/** The rights as rules of a Role or ClusterRole: those of one group and scope with the same verbs in one rule. */
export function rulesOf(rights: readonly NeededRight[], scope: Scope): PolicyRule[] {
  const verbs = new Map<string, string[]>();
  for (const right of rights.filter((one) => one.scope === scope)) {
    const key = `${right.group} ${right.resource}`;
    verbs.set(key, [...(verbs.get(key) ?? []), right.verb].toSorted());
  }
  const rules = new Map<string, { group: string; resources: string[]; verbs: string[] }>();
  for (const [key, list] of verbs) {
    const [group = '', resource = ''] = key.split(' ');
    const same = `${group} ${list.join(',')}`;
    const rule = rules.get(same) ?? { group, resources: [], verbs: list };
    rule.resources.push(resource);
    rules.set(same, rule);
  }
  return [...rules.values()].map(({ group, resources, verbs: list }) =>
    scope === 'path' ? { nonResourceURLs: resources, verbs: list } : { apiGroups: [group], resources, verbs: list },
  );
}
