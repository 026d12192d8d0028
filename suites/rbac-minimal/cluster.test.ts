import { expect } from 'vitest';
import { NotTestable } from '../../harness/core/errors.ts';
import { startIdlePod } from '../../harness/probes/pods.ts';
import { grant } from '../../harness/probes/token-requests.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import {
  accountWith,
  type Call,
  type CallAnswer,
  type Caller,
  callAll,
  collectionPath,
  describeCall,
  harnessCaller,
  NOBODY,
  PLAIN_VERBS,
  plainCall,
  RESOURCES,
  type Resource,
  subresourceCalls,
  tokenCall,
  untilAccountMay,
  upgradeStatus,
} from './calls.ts';
import { accountsThatEditRoles, roleCalls } from './escalation.ts';
import { assertAnswered, comparedWithReview, lacksRight } from './reviews.ts';

const FORBIDDEN = 403;

/** Statuses by call, for evidence. */
function statuses(answers: (CallAnswer & { call: Call })[]): Record<string, number> {
  return Object.fromEntries(answers.map(({ call, status }) => [describeCall(call), status]));
}

/** A call must be answered: neither refused nor failed for a reason of the server's own. */
function expectAllowed(answer: CallAnswer, what: string): void {
  assertAnswered({ [`${what}: ${answer.message ?? ''}`]: answer.status });
  expect([401, FORBIDDEN], `${what}: ${answer.status} ${answer.message ?? ''}`).not.toContain(answer.status);
}

/** What a ServiceAccount without any right must not be able to do in a namespace. */
function guardedCalls(namespace: string, serviceAccount: string): Call[] {
  const { pods, secrets, configMaps, jobs, deployments, claims, roles, roleBindings } = RESOURCES;
  return [
    ...[pods, secrets, configMaps, jobs, deployments, claims, roles, roleBindings].flatMap((resource) =>
      PLAIN_VERBS.map((verb) => plainCall(verb, resource, namespace)),
    ),
    ...Object.values(subresourceCalls(namespace)),
    tokenCall(namespace, serviceAccount),
  ];
}

/** The same beyond namespaces. */
function guardedClusterCalls(namespace: string): Call[] {
  const { pods, secrets, configMaps, jobs, deployments, claims, roles, roleBindings } = RESOURCES;
  const { nodes, namespaces, clusterRoleBindings } = RESOURCES;
  const impersonate = (headers: Record<string, string>): Call => ({
    verb: 'impersonate',
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    headers,
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
  });
  return [
    ...[pods, secrets, configMaps, jobs, deployments, claims, roles, roleBindings].flatMap((resource) =>
      (['list', 'watch'] as const).map((verb) => plainCall(verb, resource)),
    ),
    plainCall('list', nodes),
    plainCall('patch', nodes),
    plainCall('list', namespaces),
    plainCall('create', namespaces),
    plainCall('create', clusterRoleBindings),
    impersonate({ 'impersonate-user': `system:serviceaccount:${namespace}:default` }),
    impersonate({ 'impersonate-user': 'conformance-nobody', 'impersonate-group': 'system:masters' }),
  ];
}

/** The rights to all of the guarded calls in a namespace: for the ServiceAccount that is their control. */
const GUARDED_RULES = [
  { apiGroups: [''], resources: ['pods', 'secrets', 'configmaps', 'persistentvolumeclaims'], verbs: [...PLAIN_VERBS] },
  { apiGroups: ['batch'], resources: ['jobs'], verbs: [...PLAIN_VERBS] },
  { apiGroups: ['apps'], resources: ['deployments'], verbs: [...PLAIN_VERBS] },
  { apiGroups: [RESOURCES.roles.group], resources: ['roles', 'rolebindings'], verbs: [...PLAIN_VERBS] },
  { apiGroups: [''], resources: ['pods/log'], verbs: ['get'] },
  { apiGroups: [''], resources: ['pods/exec'], verbs: ['get', 'create'] },
  // The last one, for it is waited for.
  { apiGroups: [''], resources: ['serviceaccounts/token'], verbs: ['create'] },
];

