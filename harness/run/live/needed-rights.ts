import type { Requirement } from '../../catalogue/catalogue.ts';
import { documentedRules } from '../../kubernetes/harness-rights.ts';
import { ruleAllows, rightsOf as spelledOut } from '../../kubernetes/rbac.ts';
import type { RulesToGive } from '../../roles/definition.ts';
import { roleDefinition } from '../../roles/index.ts';
import type { Target } from '../../targets/load.ts';
import { GIVE, type Measured, ofOthers, parseMeasured } from './measured.ts';
import { describeNeed, type NeededRight, type Right, RightSet } from './rights.ts';

/** What the rights of a run depend on, beside what is selected. */
export interface LiveRun {
  targets: Target[];
  /** The run is kept to namespaces that exist. */
  given: boolean;
  measured: Measured;
  /** All requirements, for what was never measured. */
  all(): readonly Requirement[];
}

/** One kind of request that a requirement makes, and how often. */
export interface LiveRequest {
  right: Right;
  count: number;
}

/** What was measured of a requirement, or what its role says of it. */
function askedBy(row: Requirement, { targets, measured, all }: LiveRun): [string, number][] {
  const asked = roleDefinition(row.role).askedOnLiveClusters?.(row, targets);
  return Object.entries(asked ?? measured[row.id] ?? ofOthers(row, measured, all()));
}

/** The requests of a requirement, without those that it can do without. */
export function requestsOf(row: Requirement, run: LiveRun): LiveRequest[] {
  const { given } = run;
  return askedBy(row, run)
    .filter(([text]) => !text.startsWith(GIVE))
    .map(([text, count]) => ({ right: scoped(parseMeasured(text), given), count }))
    .filter(({ right }) => !isOptional(right, row));
}

/** A Role in a namespace is enough to read that namespace. */
function scoped(right: Right, given: boolean): Right {
  return given && right.resource === 'namespaces' && right.verb === 'get' ? { ...right, scope: 'namespace' } : right;
}

/** All rights that these requirements need. */
export function rightsOf(rows: readonly Requirement[], run: LiveRun): NeededRight[] {
  const rights = new RightSet();
  for (const row of rows) {
    rights.add(row.id, ...ofTheRun(run.given));
    if (needsProvider(row, run.targets)) {
      rights.add(row.id, ...ofTheProvider());
    }
    if (roleDefinition(row.role).isAtApiServer === true) {
      rights.add(row.id, ...ofAccess(run.given));
    }
    if (rulesToGive(row, run).cluster.length > 0) {
      rights.add(row.id, ...TO_GIVE_EVERYWHERE);
    }
    for (const { right } of requestsOf(row, run)) {
      rights.add(row.id, right, ...impliedBy(right, run.given));
    }
  }
  if (run.given) {
    addRemoval(rights);
  }
  return rights.sorted();
}

/**
 * Rights that a run which is kept to namespaces gives to what it evaluates, beside those that it needs for itself: it
 * holds them, or may escalate (Kubernetes, "Using RBAC Authorization", privilege escalation). A run with namespaces of
 * its own may `bind` and `escalate` there.
 */
export function rightsToGive(rows: readonly Requirement[], run: LiveRun): NeededRight[] {
  if (!run.given) {
    return [];
  }
  const rights = new RightSet();
  for (const row of rows) {
    const measured = askedBy(row, run).flatMap(([text]) =>
      text.startsWith(GIVE) ? [parseMeasured(text.slice(GIVE.length))] : [],
    );
    const documented = spelledOut(rulesToGive(row, run).namespaced);
    rights.add(
      row.id,
      ...measured,
      ...documented.map(({ verb, group, resource }) => namespaced(verb, resource, group)),
    );
  }
  const own = new Set(rightsOf(rows, run).map(describeNeed));
  return rights
    .sorted()
    .filter((right) => !own.has(describeNeed(right)))
    .map((right) => ({ ...right, why: 'gives it to what is evaluated; nobody may give what they do not hold' }));
}

function rulesToGive(row: Requirement, { targets }: LiveRun): RulesToGive {
  return roleDefinition(row.role).rulesToGive?.(row, targets) ?? { namespaced: [], cluster: [] };
}

/** Rights that the API server asks for along with this one. */
function impliedBy(right: Right, given: boolean): Right[] {
  // A GET that becomes a WebSocket is asked for again, as what it does (Kubernetes 1.35).
  if (right.verb === 'get' && right.resource === 'pods/exec') {
    return [{ ...right, verb: 'create' }];
  }
  if (right.verb === 'create' && right.resource === 'roles' && !given) {
    return TO_GIVE.map((verb) => ({ ...right, verb }));
  }
  return [];
}

