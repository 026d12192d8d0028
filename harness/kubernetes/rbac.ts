import { stringify } from 'yaml';
import type { PolicyRule, SensitiveRight } from '../core/policy-rule.ts';

/** A request as the authorizers see it; a part of the API server's record of it. */
export interface RequestedAction {
  verb: string;
  /** Absent where `path` is no resource. */
  group?: string;
  resource?: string;
  subresource?: string;
  namespace?: string;
  name?: string;
  path?: string;
}

/** One verb on one resource. */
export interface Right {
  verb: string;
  group: string;
  /** As a Role spells it: `jobs`, `pods/log`. */
  resource: string;
  /** The one object that it is limited to. */
  name?: string;
}

const ALL = '*';

/** `pods/log` of a request for the log of a pod. */
export function spelledResource({ resource = '', subresource }: RequestedAction): string {
  return subresource === undefined ? resource : `${resource}/${subresource}`;
}

function resourceMatches(ruled: string, action: RequestedAction): boolean {
  return (
    ruled === ALL ||
    ruled === spelledResource(action) ||
    (action.subresource !== undefined && ruled === `*/${action.subresource}`)
  );
}

function pathMatches(ruled: string, path: string): boolean {
  return ruled === ALL || ruled === path || (ruled.endsWith(ALL) && path.startsWith(ruled.replace(/\*+$/, '')));
}

/**
 * True where RBAC lets a request through by this rule (Kubernetes, `rbac.RuleAllows`); where the rule holds is not
 * asked.
 */
export function ruleAllows(rule: PolicyRule, action: RequestedAction): boolean {
  if (!rule.verbs.some((verb) => verb === ALL || verb === action.verb)) {
    return false;
  }
  if (action.resource === undefined) {
    return (rule.nonResourceURLs ?? []).some((ruled) => pathMatches(ruled, action.path ?? ''));
  }
  const { apiGroups = [], resources = [], resourceNames = [] } = rule;
  return (
    apiGroups.some((group) => group === ALL || group === action.group) &&
    resources.some((resource) => resourceMatches(resource, action)) &&
    (resourceNames.length === 0 || (action.name !== undefined && resourceNames.includes(action.name)))
  );
}

/** Every single right of some rules for resources, in the order of the rules, each once; wildcards stay as they are. */
export function rightsOf(rules: readonly PolicyRule[]): Right[] {
  const rights = rules.flatMap(({ verbs, apiGroups = [], resources = [], resourceNames = [] }) =>
    verbs.flatMap((verb) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource): Right[] =>
          resourceNames.length === 0
            ? [{ verb, group, resource }]
            : resourceNames.map((name) => ({ verb, group, resource, name })),
        ),
      ),
    ),
  );
  return [...new Map(rights.map((right) => [describeRight(right), right])).values()];
}

/** How many rights a sentence names. */
const NAMED = 8;

/**
 * What is said where the API server lets the harness not give these rules: nobody gives what they do not hold
 * (Kubernetes, "Using RBAC Authorization", privilege escalation).
 *
 * @param namespace where; absent: in the whole cluster
 */
export function mayNotGive(rules: readonly PolicyRule[], namespace?: string): string {
  const rights = rightsOf(rules).map(describeRight);
  const further = rights.length > NAMED ? ` and ${rights.length - NAMED} more` : '';
  const where = namespace === undefined ? 'in the whole cluster' : `in ${namespace}`;
  const kind = namespace === undefined ? 'ClusterRoles' : 'Roles';
  return `the harness may not give ${rights.slice(0, NAMED).join(', ')}${further} ${where}: it needs those rights itself, or bind and escalate on ${kind}`;
}

/** `create jobs.batch`, `get pods/log`, `get secrets called agent-key`. */
export function describeRight({ verb, group, resource, name }: Right): string {
  const [kind, ...subresource] = resource.split('/');
  const qualified = [`${kind}${group === '' ? '' : `.${group}`}`, ...subresource].join('/');
  return `${verb} ${qualified}${name === undefined ? '' : ` called ${name}`}`;
}

export function ruleOf({ verb, group, resource, name }: Right): PolicyRule {
  return {
    apiGroups: [group],
    resources: [resource],
    verbs: [verb],
    ...(name === undefined ? {} : { resourceNames: [name] }),
  };
}

/** The same rules, one right less. */
export function rulesWithout(rules: readonly PolicyRule[], right: Right): PolicyRule[] {
  return groupedRules(rightsOf(rules).filter((other) => describeRight(other) !== describeRight(right)));
}

/**
 * What an action needs besides its own verb: the API server asks again when it upgrades a GET to WebSocket (Kubernetes
 * 1.35).
 */
const UPGRADED = new Set(['exec', 'attach', 'portforward']);

/** A request that was made, with what came of it. */
export interface MadeRequest extends RequestedAction {
  /** Status of its answer. */
  code: number;
  /** Set where its connection was upgraded. */
  upgrade?: string;
}

