import type { V1Pod, V1StorageClass } from '@kubernetes/client-node';
import { DeadlineExceeded, describeAnswer, HarnessError } from '../../core/errors.ts';
import { limitSeconds } from '../../core/time-limits.ts';
import { type ClusterHandle, createClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { refuserOf } from '../../kubernetes/refused-objects.ts';
import { podSpec } from '../../probes/pods.ts';
import { claimBody, defaultOf } from '../../probes/storage.ts';
import { admissionLack, type Lack, type PreflightOptions } from './lacks.ts';
import type { Needs } from './needs.ts';
import { listed } from './preflight-cluster.ts';

const NAME = 'preflight-claim';

const NONE_AT_ALL =
  'install a provisioner with a StorageClass, or say in a target file of role cluster that there is none (storage.readWriteOnce: false)';

const HOW_TO_NAME =
  'storageClassName in --settings, or storage.readWriteOnce (a name, or `false`) in a target file of role cluster';

/** The scheduler has no volume for a pod, and nobody will make one (its plugin VolumeBinding). */
const NO_VOLUME = /didn't find available persistent volumes to bind/;

/** It waits for a volume, or for whoever makes one. */
const WAITS_FOR_VOLUME = /PersistentVolumeClaim|persistent ?volume/i;

/** Where no claim can have a StorageClass that the harness knows of. */
const NOT_DEFAULT =
  'storageClassName in --settings, a default StorageClass, or storageClassName in the claims of the target file';

/** Whose claims may name a StorageClass, and whose get what the API server gives them. */
interface Looked {
  /** For claims of the harness; undefined where they get one, or none, from the API server. */
  name: string | undefined;
  lacks: Lack[];
}

async function lookForClass({ data, needs }: PreflightOptions): Promise<Looked> {
  const named = needs.storageClass || data.storageClass;
  const classes = await listed<V1StorageClass>(data, '/apis/storage.k8s.io/v1/storageclasses');
  if (classes === undefined) {
    return { name: named, lacks: [] };
  }
  const names = classes.map(({ metadata }) => metadata?.name ?? '');
  const found = `there are ${names.join(', ') || 'none at all'}`;
  if (named !== undefined && !names.includes(named)) {
    const fix = `name one that exists: ${HOW_TO_NAME}`;
    return {
      name: named,
      lacks: [{ missing: `the StorageClass ${named}`, found, fix, requirements: claimants(needs) }],
    };
  }
  const byDefault = data.storageClass ?? defaultOf(classes);
  const name = named ?? byDefault ?? (names.length === 1 ? names[0] : undefined);
  const noDefault = `none is the default one; ${found}`;
  return {
    name,
    lacks: [
      ...(name === undefined ? noClass(noDefault, needs, names.length === 0 ? NONE_AT_ALL : HOW_TO_NAME) : []),
      ...(byDefault === undefined ? noDefaultClass(noDefault, needs) : []),
    ],
  };
}

function noClass(found: string, { storage, storageClass }: Needs, fix: string): Lack[] {
  return storage.length === 0 || storageClass === false
    ? []
    : [{ missing: 'a StorageClass to use', found, fix, requirements: storage }];
}

function noDefaultClass(found: string, { defaultStorage: requirements }: Needs): Lack[] {
  return requirements.length === 0
    ? []
    : [{ missing: 'a StorageClass for claims that name none', found, fix: NOT_DEFAULT, requirements }];
}

/** Whose claims are to be bound. */
function claimants({ storage, storageIfAny, defaultStorage, storageClass }: Needs): string[] {
  const own = storageClass === false ? [] : [...storage, ...storageIfAny];
  return [...new Set([...own, ...defaultStorage])];
}

/** Whether there is a StorageClass for the claims that are made, as far as StorageClasses may be listed. */
export async function missingStorage(options: PreflightOptions): Promise<Lack[]> {
  return claimants(options.needs).length === 0 ? [] : (await lookForClass(options)).lacks;
}

/**
 * Whether a claim of the harness gets a volume: one is made, with a pod that mounts it, since a StorageClass may wait
 * for that. A StorageClass that nothing makes volumes for says nothing about what its volumes can do.
 */
export async function missingVolume(options: PreflightOptions, namespace: string): Promise<Lack[]> {
  const { data, needs } = options;
  const requirements = claimants(needs);
  if (requirements.length === 0) {
    return [];
  }
  const { name, lacks } = await lookForClass(options);
  if (lacks.length > 0) {
    return [];
  }
  const cluster = createClusterHandle(data);
  const { core } = cluster;
  const body = claimBody(NAME, 'ReadWriteOnce', name);
  try {
    const { spec: made } = await core.createNamespacedPersistentVolumeClaim({ namespace, body });
    if (made?.storageClassName === undefined) {
      const found = 'a claim gets none from the API server, and StorageClasses may not be listed';
      return [...noClass(found, needs, HOW_TO_NAME), ...noDefaultClass(found, needs)];
    }
    return await untilVolume(cluster, namespace, { storageClass: made.storageClassName, requirements });
  } catch (error) {
    const answer = describeAnswer(error);
    if (answer === undefined) {
      throw error;
    }
    // What one may not do at all is told as a right already.
    const isPolicy = refuserOf((error as { code: number }).code, answer) === 'policy';
    const refused = answer.includes(`pods "${NAME}"`) ? 'a Pod that mounts a claim' : 'a PersistentVolumeClaim';
    return isPolicy ? [admissionLack(refused, answer, requirements)] : [];
  } finally {
    // What is left, and the claim, go with the run.
    await core.deleteNamespacedPod({ namespace, name: NAME, gracePeriodSeconds: 0 }).catch(() => undefined);
  }
}

/** A pod has a node once its volumes are bound (the scheduler's plugin VolumeBinding, PreBind). */
async function untilVolume(
  cluster: ClusterHandle,
  namespace: string,
  { storageClass, requirements }: { storageClass: string; requirements: string[] },
): Promise<Lack[]> {
  const volumeMounts = [{ name: 'claim', mountPath: '/claim' }];
  const spec = podSpec(cluster.workloadImage, 'default', { name: 'probe', command: ['true'], volumeMounts });
  const volumes = [{ name: 'claim', persistentVolumeClaim: { claimName: NAME } }];
  await cluster.core.createNamespacedPod({ namespace, body: { metadata: { name: NAME }, spec: { ...spec, volumes } } });
  let said = '';
  try {
    const found = await cluster.watchPod(
      namespace,
      NAME,
      ({ object }) => {
        said = unscheduled(object);
        return object.spec?.nodeName !== undefined ? '' : NO_VOLUME.test(said) ? said : undefined;
      },
      {
        what: `a volume for a claim of the StorageClass ${storageClass}`,
        deadlineSeconds: limitSeconds('volumeProvisioning'),
      },
    );
    return found === '' ? [] : [noVolume(storageClass, found, requirements)];
  } catch (error) {
    // A pod that waits for room, or for its image, is told with the images.
    if (error instanceof HarnessError) {
      return [];
    }
    if (!(error instanceof DeadlineExceeded)) {
      throw error;
    }
    const isVolume = said === '' || WAITS_FOR_VOLUME.test(said);
    const events = await eventsOfClaim(cluster, namespace);
    const found = [error.message, ...events].join('; ');
    return isVolume ? [noVolume(storageClass, found, requirements)] : [];
  }
}

function noVolume(storageClass: string, found: string, requirements: string[]): Lack {
  const missing = `a volume for a claim of the StorageClass ${storageClass}`;
  return { missing, found, fix: `see its provisioner, or use another StorageClass: ${HOW_TO_NAME}`, requirements };
}

function unscheduled({ status }: V1Pod): string {
  const condition = status?.conditions?.find(({ type, status: is }) => type === 'PodScheduled' && is === 'False');
  return condition?.message ?? '';
}

/** What is said of the claim; nothing where that may not be listed. */
async function eventsOfClaim({ core }: ClusterHandle, namespace: string): Promise<string[]> {
  const fieldSelector = `involvedObject.kind=PersistentVolumeClaim,involvedObject.name=${NAME}`;
  const { items } = await core.listNamespacedEvent({ namespace, fieldSelector }).catch(() => ({ items: [] }));
  return items.map(({ reason, message }) => `${reason}: ${message}`);
}