requirement('RB-01', async (t) => {
  const { name: own } = await t.namespaceFor('unbound');
  const { name: other } = await t.namespaceFor('unbound-other');
  const account = await accountWith(t, own, 'unbound');
  const bound = await accountWith(t, own, 'bound', GUARDED_RULES);
  await grant(t, other, bound.name, GUARDED_RULES, own);
  for (const namespace of [own, other]) {
    await untilAccountMay(
      t,
      { namespace: own, name: bound.name },
      { verb: 'create', resource: 'serviceaccounts', subresource: 'token' },
      namespace,
    );
  }
  const within = await callAll(bound.call, [...guardedCalls(own, account.name), ...guardedCalls(other, 'default')]);
  const beyond = await callAll(await harnessCaller(t), guardedClusterCalls(own));
  // What is refused to the harness too may be refused to everybody, or be no call at all: nothing can be said of it.
  const hasControl = ({ status }: CallAnswer): boolean => status !== 401 && status !== FORBIDDEN;
  t.evidence(
    'calls without a control: refused to the harness too',
    statuses(beyond.filter((answer) => !hasControl(answer))),
  );
  for (const control of within) {
    expectAllowed(control, `control: ${describeCall(control.call)} by a ServiceAccount that may`);
  }
  const controls = [...within, ...beyond.filter(hasControl)];
  const answers = await callAll(
    account.call,
    controls.map(({ call }) => call),
  );
  t.evidence('answers to a ServiceAccount that nothing is bound to', statuses(answers));
  t.evidence('what it may do all the same, by its own rules review (information)', await rulesOf(account.call, own));
  assertAnswered(statuses(answers));
  expect(
    statuses(answers.filter(({ status }) => status !== FORBIDDEN)),
    'calls that a ServiceAccount without any right may make',
  ).toEqual({});
});

interface ResourceRule {
  verbs: string[];
  apiGroups?: string[];
  resources?: string[];
  resourceNames?: string[];
}

interface Rules {
  incomplete: boolean;
  resourceRules: ResourceRule[];
  nonResourceRules: { verbs: string[]; nonResourceURLs?: string[] }[];
}

/** The rules review of a caller for a namespace. */
async function rulesOf(caller: Caller, namespace: string): Promise<Rules | CallAnswer> {
  const answer = await caller({
    verb: 'create',
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews',
    body: { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace } },
    keep: true,
  });
  return (answer.body as { status?: Rules } | undefined)?.status ?? answer;
}

requirement('RB-02', async (t) => {
  const { name: own } = await t.namespaceFor('confined');
  const { name: other } = await t.namespaceFor('confined-other');
  const { configMaps, pods, namespaces, nodes } = RESOURCES;
  const account = await accountWith(t, own, 'confined', [
    { apiGroups: [''], resources: ['configmaps', 'pods'], verbs: ['get', 'list', 'create', 'delete'] },
    // A Role may name what is in no namespace: it gives nothing of it but its own namespace.
    { apiGroups: [''], resources: ['namespaces', 'nodes'], verbs: ['get', 'list', 'create'] },
  ]);
  await untilAccountMay(t, { namespace: own, name: account.name }, { verb: 'list', resource: 'nodes' });
  const verbs = ['get', 'list', 'create', 'delete'] as const;
  const within = (namespace: string): Call[] =>
    [configMaps, pods].flatMap((resource) => verbs.map((verb) => plainCall(verb, resource, namespace)));
  const inside = await callAll(account.call, within(own));
  t.evidence('in the namespace of the Role', statuses(inside));
  for (const answer of inside) {
    expectAllowed(answer, `control: ${describeCall(answer.call)}, in the namespace of the Role`);
  }
  const beyond = [
    ...within(other),
    plainCall('list', configMaps),
    plainCall('list', pods),
    plainCall('list', nodes),
    plainCall('list', namespaces),
    plainCall('create', namespaces),
    plainCall('get', namespaces, undefined, other),
  ];
  const outside = await callAll(account.call, beyond);
  t.evidence('elsewhere', statuses(outside));
  const itself = await account.call(plainCall('get', namespaces, undefined, own));
  t.evidence('get of the namespace itself (information: Kubernetes gives it)', itself);
  assertAnswered(statuses(outside));
  expect(
    statuses(outside.filter(({ status }) => status !== FORBIDDEN)),
    'calls that a Role allows outside of its namespace',
  ).toEqual({});
});

