import { KubeConfig } from '@kubernetes/client-node';
import { HarnessError, NotTestable } from '../../core/errors.ts';
import { annotationOfThisPod, RUN_OBJECT_LABEL } from '../../core/names.ts';
import { type ClusterHandle, createClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { ENFORCED_LEVEL } from '../../kubernetes/pod-security.ts';
import { refusedToHarness } from '../../kubernetes/refused-objects.ts';
import type { WorkloadIdentity } from '../../oauth/provider.ts';
import type { StartedCluster } from './cluster.ts';
import { removeNamespace } from './namespaces.ts';

export interface PeerAccountsOptions {
  runId: string;
  /** Context of the kubeconfig that leads to the cluster, for messages. */
  context: string;
  /** Namespaces that the run is kept to, in this cluster, too. */
  given: readonly string[];
}

interface Made {
  path: string;
  uid: string;
}

/**
 * ServiceAccounts of a run's second cluster, with the names and namespaces that they have in the first one: nothing
 * else is made there.
 */
export class PeerAccounts {
  readonly #started: StartedCluster;
  readonly #cluster: ClusterHandle;
  readonly #options: PeerAccountsOptions;
  readonly #ready = new Map<string, Promise<void>>();
  readonly #namespaces = new Map<string, string>();
  readonly #accounts: Made[] = [];

  constructor(started: StartedCluster, options: PeerAccountsOptions) {
    this.#started = started;
    this.#cluster = createClusterHandle(started.data);
    this.#options = options;
  }

  /**
   * Makes a ServiceAccount, and its namespace where that is one of the run's own; once, whoever asks.
   *
   * @throws NotTestable where it belongs to somebody else and is not there; HarnessError where it may not be made
   */
  ensure({ namespace, serviceAccount }: WorkloadIdentity): Promise<void> {
    return this.#once(`${namespace}/${serviceAccount}`, async () => {
      const { runId, given, context } = this.#options;
      const isOwn = namespace.startsWith(`kac-${runId}-`);
      if (!isOwn && !given.includes(namespace)) {
        return this.#requireAccount(namespace, serviceAccount);
      }
      if (isOwn) {
        await this.#once(namespace, () => this.#makeNamespace(namespace));
      }
      try {
        const { metadata } = await this.#cluster.core.createNamespacedServiceAccount({
          namespace,
          body: {
            metadata: {
              name: serviceAccount,
              labels: { [RUN_OBJECT_LABEL]: runId },
              annotations: annotationOfThisPod(),
            },
            automountServiceAccountToken: false,
          },
        });
        if (!isOwn) {
          const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}`;
          this.#accounts.push({ path, uid: metadata?.uid ?? '' });
        }
      } catch (error) {
        throw refusedToHarness(
          `the ServiceAccount ${namespace}/${serviceAccount} in the second cluster (context "${context}")`,
          error,
        );
      }
    });
  }

  #once(key: string, make: () => Promise<void>): Promise<void> {
    const ready = this.#ready.get(key) ?? make();
    this.#ready.set(key, ready);
    return ready;
  }

  async #makeNamespace(name: string): Promise<void> {
    const { runId, context } = this.#options;
    const metadata = {
      name,
      labels: { [RUN_OBJECT_LABEL]: runId, [ENFORCED_LEVEL]: 'restricted' },
      annotations: annotationOfThisPod(),
    };
    try {
      const made = await this.#cluster.core.createNamespace({ body: { metadata } });
      this.#namespaces.set(name, made.metadata?.uid ?? '');
    } catch (error) {
      throw refusedToHarness(`the namespace ${name} in the second cluster (context "${context}")`, error);
    }
  }

  /** One that the provider knows already, and that nobody here may make. */
  async #requireAccount(namespace: string, name: string): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}`;
    const response = await this.#cluster.request(path);
    await response.arrayBuffer();
    if (response.status !== 200) {
      const { context } = this.#options;
      throw new NotTestable(
        `the second cluster (context "${context}") answers ${response.status} to GET ${path}: make it there, too (kubectl --context ${context} create namespace ${namespace}; kubectl --context ${context} create serviceaccount ${name} --namespace ${namespace})`,
      );
    }
  }

  /** Deletes what was made, by uid; settled when the namespaces are gone. */
  async removeAll(deadlineSeconds = 120): Promise<void> {
    const config = new KubeConfig();
    config.loadFromString(this.#started.data.kubeConfig);
    await Promise.all([
      ...[...this.#namespaces].map(([name, uid]) => removeNamespace(config, name, deadlineSeconds, uid)),
      ...this.#accounts.map((account) => this.#remove(account)),
    ]);
  }

  async #remove({ path, uid }: Made): Promise<void> {
    const response = await this.#cluster.request(path, {
      method: 'DELETE',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid } }),
    });
    const text = await response.text();
    if (!response.ok && response.status !== 404) {
      const { context } = this.#options;
      throw new HarnessError(`context "${context}", DELETE ${path}: ${response.status} ${text.slice(0, 300)}`);
    }
  }
}
