import { request as httpRequest } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import { HarnessError, NotTestable } from '../../harness/core/errors.ts';
import { createServiceAccount } from '../../harness/probes/pods.ts';
import { grant, untilAllowed } from '../../harness/probes/token-requests.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';

/**
 * One call of the API, harmless whoever may make it: what it names does not exist, and what it would make is not kept.
 */
export interface Call {
  verb: string;
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  headers?: Record<string, string>;
  body?: unknown;
  /** True where the content of a good answer is wanted. */
  keep?: boolean;
}

export interface CallAnswer {
  status: number;
  /** `message` of a refusal. */
  message?: string;
  /** Content of a good answer, where it was asked for. */
  body?: unknown;
}

/** A name that nothing has. */
export const NOBODY = 'conformance-none';

export interface Resource {
  group: string;
  version: string;
  resource: string;
  kind: string;
}

export const RESOURCES = {
  pods: { group: '', version: 'v1', resource: 'pods', kind: 'Pod' },
  secrets: { group: '', version: 'v1', resource: 'secrets', kind: 'Secret' },
  configMaps: { group: '', version: 'v1', resource: 'configmaps', kind: 'ConfigMap' },
  claims: { group: '', version: 'v1', resource: 'persistentvolumeclaims', kind: 'PersistentVolumeClaim' },
  serviceAccounts: { group: '', version: 'v1', resource: 'serviceaccounts', kind: 'ServiceAccount' },
  namespaces: { group: '', version: 'v1', resource: 'namespaces', kind: 'Namespace' },
  nodes: { group: '', version: 'v1', resource: 'nodes', kind: 'Node' },
  jobs: { group: 'batch', version: 'v1', resource: 'jobs', kind: 'Job' },
  deployments: { group: 'apps', version: 'v1', resource: 'deployments', kind: 'Deployment' },
  roles: { group: 'rbac.authorization.k8s.io', version: 'v1', resource: 'roles', kind: 'Role' },
  roleBindings: { group: 'rbac.authorization.k8s.io', version: 'v1', resource: 'rolebindings', kind: 'RoleBinding' },
  clusterRoleBindings: {
    group: 'rbac.authorization.k8s.io',
    version: 'v1',
    resource: 'clusterrolebindings',
    kind: 'ClusterRoleBinding',
  },
} satisfies Record<string, Resource>;

export const PLAIN_VERBS = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'] as const;
export type PlainVerb = (typeof PLAIN_VERBS)[number];

/** Path of the objects of a resource; without a namespace those of the whole cluster. */
export function collectionPath({ group, version, resource }: Resource, namespace?: string): string {
  const base = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  return namespace === undefined ? `${base}/${resource}` : `${base}/namespaces/${namespace}/${resource}`;
}

/**
 * A call with a plain verb. It names something that does not exist, and is a dry run: who may make it is answered by
 * 404 or 422 (the objects are not whole), and nothing changes.
 */
export function plainCall(verb: PlainVerb, resource: Resource, namespace?: string, name = NOBODY): Call {
  const collection = collectionPath(resource, namespace);
  const one = `${collection}/${name}`;
  const apiVersion = resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
  const metadata = { name, ...(namespace === undefined ? {} : { namespace }) };
  // Without a role to look up, whether a binding escalates is no question that the API server can answer.
  const roleRef = { apiGroup: resource.group, kind: resource.kind.replace('Binding', ''), name: NOBODY };
  const body = {
    apiVersion,
    kind: resource.kind,
    metadata,
    ...(resource.kind.endsWith('Binding') ? { roleRef } : {}),
  };
  switch (verb) {
    case 'get':
      return { verb, method: 'GET', path: one };
    case 'list':
      return { verb, method: 'GET', path: `${collection}?limit=1` };
    case 'watch':
      return { verb, method: 'GET', path: `${collection}?watch=true&timeoutSeconds=1&resourceVersion=0` };
    case 'create':
      return { verb, method: 'POST', path: `${collection}?dryRun=All`, body };
    case 'update':
      return { verb, method: 'PUT', path: `${one}?dryRun=All`, body };
    case 'patch':
      return {
        verb,
        method: 'PATCH',
        path: `${one}?dryRun=All`,
        headers: { 'content-type': 'application/merge-patch+json' },
        body: { metadata: { labels: { conformance: 'tried' } } },
      };
    case 'delete':
      return { verb, method: 'DELETE', path: `${one}?dryRun=All` };
  }
}

/** Calls that go to a subresource. What they name does not exist: who may make them is answered by 404. */
export function subresourceCalls(namespace: string): Record<'log' | 'execPost' | 'execGet', Call> {
  const pod = `${collectionPath(RESOURCES.pods, namespace)}/${NOBODY}`;
  return {
    log: { verb: 'get', method: 'GET', path: `${pod}/log` },
    execPost: { verb: 'create', method: 'POST', path: `${pod}/exec?command=true&stdout=true` },
    execGet: { verb: 'get', method: 'GET', path: `${pod}/exec?command=true&stdout=true` },
  };
}

