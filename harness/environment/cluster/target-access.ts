import {
  ApiException,
  AuthorizationV1Api,
  CoreV1Api,
  KubeConfig,
  RbacAuthorizationV1Api,
  type V1PolicyRule,
  type V1ResourceAttributes,
} from '@kubernetes/client-node';
import { stringify } from 'yaml';
import { z } from 'zod';
import { HarnessError } from '../../core/errors.ts';
import { RUN_OBJECT_LABEL } from '../../core/names.ts';
import type { RunPki } from '../../core/pki.ts';
import type { PolicyRule } from '../../core/policy-rule.ts';
import { limitSeconds } from '../../core/time-limits.ts';
import { describeRight, isSelfReview, type Right, rightsOf, ruleAllows } from '../../kubernetes/rbac.ts';
import type { TargetAccessData, TargetAccessOptions } from '../../rpc/target-access.ts';
import { type ApiFault, apiFaultSchema } from '../../rpc/target-access.ts';
import type { StartedCluster } from './cluster.ts';
import { startTargetProxy, type TargetProxy } from './target-proxy.ts';

/** One in the main process. */
interface OpenAccess {
  data: TargetAccessData;
  proxy: TargetProxy;
  /** Replaces the rules of its Role in its namespace; settled once the API server acts by them. */
  setRules(rules: PolicyRule[]): Promise<void>;
  close(): Promise<void>;
}

/** Longer than any run. */
const TOKEN_SECONDS = 4 * 60 * 60;
/** How long a change of a Role may take to be known to the API server's authorizer. */
const KNOWN_SECONDS = limitSeconds('accessKnown');
const LOOK_EVERY_MS = 100;

const ROLE_GROUP = 'rbac.authorization.k8s.io';

function kubeConfigText(server: string, ca: string, token: string, namespace: string): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'target',
    clusters: [
      { name: 'target', cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } },
    ],
    users: [{ name: 'target', user: { token } }],
    contexts: [{ name: 'target', context: { cluster: 'target', user: 'target', namespace } }],
  });
}

type IsAllowed = (right: Right, scope?: string) => Promise<boolean>;

/**
 * How it is asked what a ServiceAccount may do. On a live cluster the ServiceAccount asks for itself, which every user may, and the
 * harness needs no right for; on the harness's own, where what it asks would stand in the audit log, an administrator asks.
 */
