import {
  ApiException,
  CoreV1Api,
  type KubeConfig,
  RbacAuthorizationV1Api,
  type V1PolicyRule,
} from '@kubernetes/client-node';
import { HarnessError } from '../../../core/errors.ts';
import { annotationOfThisPod, RUN_OBJECT_LABEL } from '../../../core/names.ts';
import type { PolicyRule } from '../../../core/policy-rule.ts';
import { mayNotGive, rightsOf } from '../../../kubernetes/rbac.ts';
import { SharedConnections } from '../../../kubernetes/shared-connections.ts';
import type { TargetAccessOptions } from '../../../rpc/target-access.ts';
import type { StartedCluster } from '../cluster.ts';
import { accessReview, type IsAllowed } from './access-review.ts';
import { rightsLost, waitForEffect } from './effect.ts';

/** Longer than any run. */
const TOKEN_SECONDS = 4 * 60 * 60;

const ROLE_GROUP = 'rbac.authorization.k8s.io';

/** A ServiceAccount that is bound to exactly the rules that a target documents. */
export class BoundServiceAccount {
  readonly name: string;
  readonly namespace: string;
  /** `system:serviceaccount:NAMESPACE:NAME`. */
  readonly user: string;
  readonly token: string;
  readonly #cluster: StartedCluster;
  readonly #rbac: RbacAuthorizationV1Api;
  readonly #labels: Record<string, string>;
  readonly #isAllowed: IsAllowed;
  /** Of its ClusterRole and the binding. */
  readonly #clusterName: string;
  #hasClusterRole = false;
  #rules: PolicyRule[] = [];

  private constructor(
    cluster: StartedCluster,
    config: KubeConfig,
    {
      name,
      namespace,
      token,
      id,
      runId,
    }: { name: string; namespace: string; token: string; id: string; runId: string },
  ) {
    this.name = name;
    this.namespace = namespace;
    this.user = `system:serviceaccount:${namespace}:${name}`;
    this.token = token;
    this.#cluster = cluster;
    this.#rbac = config.makeApiClient(RbacAuthorizationV1Api);
    this.#labels = { [RUN_OBJECT_LABEL]: runId };
    this.#clusterName = `kac-${runId}-${name}-${id}`;
    this.#isAllowed = accessReview({ config, user: this.user, namespace, token, owned: cluster.data.owned });
  }

  /**
   * Makes the ServiceAccount and its Roles; settled once the API server acts by them.
   *
   * @throws HarnessError where the harness may not give the rules (it holds less itself), or they do not take effect
   */
  static async create(
    cluster: StartedCluster,
    options: TargetAccessOptions,
    { id, runId }: { id: string; runId: string },
  ): Promise<BoundServiceAccount> {
    const { namespace, serviceAccount: name = `target-${id}`, rules, elsewhere = {}, clusterRules = [] } = options;
    const config = new SharedConnections();
    config.loadFromString(cluster.data.kubeConfig);
    const core = config.makeApiClient(CoreV1Api);
    const labels = { [RUN_OBJECT_LABEL]: runId };
    await core.createNamespacedServiceAccount({ namespace, body: { metadata: { name, labels } } });
    const { status } = await core.createNamespacedServiceAccountToken({
      namespace,
      name,
      body: { spec: { audiences: cluster.data.apiAudiences, expirationSeconds: TOKEN_SECONDS } },
    });
    const account = new BoundServiceAccount(cluster, config, {
      name,
      namespace,
      token: status?.token ?? '',
      id,
      runId,
    });
    await account.#bindAll({ ...elsewhere, [namespace]: rules }, clusterRules);
    account.#rules = rules;
    return account;
  }

  /** Replaces the rules of its Role in its namespace; settled once the API server acts by them. */
  async setRules(rules: PolicyRule[]): Promise<void> {
    const { name, namespace } = this;
    const body = { metadata: { name, namespace, labels: this.#labels }, rules: plain(rules) };
    await granted(rules, namespace, () => this.#rbac.replaceNamespacedRole({ namespace, name, body }));
    const lost = rightsLost(rightsOf(this.#rules), rules);
    this.#rules = rules;
    await Promise.all([
      this.#waitForEffect({ rights: rightsOf(rules), allowed: true, scope: namespace }),
      this.#waitForEffect({ rights: lost, allowed: false, scope: namespace }),
    ]);
  }

  /** Removes what would outlive its namespace on a live cluster. */
  async remove(): Promise<void> {
    if (this.#hasClusterRole && !this.#cluster.data.owned) {
      await this.#rbac.deleteClusterRoleBinding({ name: this.#clusterName });
      await this.#rbac.deleteClusterRole({ name: this.#clusterName });
    }
  }

  async #bindAll(scopes: Record<string, PolicyRule[]>, clusterRules: PolicyRule[]): Promise<void> {
    const entries = Object.entries(scopes);
    await Promise.all([
      ...entries.map(([scope, rules]) => this.#bind(scope, rules)),
      ...(clusterRules.length === 0 ? [] : [this.#bindCluster(clusterRules)]),
    ]);
    await Promise.all([
      ...entries.map(([scope, rules]) => this.#waitForEffect({ rights: rightsOf(rules), allowed: true, scope })),
      this.#waitForEffect({ rights: rightsOf(clusterRules), allowed: true }),
    ]);
  }

  async #bind(scope: string, rules: PolicyRule[]): Promise<void> {
    const metadata = { name: this.name, namespace: scope, labels: this.#labels };
    const roleRef = { apiGroup: ROLE_GROUP, kind: 'Role', name: this.name };
    const role = { metadata, rules: plain(rules) };
    await granted(rules, scope, () => this.#rbac.createNamespacedRole({ namespace: scope, body: role }));
    const binding = { metadata, roleRef, subjects: this.#subjects };
    await this.#rbac.createNamespacedRoleBinding({ namespace: scope, body: binding });
  }

  async #bindCluster(rules: PolicyRule[]): Promise<void> {
    this.#hasClusterRole = true;
    // By these a clean-up knows whose it is when the run was killed.
    const metadata = { name: this.#clusterName, labels: this.#labels, annotations: annotationOfThisPod() };
    const roleRef = { apiGroup: ROLE_GROUP, kind: 'ClusterRole', name: this.#clusterName };
    await granted(rules, undefined, () => this.#rbac.createClusterRole({ body: { metadata, rules: plain(rules) } }));
    await this.#rbac.createClusterRoleBinding({ body: { metadata, roleRef, subjects: this.#subjects } });
  }

  get #subjects(): { kind: string; name: string; namespace: string }[] {
    return [{ kind: 'ServiceAccount', name: this.name, namespace: this.namespace }];
  }

  #waitForEffect(change: Parameters<typeof waitForEffect>[2]): Promise<void> {
    return waitForEffect(this.#isAllowed, this.user, change);
  }
}

/** Nobody may give more than they hold (Kubernetes, "Privilege escalation prevention and bootstrapping"). */
async function granted(
  rules: PolicyRule[],
  namespace: string | undefined,
  write: () => Promise<unknown>,
): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (error instanceof ApiException && error.code === 403) {
      throw new HarnessError(mayNotGive(rules, namespace), { cause: error });
    }
    throw error;
  }
}

/** As the client wants it: without what is undefined. */
function plain(rules: PolicyRule[]): V1PolicyRule[] {
  return JSON.parse(JSON.stringify(rules)) as V1PolicyRule[];
}