requirement('RB-03', async (t) => {
  const { name: namespace } = await t.namespaceFor('subresources');
  const parents = await accountWith(t, namespace, 'parents', [
    { apiGroups: [''], resources: ['pods', 'serviceaccounts'], verbs: ['get', 'list', 'create'] },
  ]);
  const children = await accountWith(t, namespace, 'children', [
    { apiGroups: [''], resources: ['pods/log'], verbs: ['get'] },
    { apiGroups: [''], resources: ['pods/exec'], verbs: ['get', 'create'] },
    { apiGroups: [''], resources: ['serviceaccounts/token'], verbs: ['create'] },
  ]);
  await untilAccountMay(t, { namespace, name: parents.name }, { verb: 'list', resource: 'serviceaccounts' });
  await untilAccountMay(
    t,
    { namespace, name: children.name },
    { verb: 'create', resource: 'serviceaccounts', subresource: 'token' },
  );
  const onParents = [RESOURCES.pods, RESOURCES.serviceAccounts].flatMap((resource) =>
    (['get', 'list', 'create'] as const).map((verb) => plainCall(verb, resource, namespace)),
  );
  const onChildren = [...Object.values(subresourceCalls(namespace)), tokenCall(namespace, 'default')];
  const of = async (caller: Caller): Promise<{ parents: Answers; children: Answers }> => ({
    parents: await callAll(caller, onParents),
    children: await callAll(caller, onChildren),
  });
  const seen = { parents: await of(parents.call), children: await of(children.call) };
  t.evidence('rights on pods and serviceaccounts', {
    onThem: statuses(seen.parents.parents),
    onSubresources: statuses(seen.parents.children),
  });
  t.evidence('rights on pods/log, pods/exec and serviceaccounts/token', {
    onThem: statuses(seen.children.children),
    onTheirParents: statuses(seen.children.parents),
  });
  for (const answer of [...seen.parents.parents, ...seen.children.children]) {
    expectAllowed(answer, `control: ${describeCall(answer.call)} with the right to it`);
  }
  assertAnswered(statuses([...seen.parents.children, ...seen.children.parents]));
  expect(
    statuses(seen.parents.children.filter(({ status }) => status !== FORBIDDEN)),
    'calls of subresources that rights on their parents allow',
  ).toEqual({});
  expect(
    statuses(seen.children.parents.filter(({ status }) => status !== FORBIDDEN)),
    'calls of parents that rights on their subresources allow',
  ).toEqual({});
});

type Answers = (CallAnswer & { call: Call })[];

requirement('RB-04', async (t) => {
  const { name: namespace } = await t.namespaceFor('escalation');
  const { plain, escalates, binds, rules } = await accountsThatEditRoles(t, namespace);
  const { createRole, patchRole, bindRole } = roleCalls(namespace);
  const { held, lacked, editsRoles } = rules;
  const allowed = {
    'a Role with rights that it holds': await plain.call(createRole('by-plain', [held])),
    'a RoleBinding to a Role with rights that it holds': await plain.call(bindRole('by-plain', 'holds-held')),
  };
  const refused = {
    'a Role with a right that it lacks': await plain.call(createRole('by-plain-more', [lacked])),
    'its own Role, given a right that it lacks': await plain.call(patchRole('plain', [editsRoles, held, lacked])),
    'a RoleBinding to a Role with a right that it lacks': await plain.call(bindRole('by-plain-more', 'holds-lacked')),
    'with bind on another Role, a Role with a right that it lacks': await binds.call(createRole('by-binds', [lacked])),
  };
  const excepted = {
    'with escalate, a Role with a right that it lacks': await escalates.call(createRole('by-escalates', [lacked])),
    'with bind, a RoleBinding to a Role with a right that it lacks': await binds.call(
      bindRole('by-binds', 'holds-lacked'),
    ),
  };
  t.evidence('within its rights', allowed);
  t.evidence('beyond its rights', refused);
  t.evidence('with escalate or bind', excepted);
  const all = Object.entries({ ...allowed, ...excepted, ...refused });
  assertAnswered(Object.fromEntries(all.map(([what, { status }]) => [what, status])));
  for (const [what, answer] of Object.entries(allowed)) {
    expect(answer, `control: ${what}`).toMatchObject({ status: 201 });
  }
  for (const [what, answer] of Object.entries(excepted)) {
    expect(answer, what).toMatchObject({ status: 201 });
  }
  for (const [what, answer] of Object.entries(refused)) {
    expect(answer, what).toMatchObject({ status: FORBIDDEN });
    if (lacksRight(answer)) {
      throw new NotTestable(`${what} was refused for want of the right to the call itself: ${answer.message}`);
    }
  }
});

