import type { KubernetesObject, V1Pod } from '@kubernetes/client-node';
import type { Changes } from '../../../core/changes.ts';
import type { Zone } from '../../../fakes/dns-and-tunnel/zone.ts';
import type { IngressRoute, Middleware } from '../../../fakes/edge-traffic/edge-traffic.ts';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import { Recorder } from '../../../kubernetes/recorder.ts';
import type { Target } from '../../../targets/load.ts';
import { ingressRoutesPath, middlewaresPath } from '../ingress-api.ts';
import type { OperatorRecord, Session } from '../record.ts';
import { podName } from './session-pods.ts';

export interface ViewOptions {
  target: Target<'session-operator'>;
  cluster: ClusterHandle;
  namespace: string;
  /** Is filled in. */
  record: OperatorRecord;
  changes: Changes;
  signal: AbortSignal;
}

/** What there is in the cluster of the operator's doing, and of the sessions: seen by watches. */
export class ClusterView {
  readonly #options: ViewOptions;
  readonly #recorders: Recorder<KubernetesObject>[] = [];
  readonly #routes = new Map<string, IngressRoute>();
  readonly #middlewares = new Map<string, Middleware>();

  constructor(options: ViewOptions) {
    this.#options = options;
  }

  get routes(): IngressRoute[] {
    return [...this.#routes.values()];
  }

  get middlewares(): Middleware[] {
    return [...this.#middlewares.values()];
  }

  async open(): Promise<void> {
    const { target, namespace, record } = this.#options;
    await this.#watch<IngressRoute & KubernetesObject>(ingressRoutesPath(namespace), (type, route, at) => {
      const { managedFields: _, ...metadata } = route.metadata as KubernetesObject['metadata'] & { name: string };
      const plain = { ...route, metadata: { ...metadata, namespace } } as IngressRoute;
      record.routes.push({ at, type, route: plain });
      keep(this.#routes, type, plain);
    });
    await this.#watch<Middleware & KubernetesObject>(middlewaresPath(namespace), (type, middleware) =>
      keep(this.#middlewares, type, middleware),
    );
    await this.#watch<V1Pod>(`/api/v1/namespaces/${namespace}/pods`, (type, pod, at) => {
      const session = this.#sessionOf(pod);
      if (type === 'DELETED' && session !== undefined) {
        session.podGoneAt = at;
      }
    });
    if (target.sessions.claimLabels !== undefined) {
      await this.#watch(`/api/v1/namespaces/${namespace}/persistentvolumeclaims`, (type, claim, at) => {
        const session = this.#sessionOf(claim);
        if (type === 'DELETED' && session !== undefined) {
          session.claimGoneAt = at;
        }
      });
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#recorders.map((recorder) => recorder.close()));
  }

  #sessionOf({ metadata }: KubernetesObject): Session | undefined {
    return this.#options.record.sessions.find(({ hash }) => metadata?.name === podName(hash));
  }

  async #watch<T extends KubernetesObject>(
    path: string,
    onEvent: (type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T, at: number) => void,
  ): Promise<void> {
    const { cluster, signal, changes } = this.#options;
    const recorder = await Recorder.open<T>(cluster, path, {
      signal,
      onEvent: ({ type, object, at }) => {
        onEvent(type, object, at.getTime());
        changes.notify();
      },
    });
    this.#recorders.push(recorder as unknown as Recorder<KubernetesObject>);
  }
}

function keep<T extends { metadata: { name: string } }>(
  known: Map<string, T>,
  type: 'ADDED' | 'MODIFIED' | 'DELETED',
  object: T,
): void {
  if (type === 'DELETED') {
    known.delete(object.metadata.name);
  } else {
    known.set(object.metadata.name, object);
  }
}

/** What there is of a session now, at the edge and in the cluster. */
export class Presence {
  readonly #record: OperatorRecord;
  readonly #zone: () => Zone;
  readonly #target: Target<'session-operator'>;
  readonly #view: Pick<ClusterView, 'routes'>;

  constructor(
    record: OperatorRecord,
    zone: () => Zone,
    target: Target<'session-operator'>,
    view: Pick<ClusterView, 'routes'>,
  ) {
    this.#record = record;
    this.#zone = zone;
    this.#target = target;
    this.#view = view;
  }

  /** True where a record, a rule and all documented routes of a session are there. */
  isComplete(session: Session): boolean {
    return this.#counts(session).records >= 1 && this.isRouted(session);
  }

  /** True where a rule and all documented routes of a session are there, whatever its record is. */
  isRouted(session: Session): boolean {
    const { rules, routes } = this.#counts(session);
    return rules >= 1 && routes >= this.#target.documented.routes.length;
  }

  /** True where nothing is there; its record aside, where that goes with the claim and the claim is there. */
  isGone(session: Session): boolean {
    const { records, rules, routes } = this.#counts(session);
    const stays =
      this.#target.documented.recordRemovedWith === 'claim' &&
      this.#target.sessions.claimLabels !== undefined &&
      session.claimGoneAt === undefined;
    return (stays || records === 0) && rules === 0 && routes === 0;
  }

  #counts({ hash }: Session): { records: number; rules: number; routes: number } {
    const zone = this.#zone();
    const theirs = new Set(this.#record.foreign.records.map(({ id }) => id));
    return {
      records: zone.records().filter(({ id, name }) => name.includes(hash) && !theirs.has(id)).length,
      rules: zone.rules().filter(({ hostname = '' }) => hostname.includes(hash)).length,
      routes: this.#view.routes.filter(({ metadata, spec }) => JSON.stringify([metadata.name, spec]).includes(hash))
        .length,
    };
  }
}
