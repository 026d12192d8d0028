import type { KubernetesObject, V1Namespace, V1Status } from '@kubernetes/client-node';
import { DeadlineExceeded, HarnessError, NotApplicable } from '../../core/errors.ts';
import { annotationOfThisPod, LASTS_FOR_THE_RUN, RUN_OBJECT_LABEL, RUN_POD_ANNOTATION } from '../../core/names.ts';
import type { ClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { enforcedLevel, isAtMost } from '../../kubernetes/pod-security.ts';
import { watchUntil } from '../../kubernetes/watch.ts';
import type { PodSecurity } from '../../rpc/protocol.ts';

/** What a run makes in a namespace, owners first: what they own goes with them. */
const COLLECTIONS = [
  ['/api/v1', 'resourcequotas'],
  // Of operators, where their kinds are served.
  ['/apis/agents.x-k8s.io/v1beta1', 'sandboxes'],
  ['/apis/traefik.io/v1alpha1', 'ingressroutes'],
  ['/apis/traefik.io/v1alpha1', 'middlewares'],
  ['/apis/apps/v1', 'deployments'],
  ['/apis/apps/v1', 'statefulsets'],
  ['/apis/batch/v1', 'cronjobs'],
  ['/apis/batch/v1', 'jobs'],
  ['/api/v1', 'pods'],
  ['/api/v1', 'services'],
  ['/api/v1', 'persistentvolumeclaims'],
  ['/apis/networking.k8s.io/v1', 'networkpolicies'],
  ['/api/v1', 'configmaps'],
  ['/api/v1', 'secrets'],
  ['/apis/rbac.authorization.k8s.io/v1', 'rolebindings'],
  ['/apis/rbac.authorization.k8s.io/v1', 'roles'],
  ['/api/v1', 'serviceaccounts'],
  ['/apis/coordination.k8s.io/v1', 'leases'],
] as const;

/** Objects of these stay for a while after they are deleted, under their name. */
const LINGERING = new Set(['pods', 'persistentvolumeclaims', 'jobs', 'deployments', 'statefulsets', 'cronjobs']);
const GONE_SECONDS = 90;
const LOOK_SECONDS = 5;

/** Name of the ConfigMap by which a run holds a namespace of somebody else. */
const CLAIM = 'kube-agent-conformance-run';

/** Somebody who asks for a namespace. */
export interface NamespaceRequest {
  /** Whoever gives it back; nobody else has it meanwhile. */
  owner: string;
  /** Becomes part of the reason where there is none. */
  purpose: string;
  podSecurity: PodSecurity;
  /** It is given back at the end of a file of requirements, and not before. */
  lasts?: boolean;
  /**
   * Those whose requirements may wait for each other, the files of a role that shares one observation; default: the
   * owner alone. One that lasts is not given back while anybody of the group waits.
   */
  group?: string;
  /** One that lets more pass will not do. */
  enforced?: boolean;
}

interface Waiter {
  request: NamespaceRequest;
  fitting: string[];
  resolve(name: string): void;
  reject(error: unknown): void;
}

/**
 * Namespaces that somebody else gives to a run, which has no rights beyond them. Whoever asks for one has it alone
 * until it is given back, since the objects of several would have the same names, and waits where others have them all.
 * What was made in it, known by the label of the run, is deleted before the next one has it.
 */
export class GivenNamespaces {
  readonly #cluster: ClusterHandle;
  readonly #runId: string;
  readonly #names: string[];
  readonly #holders = new Map<string, NamespaceRequest>();
  readonly #waiting: Waiter[] = [];
  readonly #claims = new Map<string, Promise<void>>();

  constructor(cluster: ClusterHandle, runId: string, names: string[]) {
    this.#cluster = cluster;
    this.#runId = runId;
    this.#names = names;
  }

  /**
   * @throws NotApplicable where none has the Pod Security that is needed, or none will ever be given back: the owner
   *   has all of them already, or those who have them wait for each other
   */
  async take(request: NamespaceRequest): Promise<string> {
    const { purpose, podSecurity, enforced = false } = request;
    const levels = await Promise.all(this.#names.map(async (name) => [name, await this.#podSecurityOf(name)] as const));
    const fits = (level: PodSecurity): boolean => (enforced ? level === podSecurity : isAtMost(level, podSecurity));
    const fitting = levels.filter(([, level]) => fits(level)).map(([name]) => name);
    if (fitting.length === 0) {
      const found = levels.map(([name, level]) => `${name} enforces ${level}`).join(', ');
      throw new NotApplicable(`it needs a namespace of Pod Security ${podSecurity} (${purpose}), and ${found}`);
    }
    await Promise.all(fitting.map((name) => this.#claim(name)));
    const free = fitting.find((name) => !this.#holders.has(name));
    if (free !== undefined) {
      this.#holders.set(free, request);
      this.#dismissHopeless();
      return free;
    }
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.#waiting.push({ request, fitting, resolve, reject });
    this.#dismissHopeless();
    return promise;
  }

  /**
   * Two runs in one namespace would make objects of the same names: the first one says that it is there.
   *
   * @throws HarnessError where another run has said so
   */
  #claim(namespace: string): Promise<void> {
    const claimed = this.#claims.get(namespace) ?? this.#makeClaim(namespace);
    this.#claims.set(namespace, claimed);
    return claimed;
  }

  async #makeClaim(namespace: string): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const labels = { [RUN_OBJECT_LABEL]: this.#runId, ...LASTS_FOR_THE_RUN };
    const metadata = { name: CLAIM, labels, annotations: annotationOfThisPod() };
    // Who may not make ConfigMaps makes no pods of the harness either.
    // A policy that refuses it refuses others, too: the preflight tells of them.
    const { status } = await this.#ask('POST', path, { apiVersion: 'v1', kind: 'ConfigMap', metadata }, [422]);
    if (status !== 409) {
      return;
    }
    const { body } = await this.#ask('GET', `${path}/${CLAIM}`);
    const other = (body as KubernetesObject).metadata?.labels?.[RUN_OBJECT_LABEL];
    if (other !== this.#runId) {
      throw new HarnessError(
        `the namespace ${namespace} is in use by the run ${other ?? 'that made the ConfigMap'} (ConfigMap ${CLAIM}): wait for its end, or give another one; \`conformance clean --cluster kubeconfig --namespace ${namespace}\` removes what a dead run left`,
      );
    }
  }

  #noneIsLeft({ purpose }: NamespaceRequest): NotApplicable {
    return new NotApplicable(
      `it needs a further namespace (${purpose}), and the run is kept to ${this.#names.join(', ')}: give one more by --namespace`,
    );
  }

  /** Gives all back that an owner has: what was made there goes first. */
  async giveBack(owner: string): Promise<void> {
    const names = [...this.#holders].filter(([, holder]) => holder.owner === owner).map(([name]) => name);
    for (const name of names) {
      let failure: unknown;
      try {
        await this.#clean(name, `${RUN_OBJECT_LABEL}=${this.#runId},!${Object.keys(LASTS_FOR_THE_RUN).join(',!')}`);
      } catch (error) {
        failure = error;
      }
      this.#holders.delete(name);
      // Whoever gives it back again comes first.
      const fits = ({ fitting }: Waiter): boolean => fitting.includes(name);
      const short = this.#waiting.findIndex((waiter) => fits(waiter) && waiter.request.lasts !== true);
      const index = short >= 0 ? short : this.#waiting.findIndex(fits);
      const [next] = index < 0 ? [] : this.#waiting.splice(index, 1);
      if (next === undefined) {
        if (failure !== undefined) {
          throw failure;
        }
        continue;
      }
      if (failure !== undefined) {
        next.reject(failure);
        continue;
      }
      this.#holders.set(name, next.request);
      next.resolve(name);
      this.#dismissHopeless();
    }
  }

  /** Of those who would wait for ever, the last one is told so, until the others are waited for by somebody else. */
  #dismissHopeless(): void {
    for (;;) {
      const hopeful = this.#hopeful();
      const last = this.#waiting.findLast((waiter) => !hopeful.has(waiter));
      if (last === undefined) {
        return;
      }
      this.#waiting.splice(this.#waiting.indexOf(last), 1);
      last.reject(this.#noneIsLeft(last.request));
    }
  }

  /** Those who wait for a namespace that somebody gives back without anybody else who waits for ever. */
  #hopeful(): Set<Waiter> {
    const hopeful = new Set<Waiter>();
    const isFree = (name: string): boolean => {
      const holder = this.#holders.get(name);
      return holder === undefined || this.#waiting.every((one) => hopeful.has(one) || !isDetained(holder, one.request));
    };
    for (let before = -1; before < hopeful.size; ) {
      before = hopeful.size;
      for (const waiter of this.#waiting) {
        if (waiter.fitting.some(isFree)) {
          hopeful.add(waiter);
        }
      }
    }
    return hopeful;
  }

  async #podSecurityOf(name: string): Promise<PodSecurity> {
    const { status, body } = await this.#ask('GET', `/api/v1/namespaces/${name}`);
    if (status === 404) {
      throw new HarnessError(`the namespace ${name} (--namespace) does not exist`);
    }
    // Who may not read it is told by its pods.
    if (status === 403) {
      return 'privileged';
    }
    return enforcedLevel(body as V1Namespace);
  }

  async #ask(
    method: string,
    path: string,
    given?: unknown,
    further: number[] = [],
  ): Promise<{ status: number; body: unknown }> {
    const response = await this.#cluster.request(path, {
      method,
      ...(given === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(given) }),
    });
    const body = await bodyOf(response);
    if (response.ok || [403, 404, 409, ...further].includes(response.status)) {
      return { status: response.status, body };
    }
    throw new HarnessError(
      `${method} ${path} was answered with ${response.status}: ${(body as V1Status).message ?? ''}`,
    );
  }

  /** Deletes what the run made in any of them. */
  async clean(): Promise<void> {
    const everything = `${RUN_OBJECT_LABEL}=${this.#runId}`;
    await Promise.all(this.#names.map((name) => this.#clean(name, everything)));
  }

  /** By the label of the run and by uid; settled when it is gone. */
  async #clean(namespace: string, labelSelector: string): Promise<void> {
    for (const [prefix, resource] of COLLECTIONS) {
      await this.#remove(`${prefix}/namespaces/${namespace}/${resource}`, resource, labelSelector);
    }
  }

  async #remove(path: string, resource: string, selector: string): Promise<void> {
    const labelSelector = encodeURIComponent(selector);
    const { status, body } = await this.#ask('GET', `${path}?labelSelector=${labelSelector}`);
    // What may not even be listed could not be made either.
    if (status !== 200) {
      return;
    }
    const { items = [] } = body as { items?: KubernetesObject[] };
    await Promise.all(
      items.map(async ({ metadata }) => {
        const { name = '', uid = '' } = metadata ?? {};
        const options = {
          apiVersion: 'v1',
          kind: 'DeleteOptions',
          gracePeriodSeconds: 0,
          propagationPolicy: 'Background',
          preconditions: { uid },
        };
        const deleted = await this.#ask('DELETE', `${path}/${name}`, options);
        if (deleted.status === 403) {
          throw new HarnessError(
            `${path}/${name} is left behind: ${(deleted.body as V1Status).message ?? 'forbidden'}`,
          );
        }
        if (LINGERING.has(resource)) {
          await this.#untilGone(path, name, uid);
        }
      }),
    );
  }

  /** A watch says nothing of what was gone before it began: it is looked again now and then. */
  async #untilGone(path: string, name: string, uid: string): Promise<void> {
    const deadline = Date.now() + GONE_SECONDS * 1000;
    for (;;) {
      const { status, body } = await this.#ask('GET', `${path}/${name}`);
      if (status === 404 || (body as KubernetesObject).metadata?.uid !== uid) {
        return;
      }
      try {
        await watchUntil<KubernetesObject, true>(
          this.#cluster.kubeConfig,
          path,
          ({ type, object: seen }) => (type === 'DELETED' && seen.metadata?.uid === uid ? true : undefined),
          { what: `${path}/${name} to be gone`, fieldSelector: `metadata.name=${name}`, deadlineSeconds: LOOK_SECONDS },
        );
        return;
      } catch (error) {
        if (!(error instanceof DeadlineExceeded) || Date.now() > deadline) {
          throw error;
        }
      }
    }
  }
}