/** True where the API server let the request through; what was refused for itself (404, 409, 422) was let through. */
export function wasAuthorized({ code }: MadeRequest): boolean {
  return code !== 0 && code !== 401 && code !== 403;
}

/** What every authenticated user may ask about itself (`system:basic-user`): no Role has to say it. */
export function isSelfReview({ verb, group, resource }: RequestedAction | Right): boolean {
  return (
    verb === 'create' &&
    ((group === 'authorization.k8s.io' &&
      (resource === 'selfsubjectaccessreviews' || resource === 'selfsubjectrulesreviews')) ||
      (group === 'authentication.k8s.io' && resource === 'selfsubjectreviews'))
  );
}

/** The actions that some requests needed a right to: those for resources, and `create` for each upgrade. */
export function neededActions(requests: readonly MadeRequest[]): RequestedAction[] {
  return requests.filter(wasAuthorized).flatMap((request): RequestedAction[] => {
    if (request.resource === undefined) {
      return [];
    }
    const upgraded = request.upgrade !== undefined && UPGRADED.has(request.subresource ?? '');
    return upgraded ? [request, { ...request, verb: 'create' }] : [request];
  });
}

/** Rights of the rules that no request needed. */
export function surplusRights(rules: readonly PolicyRule[], requests: readonly MadeRequest[]): Right[] {
  const needed = neededActions(requests);
  return rightsOf(rules).filter((right) => !needed.some((action) => ruleAllows(ruleOf(right), action)));
}

/** Requests for resources that the rules do not allow, one of each kind. */
export function beyondRules<R extends MadeRequest>(rules: readonly PolicyRule[], requests: readonly R[]): R[] {
  const beyond = requests.filter(
    (request) =>
      request.resource !== undefined && !isSelfReview(request) && !rules.some((rule) => ruleAllows(rule, request)),
  );
  const kinds = new Map(
    beyond.map((request) => [
      `${request.verb} ${request.group} ${spelledResource(request)} ${request.namespace}`,
      request,
    ]),
  );
  return [...kinds.values()];
}

/**
 * The fewest rights that some requests need, as rules: sorted, resources with the same verbs together. What every user
 * may do is not among them, unless it is documented.
 *
 * @param documented where only rules with resourceNames allow a request, its name is kept; else it is not
 */
export function smallestRules(requests: readonly MadeRequest[], documented: readonly PolicyRule[] = []): PolicyRule[] {
  const rights = neededActions(requests).flatMap((action): Right[] => {
    const allowing = documented.filter((rule) => ruleAllows(rule, action));
    if (allowing.length === 0 && isSelfReview(action)) {
      return [];
    }
    const named = allowing.length > 0 && allowing.every(({ resourceNames = [] }) => resourceNames.length > 0);
    const right = { verb: action.verb, group: action.group ?? '', resource: spelledResource(action) };
    return [{ ...right, ...(named && action.name !== undefined ? { name: action.name } : {}) }];
  });
  return groupedRules(rights);
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/** Rights as rules: one for each group, set of names and set of verbs; all sorted. */
function groupedRules(rights: readonly Right[]): PolicyRule[] {
  const verbsOf = new Map<string, { right: Right; verbs: Set<string> }>();
  for (const right of rights) {
    const key = JSON.stringify([right.group, right.resource, right.name]);
    const entry = verbsOf.get(key) ?? { right, verbs: new Set() };
    entry.verbs.add(right.verb);
    verbsOf.set(key, entry);
  }
  const byResource = new Map<string, { rule: PolicyRule; resources: Set<string>; names: Set<string> }>();
  for (const { right, verbs } of verbsOf.values()) {
    const sorted = [...verbs].sort(compare);
    // Names of different resources must not be mixed.
    const key = JSON.stringify([right.group, right.name === undefined ? null : right.resource, sorted]);
    const entry = byResource.get(key) ?? {
      rule: { apiGroups: [right.group], resources: [], verbs: sorted },
      resources: new Set<string>(),
      names: new Set<string>(),
    };
    entry.resources.add(right.resource);
    if (right.name !== undefined) {
      entry.names.add(right.name);
    }
    byResource.set(key, entry);
  }
  return [...byResource.values()]
    .map(({ rule, resources, names }) => ({
      ...rule,
      resources: [...resources].sort(compare),
      ...(names.size === 0 ? {} : { resourceNames: [...names].sort(compare) }),
    }))
    .sort((one, other) => compare(JSON.stringify(one), JSON.stringify(other)));
}

/** A Role as YAML, to be kept by whoever reads the report. */
export function roleYaml(name: string, namespace: string, rules: readonly PolicyRule[]): string {
  return stringify({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name, namespace }, rules });
}

/** Verbs of the API itself (Kubernetes, "Authorization", "Request verbs"). */
const API_VERBS = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'];