/** Whether a rule of a rules review allows a plain verb on every object of a resource. */
function ruleAllows(
  { verbs, apiGroups = [], resources = [], resourceNames = [] }: ResourceRule,
  verb: string,
  on: Resource,
): boolean {
  const has = (list: string[], value: string): boolean => list.includes('*') || list.includes(value);
  return has(verbs, verb) && has(apiGroups, on.group) && has(resources, on.resource) && resourceNames.length === 0;
}

/** The verbs that go to one object. */
const NAMED: ReadonlySet<string> = new Set(['get', 'update', 'patch', 'delete']);

requirement('RB-05', async (t) => {
  const { name: own } = await t.namespaceFor('reviews');
  const { name: other } = await t.namespaceFor('reviews-other');
  const { pods, configMaps, secrets, jobs } = RESOURCES;
  const account = await accountWith(t, own, 'asks', [
    { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] },
    { apiGroups: [''], resources: ['configmaps'], verbs: ['*'] },
    { apiGroups: ['batch'], resources: ['jobs'], verbs: ['create', 'delete', 'patch'] },
  ]);
  await untilAccountMay(t, { namespace: own, name: account.name }, { verb: 'patch', group: 'batch', resource: 'jobs' });
  const rules: Record<string, Rules | CallAnswer> = {
    [own]: await rulesOf(account.call, own),
    [other]: await rulesOf(account.call, other),
  };
  t.evidence('rules reviews', { own: rules[own], other: rules[other] });
  const grid = [own, other].flatMap((namespace) =>
    [pods, configMaps, secrets, jobs].flatMap((resource) =>
      PLAIN_VERBS.map((verb) => ({ ...plainCall(verb, resource, namespace), verb, namespace, resource })),
    ),
  );
  const reviewed = await callAll(
    account.call,
    grid.map(({ verb, namespace, resource: { group, resource } }) => ({
      verb: 'create',
      method: 'POST' as const,
      path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      body: {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: {
          resourceAttributes: { verb, group, resource, namespace, ...(NAMED.has(verb) ? { name: NOBODY } : {}) },
        },
      },
      keep: true,
    })),
  );
  const called = await callAll(account.call, grid);
  const points = grid.map(({ verb, namespace, resource, ...call }, index) => {
    const inRules = rules[namespace];
    return {
      call: describeCall({ verb, ...call }),
      ...comparedWithReview(called[index], reviewed[index]),
      ...(inRules !== undefined && 'resourceRules' in inRules && !inRules.incomplete
        ? {
            rulesReview: inRules.resourceRules.some((rule) => ruleAllows(rule, verb, resource)) ? 'allowed' : 'refused',
          }
        : {}),
    };
  });
  t.evidence('the grid', points);
  const counted = points.filter(({ acts }) => acts !== 'not counted');
  expect(counted.filter(({ acts }) => acts === 'allowed').length, 'control: calls that are allowed').toBeGreaterThan(0);
  expect(
    counted.filter(({ acts, accessReview }) => acts !== accessReview),
    'calls of which the access review said something else',
  ).toEqual([]);
  expect(
    counted.filter(({ acts, rulesReview }) => rulesReview !== undefined && acts !== rulesReview),
    'calls of which the rules review said something else',
  ).toEqual([]);
});

/**
 * The minor version from which on a WebSocket needs `create` too (feature gate
 * AuthorizePodWebsocketUpgradeCreatePermission).
 */
const WEBSOCKET_NEEDS_CREATE_FROM = 35;