function accessReviewOf(options: {
  config: KubeConfig;
  user: string;
  namespace: string;
  token: string;
  owned: boolean;
}): IsAllowed {
  const { config, user, namespace, token, owned } = options;
  const attributesOf = (right: Right, scope?: string): V1ResourceAttributes => {
    const [resource = '', subresource] = right.resource.split('/');
    return {
      verb: right.verb,
      group: right.group,
      resource,
      ...(subresource === undefined ? {} : { subresource }),
      ...(right.name === undefined ? {} : { name: right.name }),
      ...(scope === undefined ? {} : { namespace: scope }),
    };
  };
  if (owned) {
    const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
    const authorization = config.makeApiClient(AuthorizationV1Api);
    return async (right, scope) => {
      const spec = { user, groups, resourceAttributes: attributesOf(right, scope) };
      return (await authorization.createSubjectAccessReview({ body: { spec } })).status?.allowed === true;
    };
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new HarnessError('the kubeconfig has no current context');
  const own = new KubeConfig();
  own.loadFromClusterAndUser(cluster, { name: user, token });
  const authorization = own.makeApiClient(AuthorizationV1Api);
  return async (right, scope) => {
    try {
      const spec = { resourceAttributes: attributesOf(right, scope) };
      return (await authorization.createSelfSubjectAccessReview({ body: { spec } })).status?.allowed === true;
    } catch (error) {
      if (!(error instanceof ApiException) || error.code !== 401) throw error;
      throw new HarnessError(
        `the API server of the kubeconfig does not take the token of ${user} (401): a front before it may take those of its own users alone`,
      );
    }
  };
}

/**
 * Makes a ServiceAccount that is bound to exactly these rules and starts a recording proxy for it.
 *
 * @param where addresses to listen at: loopback first, then the one that pods reach, where they can
 * @throws HarnessError where the harness may not give the rules (it holds less itself), or they do not take effect
 */
async function openTargetAccess(
  cluster: StartedCluster,
  pki: RunPki,
  options: TargetAccessOptions,
  { id, runId, where }: { id: string; runId: string; where: { loopback: string; pods?: string } },
): Promise<OpenAccess> {
  const config = new KubeConfig();
  config.loadFromString(cluster.data.kubeConfig);
  const core = config.makeApiClient(CoreV1Api);
  const rbac = config.makeApiClient(RbacAuthorizationV1Api);
  const { namespace, serviceAccount = `target-${id}`, rules, elsewhere = {}, clusterRules = [] } = options;
  const user = `system:serviceaccount:${namespace}:${serviceAccount}`;
  const labels = { [RUN_OBJECT_LABEL]: runId };
  const subjects = [{ kind: 'ServiceAccount', name: serviceAccount, namespace }];

  await core.createNamespacedServiceAccount({ namespace, body: { metadata: { name: serviceAccount, labels } } });
  const { status: issued } = await core.createNamespacedServiceAccountToken({
    namespace,
    name: serviceAccount,
    body: { spec: { audiences: cluster.data.apiAudiences, expirationSeconds: TOKEN_SECONDS } },
  });
  const token = issued?.token ?? '';
  const isAllowed = accessReviewOf({ config, user, namespace, token, owned: cluster.data.owned });
  /** The authorizer learns of Roles by a watch of its own, that nobody else can see: it is asked until it knows. */
  const known = async (rights: Right[], expected: boolean, scope?: string): Promise<void> => {
    const deadline = Date.now() + KNOWN_SECONDS * 1000;
    for (const right of rights) {
      while ((await isAllowed(right, scope)) !== expected) {
        if (Date.now() > deadline) {
          throw new HarnessError(
            `${KNOWN_SECONDS} s after its Role was written, ${user} ${expected ? 'still may not' : 'still may'} ${describeRight(right)} in ${scope ?? 'the cluster'}`,
          );
        }
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      }
    }
  };
  const granted = async (what: PolicyRule[], write: () => Promise<unknown>): Promise<void> => {
    try {
      await write();
    } catch (error) {
      if (error instanceof ApiException && error.code === 403) {
        throw new HarnessError(
          `the harness may not give ${JSON.stringify(what)}; it needs those rights itself, or bind and escalate on Roles`,
        );
      }
      throw error;
    }
  };
  const bind = async (scope: string, what: PolicyRule[]): Promise<void> => {
    const metadata = { name: serviceAccount, namespace: scope, labels };
    const roleRef = { apiGroup: ROLE_GROUP, kind: 'Role', name: serviceAccount };
    await granted(what, () => rbac.createNamespacedRole({ namespace: scope, body: { metadata, rules: whole(what) } }));
    await rbac.createNamespacedRoleBinding({ namespace: scope, body: { metadata, roleRef, subjects } });
  };
  const clusterName = `kac-${runId}-${serviceAccount}-${id}`;
  const bindCluster = async (): Promise<void> => {
    const metadata = { name: clusterName, labels };
    const roleRef = { apiGroup: ROLE_GROUP, kind: 'ClusterRole', name: clusterName };
    await granted(clusterRules, () => rbac.createClusterRole({ body: { metadata, rules: whole(clusterRules) } }));
    await rbac.createClusterRoleBinding({ body: { metadata, roleRef, subjects } });
  };

  const scopes = Object.entries({ ...elsewhere, [namespace]: rules });
  await Promise.all([
    ...scopes.map(([scope, what]) => bind(scope, what)),
    ...(clusterRules.length === 0 ? [] : [bindCluster()]),
  ]);
  await Promise.all([
    ...scopes.map(([scope, what]) => known(rightsOf(what), true, scope)),
    known(rightsOf(clusterRules), true),
  ]);

  const hosts = [where.loopback, ...(where.pods === undefined ? [] : [where.pods])];
  const proxy = await startTargetProxy({
    kubeConfig: cluster.data.kubeConfig,
    tls: await pki.issue('localhost', { ips: hosts }),
    hosts,
  });
  const [local, inside] = proxy.addresses;
  let current = rules;
  return {
    proxy,
    data: {
      id,
      namespace,
      serviceAccount,
      user,
      kubeConfig: kubeConfigText(`https://${local?.host}:${local?.port}`, pki.ca, token, namespace),
      ...(inside === undefined
        ? {}
        : {
            inCluster: { KUBERNETES_SERVICE_HOST: inside.host, KUBERNETES_SERVICE_PORT: String(inside.port) },
          }),
    },
    async setRules(next) {
      const body = { metadata: { name: serviceAccount, namespace, labels }, rules: whole(next) };
      await granted(next, () => rbac.replaceNamespacedRole({ namespace, name: serviceAccount, body }));
      const gone = rightsOf(current).filter((right) => !isKept(right, next));
      current = next;
      await Promise.all([known(rightsOf(next), true, namespace), known(gone, false, namespace)]);
    },
    async close() {
      await proxy.close();
      if (clusterRules.length > 0 && !cluster.data.owned) {
        await rbac.deleteClusterRoleBinding({ name: clusterName });
        await rbac.deleteClusterRole({ name: clusterName });
      }
    },
  };
}

/** What other rules, or those of every authenticated user, still allow is not gone. */
function isKept(right: Right, rules: PolicyRule[]): boolean {
  const [resource = '', subresource] = right.resource.split('/');
  const action = { ...right, resource, ...(subresource === undefined ? {} : { subresource }) };
  return isSelfReview(right) || rules.some((rule) => ruleAllows(rule, action));
}

/** As the client wants it: without what is undefined. */
function whole(rules: PolicyRule[]): V1PolicyRule[] {
  return JSON.parse(JSON.stringify(rules)) as V1PolicyRule[];
}

/** Those of a run, by their ids: the workers ask for them through the control server. */
export class TargetAccesses {
  readonly #runId: string;
  readonly #open = new Map<string, OpenAccess>();
  #count = 0;

  constructor(runId: string) {
    this.#runId = runId;
  }

  /** @param pods address at which pods of the cluster reach this host; absent where they do not */
  async open(
    cluster: StartedCluster,
    pki: RunPki,
    options: TargetAccessOptions,
    pods?: string,
  ): Promise<TargetAccessData> {
    this.#count += 1;
    const id = String(this.#count);
    const where = { loopback: '127.0.0.1', ...(pods === undefined ? {} : { pods }) };
    const access = await openTargetAccess(cluster, pki, options, { id, runId: this.#runId, where });
    this.#open.set(id, access);
    return access.data;
  }

  #of(id: string): OpenAccess {
    const access = this.#open.get(id);
    if (access === undefined) {
      throw new HarnessError(`no access of a target is called ${id}, or it was closed`);
    }
    return access;
  }

  records(id: string): ReturnType<TargetProxy['records']> {
    return this.#of(id).proxy.records();
  }

  setFaults(id: string, faults: ApiFault[]): void {
    this.#of(id).proxy.setFaults(z.array(apiFaultSchema).parse(faults));
  }

  setRules(id: string, rules: PolicyRule[]): Promise<void> {
    return this.#of(id).setRules(rules);
  }

  async close(id: string): Promise<void> {
    await this.#of(id).close();
    this.#open.delete(id);
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#open.keys()].map((id) => this.close(id)));
  }
}
