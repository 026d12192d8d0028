import type { PolicyRule } from '../../core/policy-rule.ts';

/** Where a right has to hold. */
export type Scope = 'cluster' | 'namespace' | 'path';

export interface Right {
  verb: string;
  group: string;
  /** With its subresource, as `pods/log`; a path where the scope is one. */
  resource: string;
  scope: Scope;
}

/** One thing that the harness has to be allowed on a live cluster. */
export interface NeededRight extends Right {
  why: string;
  /** Ids of the requirements that need it; all of them where it is for the run itself. */
  requirements: string[];
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

/** Paths that every user may read, by the ClusterRole system:discovery. */
const DISCOVERY = /^\/(api|apis|version|openapi|healthz|livez|readyz)(\/|$)/;

/**
 * Everybody may ask these of himself, and everybody's own questions need no right (Kubernetes, "Default roles and role
 * bindings").
 */
const FREE = new Set(['selfsubjectaccessreviews', 'selfsubjectrulesreviews', 'selfsubjectreviews']);

/** Rights, each of them once, with the requirements that need it. */
export class RightSet {
  readonly #rights = new Map<string, NeededRight>();

  /** Adds what a requirement needs, without what everybody may do. */
  add(id: string, ...needed: Right[]): void {
    for (const right of needed) {
      if (FREE.has(right.resource) || (right.scope === 'path' && DISCOVERY.test(right.resource))) {
        continue;
      }
      const key = `${right.scope} ${right.verb} ${right.group}/${right.resource}`;
      const known = this.#rights.get(key) ?? { ...right, why: why(right.resource), requirements: [] };
      if (!known.requirements.includes(id)) {
        known.requirements.push(id);
      }
      this.#rights.set(key, known);
    }
  }

  sorted(): NeededRight[] {
    return [...this.#rights.values()].toSorted((one, other) => compare(keyOf(one), keyOf(other)));
  }
}

const keyOf = ({ scope, group, resource, verb }: NeededRight): string => `${scope} ${group} ${resource} ${verb}`;
export const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);

/** `jobs.batch/status`: a resource as kubectl writes it. */
export function withGroup(resource: string, group: string): string {
  const [kind = '', subresource] = resource.split(/(?<=^[^/]+)\//);
  return `${kind}${group === '' ? '' : `.${group}`}${subresource === undefined ? '' : `/${subresource}`}`;
}

/** `create pods`, `list jobs.batch in all namespaces`, `get /version`. */
export function describeNeed({ verb, group, resource, scope }: NeededRight): string {
  return `${verb} ${scope === 'path' ? resource : withGroup(resource, group)}`;
}

/**
 * Whether a right reaches further than its holder's own work: by it one gives oneself any other in the namespace, or it
 * is of all verbs or resources.
 */
export function reachesFar({ verb, group, resource }: Right): boolean {
  return ['bind', 'escalate', 'impersonate', '*'].includes(verb) || group === '*' || resource.includes('*');
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