/** In a namespace that stays, what was made is removed one by one, and not with the namespace. */
function addRemoval(rights: RightSet): void {
  for (const right of rights.sorted()) {
    if (right.verb !== 'create' || right.scope !== 'namespace' || /\/|reviews$/.test(right.resource)) {
      continue;
    }
    const verbs = LINGERS.has(right.resource) ? ['delete', 'get', 'list', 'watch'] : ['delete', 'list'];
    for (const id of right.requirements) {
      rights.add(id, ...verbs.map((verb) => ({ ...right, verb })));
    }
  }
}

/** What stays for a while after it is deleted. */
const LINGERS = new Set(['pods', 'jobs', 'cronjobs', 'deployments', 'statefulsets', 'persistentvolumeclaims']);

/**
 * Rights without which a requirement evaluates less, and says so, or finds another way: of cluster-wide controls, and
 * to list StorageClasses.
 */
function isOptional({ verb, group, resource, scope }: Right, row: Requirement): boolean {
  // What a quota makes is left out where none may be made.
  if (resource === 'resourcequotas') {
    return true;
  }
  // JL-45 and JL-46 leave out a node's shutdown and ephemeral containers where the harness may not write there.
  if (resource === 'pods/status' || resource === 'pods/ephemeralcontainers') {
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

/** Needed by the run itself, whatever is selected. */
function ofTheRun(given: boolean): Right[] {
  const namespaces = ['create', 'delete', 'get', 'watch'].map(
    (verb): Right => ({ verb, group: '', resource: 'namespaces', scope: 'cluster' }),
  );
  // By a ConfigMap it holds a namespace of somebody else.
  const claim = ['create', 'get'].map((verb) => namespaced(verb, 'configmaps'));
  // Whether it assigns uids to pods, and which Pod Security it enforces, is said by the namespace itself.
  const look = namespaced('get', 'namespaces');
  return [
    ...(given ? [look, ...claim] : namespaces),
    namespaced('get', 'serviceaccounts'),
    namespaced('watch', 'serviceaccounts'),
    namespaced('create', 'serviceaccounts/token'),
  ];
}

const RBAC = 'rbac.authorization.k8s.io';

/**
 * To give a ServiceAccount more than one has oneself takes these (Kubernetes, "Using RBAC Authorization", privilege
 * escalation).
 */
const TO_GIVE = ['bind', 'escalate'];

/** The same for rights in the whole cluster, which a target documents. */
const TO_GIVE_EVERYWHERE: Right[] = [
  ...['create', 'delete', ...TO_GIVE].map((verb) => ofCluster(verb, 'clusterroles', RBAC)),
  ...['create', 'delete'].map((verb) => ofCluster(verb, 'clusterrolebindings', RBAC)),
];

/**
 * Of requirements that run an implementation as a ServiceAccount with the rights that it documents; the run makes it,
 * for whichever asks.
 */
function ofAccess(given: boolean): Right[] {
  return [
    namespaced('create', 'serviceaccounts'),
    namespaced('create', 'roles', RBAC),
    namespaced('update', 'roles', RBAC),
    // An administrator of a namespace holds there what an implementation needs, and may give it.
    ...(given ? [] : TO_GIVE).map((verb) => namespaced(verb, 'roles', RBAC)),
    namespaced('create', 'rolebindings', RBAC),
  ];
}

/** Whether the harness runs its own provider inside the cluster for a requirement: no target file gives another one. */
export function needsProvider({ role }: Requirement, targets: Target[]): boolean {
  const isGiven = targets.some((target) => {
    const given = roleDefinition(target.role).environmentOptions?.(target)?.identityProviderTarget;
    return given !== undefined && given.server.kind !== 'embedded';
  });
  return roleDefinition(role).usesIdentityProvider('run') && !isGiven;
}

/** Of the harness's own identity provider, which runs as a pod that the harness reaches by a port-forward. */
function ofTheProvider(): Right[] {
  return [
    ...['serviceaccounts', 'configmaps', 'secrets', 'services', 'pods'].map((resource) =>
      namespaced('create', resource),
    ),
    namespaced('watch', 'pods'),
    namespaced('get', 'pods/portforward'),
    namespaced('create', 'pods/portforward'),
  ];
}

function namespaced(verb: string, resource: string, group = ''): Right {
  return { verb, group, resource, scope: 'namespace' };
}

function ofCluster(verb: string, resource: string, group: string): Right {
  return { verb, group, resource, scope: 'cluster' };
}
