import { CoreV1Api, type KubeConfig, type V1Job, type V1Pod } from '@kubernetes/client-node';
import { firstAssignedUid, withoutOwnIds } from './uid-range.ts';

/**
 * True where a cluster assigns uids: the harness's own pods must not insist on theirs there. Asked once a namespace.
 */
const assigns = new Map<string, Promise<boolean>>();

/** A pod of the harness's own that suits a namespace. */
export async function suitedPod(core: CoreV1Api, namespace: string, pod: V1Pod): Promise<V1Pod> {
  if (withoutOwnIds(pod) === pod) {
    return pod;
  }
  const known = assigns.get(namespace) ?? firstAssignedUid(core, namespace).then((uid) => uid !== undefined);
  assigns.set(namespace, known);
  return (await known) ? withoutOwnIds(pod) : pod;
}

/** A Job whose pods suit their namespace. */
export async function suitedJob(core: CoreV1Api, job: V1Job): Promise<V1Job> {
  const { spec } = job;
  const namespace = job.metadata?.namespace;
  if (spec?.template.spec === undefined || namespace === undefined) {
    return job;
  }
  const { spec: pod = spec.template.spec } = await suitedPod(core, namespace, { spec: spec.template.spec });
  return { ...job, spec: { ...spec, template: { ...spec.template, spec: pod } } };
}

/** A client that creates pods so that they suit their namespace. */
export function suitedClient(kubeConfig: KubeConfig): CoreV1Api {
  const core = kubeConfig.makeApiClient(CoreV1Api);
  const createUnchanged = core.createNamespacedPod.bind(core);
  core.createNamespacedPod = async (request, options) =>
    createUnchanged({ ...request, body: await suitedPod(core, request.namespace, request.body) }, options);
  return core;
}