/** Verbs that mean something on some resources alone. */
const SPECIAL_VERBS: { verb: RegExp; group: RegExp; resource: RegExp }[] = [
  { verb: /^(bind|escalate)$/, group: /^rbac\.authorization\.k8s\.io$/, resource: /^(cluster)?roles$/ },
  { verb: /^impersonate$/, group: /^$/, resource: /^(users|groups|serviceaccounts)$/ },
  { verb: /^impersonate$/, group: /^authentication\.k8s\.io$/, resource: /^(userextras(\/.+)?|uids)$/ },
  // Constrained impersonation, Kubernetes 1.35.
  { verb: /^impersonate(-on)?:/, group: /.*/, resource: /.*/ },
  { verb: /^(approve|sign|attest)$/, group: /^certificates\.k8s\.io$/, resource: /^signers$/ },
  { verb: /^use$/, group: /^(policy|extensions)$/, resource: /^podsecuritypolicies$/ },
];

/** Verbs of paths that are no resources. */
const HTTP_VERBS = ['get', 'head', 'options', 'post', 'put', 'patch', 'delete'];

/**
 * Groups of Kubernetes itself: in others an API server or a controller may ask the authorizer for any verb it likes.
 */
function isKubernetesGroup(group: string): boolean {
  return !group.includes('.') || group.endsWith('.k8s.io');
}

/** Rights whose verb no request ever has: nothing of Kubernetes asks for it. */
export function unknownVerbs(rules: readonly PolicyRule[]): Right[] {
  const resources = rightsOf(rules).filter(
    ({ verb, group, resource }) =>
      verb !== ALL &&
      isKubernetesGroup(group) &&
      !API_VERBS.includes(verb) &&
      !SPECIAL_VERBS.some(
        (special) =>
          special.verb.test(verb) &&
          (group === ALL || special.group.test(group)) &&
          (resource === ALL || special.resource.test(resource)),
      ),
  );
  const paths = rules.flatMap(({ verbs, nonResourceURLs = [] }) =>
    verbs
      .filter((verb) => verb !== ALL && !HTTP_VERBS.includes(verb))
      .flatMap((verb) => nonResourceURLs.map((path): Right => ({ verb, group: '', resource: path }))),
  );
  return [...resources, ...paths];
}

/** Which of them one action is, whatever scope it has. */
export function sensitivitiesOf(action: RequestedAction): SensitiveRight[] {
  return SENSITIVE_ACTIONS.filter(
    (sensitive) =>
      sensitive.verb === action.verb &&
      sensitive.group === action.group &&
      spelledResource(sensitive) === spelledResource(action),
  ).map(({ kind }) => kind);
}

interface SensitiveAction {
  kind: SensitiveRight;
  verb: string;
  group: string;
  resource: string;
  subresource?: string;
}

const RBAC_GROUP = 'rbac.authorization.k8s.io';

const SENSITIVE_ACTIONS: SensitiveAction[] = [
  ...['get', 'list', 'watch'].map(
    (verb): SensitiveAction => ({ kind: 'secrets', verb, group: '', resource: 'secrets' }),
  ),
  ...['bind', 'escalate'].flatMap((verb) =>
    ['roles', 'clusterroles'].map(
      (resource): SensitiveAction => ({ kind: 'escalation', verb, group: RBAC_GROUP, resource }),
    ),
  ),
  ...['users', 'groups', 'serviceaccounts'].map(
    (resource): SensitiveAction => ({ kind: 'escalation', verb: 'impersonate', group: '', resource }),
  ),
  { kind: 'token-minting', verb: 'create', group: '', resource: 'serviceaccounts', subresource: 'token' },
];

/** A right that reaches further, and why. */
export interface FoundRight {
  kind: SensitiveRight;
  right: string;
}

/**
 * What of the rules reaches further: wildcards, and secrets, escalation and tokens, spelled or covered by a wildcard.
 *
 * @param clusterWide true for the rules of a ClusterRole that is bound in the whole cluster
 */
export function sensitiveRights(rules: readonly PolicyRule[], clusterWide = false): FoundRight[] {
  const found: FoundRight[] = [];
  for (const right of rightsOf(rules)) {
    const text = describeRight(right);
    if ([right.verb, right.group].includes(ALL) || right.resource.includes(ALL)) {
      found.push({ kind: 'wildcard', right: text });
    }
    if (clusterWide) {
      found.push({ kind: 'cluster-wide', right: text });
    }
    const named = right.name === undefined ? {} : { name: right.name };
    const kinds = SENSITIVE_ACTIONS.filter((action) => ruleAllows(ruleOf(right), { ...action, ...named }));
    for (const kind of new Set(kinds.map((action) => action.kind))) {
      found.push({ kind, right: text });
    }
  }
  for (const { verbs, nonResourceURLs = [] } of rules) {
    for (const path of nonResourceURLs) {
      if (verbs.includes(ALL) || path.includes(ALL)) {
        found.push({ kind: 'wildcard', right: `${verbs.join(', ')} ${path}` });
      }
    }
  }
  return found;
}