/** A TokenRequest for a ServiceAccount. */
export function tokenCall(namespace: string, serviceAccount: string): Call {
  return {
    verb: 'create',
    method: 'POST',
    path: `${collectionPath(RESOURCES.serviceAccounts, namespace)}/${serviceAccount}/token`,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences: ['https://nobody.conformance.test'], expirationSeconds: 600 },
    },
  };
}

/** Somebody who makes calls: a ServiceAccount by a token of its own, or the harness itself. */
export type Caller = (call: Call) => Promise<CallAnswer>;

/** How a call is told: `create serviceaccounts/agent/token in a`. */
export function describeCall({ verb, path, headers }: Call): string {
  const impersonated = Object.keys(headers ?? {}).filter((name) => name.startsWith('impersonate'));
  const as = impersonated.length === 0 ? '' : `, with ${impersonated.join(' and ')}`;
  return `${verb} ${path.replace(/\?.*$/, '').replace(/^\/(api|apis\/[^/]+)\/v1\//, '')}${as}`;
}

async function answerTo(
  send: Awaited<ReturnType<RequirementContext['cluster']>>['request'],
  call: Call,
  bearer?: string,
): Promise<CallAnswer> {
  const response = await send(call.path, {
    method: call.method,
    headers: {
      ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...call.headers,
      ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
    },
    ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
  });
  if (response.ok && call.keep === true) {
    return { status: response.status, body: await response.json() };
  }
  if (response.ok) {
    // A log or a watch may go on for long; what it says is of no interest.
    await response.body?.cancel();
    return { status: response.status };
  }
  const text = await response.text();
  try {
    const { message } = JSON.parse(text) as { message?: string };
    return { status: response.status, ...(message === undefined ? {} : { message }) };
  } catch {
    return { status: response.status, message: text.slice(0, 200) };
  }
}

/** The harness itself: its calls are the controls. */
export async function harnessCaller(t: RequirementContext): Promise<Caller> {
  const { request } = await t.cluster();
  return (call) => answerTo(request, call);
}

/**
 * A new ServiceAccount with rights in its own namespace, by a Role of its own, and with a token for the API server.
 *
 * @throws NotTestable where the API server does not take the token: whatever it refused then would say nothing
 */
export async function accountWith(
  t: RequirementContext,
  namespace: string,
  name: string,
  rules: Parameters<typeof grant>[3] = [],
): Promise<{ name: string; token: string; call: Caller }> {
  const cluster = await t.cluster();
  await createServiceAccount(t, namespace, name, false);
  if (rules.length > 0) {
    await grant(t, namespace, name, rules);
  }
  const { token } = await cluster.createToken({
    namespace,
    serviceAccount: name,
    audiences: cluster.apiAudiences,
    expirationSeconds: 3600,
  });
  const status = await cluster.callWithToken(token);
  if (status !== 201) {
    // A front before somebody else's API server may take the tokens of its own users alone.
    const kind = cluster.owned ? NotTestable : HarnessError;
    throw new kind(`the API server answers ${status} to a token of the ServiceAccount ${namespace}/${name}`);
  }
  return { name, token, call: (call) => answerTo(cluster.requestWithoutCredentials, call, token) };
}

/** How many calls are under way at once. */
const AT_ONCE = 4;

/** Makes calls, some at a time, and answers in their order. */
export async function callAll<C extends Call>(caller: Caller, calls: C[]): Promise<(CallAnswer & { call: C })[]> {
  const answers: (CallAnswer & { call: C })[] = [];
  const waiting = [...calls.entries()];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, call] = next;
      answers[index] = { call, ...(await caller(call)) };
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return answers;
}

/**
 * Status of an upgrade to WebSocket, 101 where it is granted; the connection is closed at once.
 *
 * @param path a GET with its query
 */
export async function upgradeStatus(t: RequirementContext, path: string, bearer: string): Promise<number> {
  const { kubeConfig } = await t.cluster();
  const server = kubeConfig.getCurrentCluster();
  if (server === null) {
    throw new HarnessError('the kubeconfig has no current context');
  }
  // A client certificate of the harness would count before the token.
  const config = new KubeConfig();
  config.loadFromClusterAndUser(server, { name: 'nobody' });
  const tls: RequestOptions = {};
  await config.applyToHTTPSOptions(tls);
  const url = new URL(server.server + path);
  const headers = {
    authorization: `Bearer ${bearer}`,
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('base64'),
    'sec-websocket-protocol': 'v5.channel.k8s.io',
  };
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const request =
    url.protocol === 'http:'
      ? httpRequest(url, { headers, signal: t.signal })
      : httpsRequest(url, { ...tls, headers, signal: t.signal });
  request.on('upgrade', (response, socket) => {
    socket.destroy();
    resolve(response.statusCode ?? 0);
  });
  request.on('response', (response) => {
    response.resume();
    resolve(response.statusCode ?? 0);
  });
  request.on('error', reject);
  request.end();
  return promise;
}

/** Waits until a ServiceAccount has a right. */
export function untilAccountMay(
  t: RequirementContext,
  account: { namespace: string; name: string },
  resourceAttributes: Parameters<typeof untilAllowed>[2]['resourceAttributes'],
  inNamespace: string = account.namespace,
): Promise<void> {
  const user = `system:serviceaccount:${account.namespace}:${account.name}`;
  return untilAllowed(t, inNamespace, { user, resourceAttributes });
}
