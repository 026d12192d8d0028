/** The objects of a runner's namespace, as watches report them. */

import type { KubernetesObject } from '@kubernetes/client-node';
import type { ClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { Recorder } from '../../kubernetes/recorder.ts';
import { OWN_LABEL } from './manifests.ts';
import type { ObjectEvent, ObservedKind } from './record.ts';

const COLLECTIONS: Record<ObservedKind, { base: string; plural: string }> = {
  Job: { base: '/apis/batch/v1', plural: 'jobs' },
  Pod: { base: '/api/v1', plural: 'pods' },
  Secret: { base: '/api/v1', plural: 'secrets' },
  ConfigMap: { base: '/api/v1', plural: 'configmaps' },
  PersistentVolumeClaim: { base: '/api/v1', plural: 'persistentvolumeclaims' },
};

/** A part of a name that shows which task an object belongs to, wherever the runner put it. */
const MARKER = /conformance-task-[a-z0-9-]+/g;

/** Every event in a namespace from a moment on; see {@link Recorder}. */
export class ObjectWatch {
  readonly events: ObjectEvent[] = [];
  readonly #recorders: Recorder<KubernetesObject>[] = [];

  private constructor() {}

  /**
   * Opens the watches of a namespace. Objects of the runner's own installation are left out.
   *
   * @param onChange is called after each event
   */
  static async open(
    cluster: Pick<ClusterHandle, 'request'>,
    namespace: string,
    { signal, onChange }: { signal: AbortSignal; onChange: () => void },
  ): Promise<ObjectWatch> {
    const watch = new ObjectWatch();
    for (const [kind, { base, plural }] of Object.entries(COLLECTIONS) as [
      ObservedKind,
      { base: string; plural: string },
    ][]) {
      const recorder = await Recorder.open<KubernetesObject>(cluster, `${base}/namespaces/${namespace}/${plural}`, {
        signal,
        onEvent: ({ at, type, object }) => {
          if (object.metadata?.labels?.[OWN_LABEL] === undefined) {
            watch.events.push({ at: at.getTime(), type, kind, ...trimmed(object) });
            onChange();
          }
        },
      });
      watch.#recorders.push(recorder);
    }
    return watch;
  }

  async close(): Promise<void> {
    await Promise.all(this.#recorders.map((recorder) => recorder.close()));
  }
}

/** An object without values and managed fields, and the markers that stood in any part of it. */
export function trimmed(object: KubernetesObject): Pick<ObjectEvent, 'object' | 'markers'> {
  const { managedFields: _, ...metadata } = object.metadata ?? {};
  const { data, ...rest } = object as KubernetesObject & { data?: Record<string, string> };
  const values = Object.values(data ?? {}).map((value) => Buffer.from(value, 'base64').toString('latin1'));
  const text = [JSON.stringify(object), ...values].join('\n');
  return { object: { ...rest, metadata }, markers: [...new Set(text.match(MARKER) ?? [])] };
}