/** What is not served at all is answered in plain text. */
async function bodyOf(response: { text(): Promise<string> }): Promise<unknown> {
  const text = await response.text();
  return text.startsWith('{') ? JSON.parse(text) : {};
}

/** A run that left something in a namespace, and the pod that it ran in, where it was one (RUN_POD_ANNOTATION). */
export interface RunSeen {
  runId: string;
  pod?: string;
}

/** Whether a namespace is not given back before somebody who waits for another has that. */
function isDetained(holder: NamespaceRequest, waiting: NamespaceRequest): boolean {
  return (
    holder.owner === waiting.owner ||
    (holder.lasts === true && holder.group !== undefined && holder.group === waiting.group)
  );
}

/** The runs that have objects in a namespace of somebody else, by their label. What may not be listed is left out. */
export async function runsSeenIn(cluster: ClusterHandle, namespace: string): Promise<RunSeen[]> {
  const runs = new Map<string, RunSeen>();
  for (const [prefix, resource] of COLLECTIONS) {
    const selector = encodeURIComponent(RUN_OBJECT_LABEL);
    const response = await cluster.request(`${prefix}/namespaces/${namespace}/${resource}?labelSelector=${selector}`);
    const { items = [] } = (await bodyOf(response)) as { items?: KubernetesObject[] };
    for (const { metadata } of response.ok ? items : []) {
      const runId = metadata?.labels?.[RUN_OBJECT_LABEL] ?? '';
      const pod = metadata?.annotations?.[RUN_POD_ANNOTATION];
      runs.set(runId, { runId, ...(pod === undefined ? {} : { pod }) });
    }
  }
  return [...runs.values()];
}
