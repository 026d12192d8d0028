import { randomBytes } from 'node:crypto';
import { fill, type Values } from '../../../core/placeholders.ts';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import { suitedPod } from '../../../kubernetes/suited-pods.ts';
import { podSpec } from '../../../probes/pods.ts';
import type { Target } from '../../../targets/load.ts';
import type { OperatorRecord, Session } from '../record.ts';
import { createObject, deleteObject } from './objects.ts';

/** No pod with it is ever scheduled: it is there, and costs nothing. */
const SCHEDULING_GATE = 'conformance.test/never-scheduled';

export interface SessionPodsOptions {
  target: Target<'session-operator'>;
  cluster: ClusterHandle;
  namespace: string;
  /** Is filled in. */
  record: OperatorRecord;
  /** What placeholders below `documented` stand for. */
  values: Values;
}

/** Name of a session's pod, and of its claim. */
export function podName(hash: string): string {
  return `session-${hash}`;
}

/** Whether the target's sessions are pods that run: others are never scheduled. */
export function podsRun({ sessions }: Target<'session-operator'>): boolean {
  return sessions.pods === 'ready';
}

/** The sessions that the harness makes: pods, and claims where the target has those. */
export class SessionPods {
  readonly #options: SessionPodsOptions;

  constructor(options: SessionPodsOptions) {
    this.#options = options;
  }

  /** A session that is not there yet. */
  session(label: string): Session {
    const { target, record, values } = this.#options;
    const { file, documented } = target;
    const hash = randomBytes(6).toString('hex');
    const known = { ...values, 'session.hash': hash };
    const host = String(fill(documented.host, known, `${file}: documented.host`));
    const session = {
      label,
      hash,
      host,
      documented: fill(documented, { ...known, 'session.host': host }, `${file}: documented`),
      begunAt: 0,
    };
    record.sessions.push(session);
    return session;
  }

  /** Makes the pod of a session, and its claim where the target has those. @param image of the pod */
  async begin(given: Session | string, image: string): Promise<Session> {
    const session = typeof given === 'string' ? this.session(given) : given;
    const { target, cluster, namespace } = this.#options;
    const { claimLabels } = target.sessions;
    if (claimLabels !== undefined) {
      await createObject(cluster, `/api/v1/namespaces/${namespace}/persistentvolumeclaims`, {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: {
          name: podName(session.hash),
          labels: this.#labels(session.hash, claimLabels, 'sessions.claimLabels'),
        },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } },
      });
    }
    await this.#createPod(session.hash, this.#labels(session.hash), image);
    session.begunAt = Date.now();
    return session;
  }

  /** Makes a pod that is no session. @param change makes its labels those of something else */
  async bystander(
    why: string,
    change: (labels: Record<string, string>) => void,
    image: string,
    namespace?: string,
  ): Promise<void> {
    const hash = randomBytes(6).toString('hex');
    const labels = this.#labels(hash);
    change(labels);
    this.#options.record.bystanders.push({ why, hash });
    await this.#createPod(hash, labels, image, namespace);
  }

  async deletePod({ hash }: Session): Promise<void> {
    await this.#delete('pods', hash);
  }

  async deleteClaim({ hash }: Session): Promise<void> {
    await this.#delete('persistentvolumeclaims', hash);
  }

  async #delete(plural: string, hash: string): Promise<void> {
    const { cluster, namespace } = this.#options;
    await deleteObject(cluster, `/api/v1/namespaces/${namespace}/${plural}/${podName(hash)}`);
  }

  #labels(
    hash: string,
    labels = this.#options.target.sessions.labels,
    where = 'sessions.labels',
  ): Record<string, string> {
    const { target, namespace } = this.#options;
    return fill(labels, { namespace, 'session.hash': hash }, `${target.file}: ${where}`);
  }

  async #createPod(
    hash: string,
    labels: Record<string, string>,
    image: string,
    namespace = this.#options.namespace,
  ): Promise<void> {
    const { target, cluster } = this.#options;
    const spec = podSpec(image, 'default', {
      name: 'session',
      command: ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 1; done'],
    });
    const pod = await suitedPod(cluster.core, namespace, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: podName(hash), labels },
      spec: {
        ...spec,
        automountServiceAccountToken: false,
        ...(podsRun(target) ? {} : { schedulingGates: [{ name: SCHEDULING_GATE }] }),
      },
    });
    await createObject(cluster, `/api/v1/namespaces/${namespace}/pods`, pod);
  }
}