requirement('RB-06', async (t) => {
  const cluster = await t.cluster();
  const { name: namespace } = await t.namespaceFor('exec');
  const version = (await (await cluster.request('/version')).json()) as { major: string; minor: string };
  const minor = Number.parseInt(version.minor, 10);
  const accounts: Record<string, Awaited<ReturnType<typeof accountWith>>> = {};
  for (const [name, verbs] of Object.entries({ none: [], get: ['get'], create: ['create'], both: ['get', 'create'] })) {
    accounts[name] = await accountWith(
      t,
      namespace,
      name,
      verbs.length === 0 ? [] : [{ apiGroups: [''], resources: ['pods/exec'], verbs }],
    );
    for (const verb of verbs) {
      await untilAccountMay(t, { namespace, name }, { verb, resource: 'pods', subresource: 'exec' });
    }
  }
  await startIdlePod(t, namespace, 'idle', 'none');
  const path = `${collectionPath(RESOURCES.pods, namespace)}/idle/exec?command=true&stdout=true`;
  const posts: Record<string, number> = {};
  const sockets: Record<string, number> = {};
  for (const [name, { call, token }] of Object.entries(accounts)) {
    // A POST that asks for no upgrade is refused for that (400) once it is authorized.
    posts[name] = (await call({ verb: 'create', method: 'POST', path })).status;
    sockets[name] = await upgradeStatus(t, path, token);
  }
  const needed = sockets.get === 101 ? 'get' : sockets.both === 101 ? 'get and create' : 'more than get and create';
  t.evidence('statuses by the verbs that are held on pods/exec', { version, posts, sockets });
  t.evidence('verbs that exec needs here', {
    POST: posts.create === FORBIDDEN ? 'more than create' : 'create',
    WebSocket: needed,
  });
  assertAnswered(Object.fromEntries(Object.entries(posts).map(([name, status]) => [`POST with ${name}`, status])));
  assertAnswered(
    Object.fromEntries(Object.entries(sockets).map(([name, status]) => [`a WebSocket with ${name}`, status])),
  );
  expect(posts, 'POST without create').toMatchObject({ none: FORBIDDEN, get: FORBIDDEN });
  expect([401, FORBIDDEN], 'POST with create').not.toContain(posts.create);
  expect([401, FORBIDDEN], 'POST with get and create').not.toContain(posts.both);
  expect(sockets, 'a WebSocket without get').toMatchObject({ none: FORBIDDEN, create: FORBIDDEN });
  expect(sockets.both, 'a WebSocket with get and create').toBe(101);
  if (minor >= WEBSOCKET_NEEDS_CREATE_FROM) {
    expect(sockets.get, `a WebSocket with get alone, on Kubernetes ${version.major}.${version.minor}`).toBe(FORBIDDEN);
  }
});

requirement('RB-07', async (t) => {
  const { name: home } = await t.namespaceFor('home');
  const { name: bound } = await t.namespaceFor('bound-from-afar');
  const { name: third } = await t.namespaceFor('third');
  const traveller = await accountWith(t, home, 'traveller');
  const namesake = await accountWith(t, bound, 'traveller');
  await grant(t, bound, 'traveller', [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] }], home);
  await untilAccountMay(t, { namespace: home, name: 'traveller' }, { verb: 'list', resource: 'configmaps' }, bound);
  const list = (namespace?: string): Call => plainCall('list', RESOURCES.configMaps, namespace);
  const seen = {
    there: await traveller.call(list(bound)),
    atHome: await traveller.call(list(home)),
    elsewhere: await traveller.call(list(third)),
    everywhere: await traveller.call(list()),
    namesake: await namesake.call(list(bound)),
  };
  t.evidence('list configmaps', seen);
  assertAnswered(Object.fromEntries(Object.entries(seen).map(([where, { status }]) => [where, status])));
  expect(seen.there, 'in the namespace of the RoleBinding').toMatchObject({ status: 200 });
  expect(seen.atHome, 'in its own namespace').toMatchObject({ status: FORBIDDEN });
  expect(seen.elsewhere, 'in a third namespace').toMatchObject({ status: FORBIDDEN });
  expect(seen.everywhere, 'in all namespaces').toMatchObject({ status: FORBIDDEN });
  expect(seen.namesake, 'a ServiceAccount of that name in the namespace of the RoleBinding').toMatchObject({
    status: FORBIDDEN,
  });
});
