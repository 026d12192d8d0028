import {
  CoreV1Api,
  type KubeConfig,
  type KubernetesObject,
  KubernetesObjectApi,
  type V1Namespace,
  type V1ServiceAccount,
} from '@kubernetes/client-node';
import { annotationOfThisPod, RUN_OBJECT_LABEL } from '../../core/names.ts';
import { ENFORCED_LEVEL } from '../../kubernetes/pod-security.ts';
import { refusedToHarness } from '../../kubernetes/refused-objects.ts';
import { SharedConnections } from '../../kubernetes/shared-connections.ts';
import { watchUntil } from '../../kubernetes/watch.ts';
import type { PodSecurity } from '../../rpc/protocol.ts';
import type { Settings } from '../../targets/settings.ts';
import { assignedUidsAtWork, uidRange } from './assigned-uids.ts';
import { applyMutations, type Mutation } from './faults/admission-policies.ts';

/**
 * Longest slug of a namespace's name: with prefix, run id and number it stays below the 63 characters of a DNS label.
 */
const SLUG_LENGTH = 30;

type PullSecret = Settings['pods']['imagePullSecrets'][number];

/** The namespaces of one run in one cluster. Nothing of a run is put anywhere else. */
export class Namespaces {
  readonly #config = new SharedConnections();
  readonly #core: CoreV1Api;
  readonly #objects: KubernetesObjectApi;
  readonly #runId: string;
  /** Each at its number; those that were removed leave their place empty. */
  readonly #names: (string | undefined)[] = [];
  readonly #assignedUids: boolean;
  readonly #pullSecrets: PullSecret[];

  /**
   * @param options.assignedUids each namespace has a range of uids, which the cluster gives to its pods
   *   (assigned-uids.ts)
   * @param options.pullSecrets Secrets that are copied into each namespace, where they say from which
   */
  constructor(kubeConfig: string, runId: string, options: { assignedUids?: boolean; pullSecrets?: PullSecret[] } = {}) {
    this.#assignedUids = options.assignedUids === true;
    this.#pullSecrets = options.pullSecrets ?? [];
    this.#config.loadFromString(kubeConfig);
    this.#core = this.#config.makeApiClient(CoreV1Api);
    this.#objects = KubernetesObjectApi.makeApiClient(this.#config);
    this.#runId = runId;
  }

  /**
   * Creates a namespace under Pod Security and waits for its default ServiceAccount: no pod can be created before.
   *
   * @param purpose becomes part of its name
   * @param podSecurity the standard that it enforces
   * @throws HarnessError in the words of whoever refused it
   */
  async create(purpose: string, podSecurity: PodSecurity): Promise<string> {
    const slug = purpose
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .slice(0, SLUG_LENGTH);
    const name = `kac-${this.#runId}-${this.#names.length}-${slug}`.replace(/-+$/, '');
    const uids = this.#assignedUids && podSecurity === 'restricted' ? uidRange(this.#names.length) : {};
    const annotations = { ...annotationOfThisPod(), ...uids };
    const index = this.#names.push(name) - 1;
    try {
      await this.#core.createNamespace({
        body: {
          metadata: {
            name,
            annotations,
            labels: { [RUN_OBJECT_LABEL]: this.#runId, [ENFORCED_LEVEL]: podSecurity },
          },
        },
      });
    } catch (error) {
      this.#names[index] = undefined;
      throw refusedToHarness(`a namespace for ${purpose}`, error);
    }
    await this.#copyPullSecrets(name);
    await watchUntil<V1ServiceAccount, true>(this.#config, `/api/v1/namespaces/${name}/serviceaccounts`, () => true, {
      what: `the default ServiceAccount of namespace ${name}`,
      fieldSelector: 'metadata.name=default',
      deadlineSeconds: 30,
    });
    for (const range of Object.values(uids)) {
      await assignedUidsAtWork(this.#config, name, range);
    }
    return name;
  }

  async #copyPullSecrets(namespace: string): Promise<void> {
    for (const { name, fromNamespace } of this.#pullSecrets) {
      if (fromNamespace === undefined) {
        continue;
      }
      try {
        const { type, data } = await this.#core.readNamespacedSecret({ namespace: fromNamespace, name });
        const body = {
          metadata: { name },
          ...(type === undefined ? {} : { type }),
          ...(data === undefined ? {} : { data }),
        };
        await this.#core.createNamespacedSecret({ namespace, body });
      } catch (error) {
        throw refusedToHarness(`a copy of the pull secret ${fromNamespace}/${name}`, error);
      }
    }
  }

  /** Creates objects in which `$NAMESPACE` stands for the namespace's name. */
  async applyTo(namespace: string, objects: Record<string, unknown>[]): Promise<void> {
    for (const object of objects) {
      const text = JSON.stringify(object).replaceAll('$NAMESPACE', namespace);
      await this.#objects.create(JSON.parse(text) as KubernetesObject);
    }
  }

  /** Binds changes to a namespace: whatever is created there from now on is rewritten by them. */
  mutate(namespace: string, mutations: Mutation[]): Promise<void> {
    return applyMutations(this.#config, namespace, mutations);
  }

  /** Begins to delete one of them; nothing where that was done before. */
  async remove(name: string): Promise<void> {
    const index = this.#names.indexOf(name);
    if (index < 0) {
      return;
    }
    this.#names[index] = undefined;
    await this.#core.deleteNamespace({ name });
  }

  /** Deletes all that are left and waits until they are gone. */
  async removeAll(deadlineSeconds = 120): Promise<void> {
    const names = this.#names.flatMap((name) => (name === undefined ? [] : [name]));
    await Promise.all(names.map((name) => removeNamespace(this.#config, name, deadlineSeconds)));
  }
}

/**
 * Why a namespace is not gone yet, in the words of the namespace controller: what is left in it, and whose finalizers
 * it waits for (Kubernetes, "Namespaces", conditions).
 */
export function describeTerminating({ metadata, spec, status }: V1Namespace): string {
  const told = (status?.conditions ?? [])
    .filter(({ status: is }) => is === 'True')
    .map(({ type, message = '' }) => `${type}: ${message}`);
  const finalizers = [...(metadata?.finalizers ?? []), ...(spec?.finalizers ?? [])];
  return [
    `namespace ${metadata?.name} is ${status?.phase ?? 'there'}`,
    ...(finalizers.length === 0 ? [] : [`its finalizers: ${finalizers.join(', ')}`]),
    ...told,
  ].join('; ');
}

/**
 * Deletes a namespace, and waits until it is gone.
 *
 * @param precondition uid that it must have: another one of its name stays
 * @throws DeadlineExceeded that says what it waits for, see {@link describeTerminating}
 */
export async function removeNamespace(
  config: KubeConfig,
  name: string,
  deadlineSeconds: number,
  uid?: string,
): Promise<void> {
  const core = config.makeApiClient(CoreV1Api);
  const path = '/api/v1/namespaces';
  const watching = new AbortController();
  const gone = watchUntil<V1Namespace, true>(config, path, ({ type }) => (type === 'DELETED' ? true : undefined), {
    what: `namespace ${name} to be gone`,
    fieldSelector: `metadata.name=${name}`,
    deadlineSeconds,
    describe: describeTerminating,
    signal: watching.signal,
  });
  // Who waits after the deletion may miss its end.
  gone.catch(() => undefined);
  try {
    await core.deleteNamespace({ name, ...(uid === undefined ? {} : { body: { preconditions: { uid } } }) });
  } catch (error) {
    watching.abort();
    throw error;
  }
  await gone;
}
