import {
  ApiException,
  type CoreV1Event,
  StorageV1Api,
  type V1PersistentVolumeClaim,
  type V1StorageClass,
} from '@kubernetes/client-node';
import { DeadlineExceeded, describeError, HarnessError, NotApplicable, NotTestable } from '../core/errors.ts';
import { limitSeconds } from '../core/time-limits.ts';
import { watchUntil } from '../kubernetes/watch.ts';
import type { ClusterTarget, StoragePromise } from '../role-data/cluster/target-file.ts';
import { targetFor } from '../rpc/candidate.ts';
import type { RequirementContext } from '../rpc/context.ts';
import { assertClusterDeclared } from '../rpc/preconditions.ts';
import { podSpec } from './pods.ts';

/** Access modes of a claim (Kubernetes, Persistent Volumes, "Access Modes"). */
export type AccessMode = 'ReadWriteOnce' | 'ReadWriteMany' | 'ReadWriteOncePod';

/** What the owner of the cluster says of its storage, by a target file. What is not said is found out. */
function declaredStorage({ candidate }: RequirementContext): ClusterTarget['storage'] {
  return targetFor(candidate, 'cluster')?.storage ?? { notPromised: {} };
}

/** Ends the requirement where the owner of the cluster says that its storage does not promise something. */
export function needsPromise(t: RequirementContext, promise: StoragePromise): void {
  const why = declaredStorage(t).notPromised[promise];
  if (why !== undefined) {
    t.notApplicable(`the target file says that the storage does not promise ${promise}: ${why}`);
  }
}

/** The same for ReadWriteOncePod. */
export function needsReadWriteOncePod(t: RequirementContext): void {
  if (declaredStorage(t).readWriteOncePod === false) {
    t.notApplicable('the target file says that no StorageClass gives ReadWriteOncePod');
  }
}

/** Most provisioners round a smaller claim up to this. */
const CLAIM_SIZE = '1Gi';

/** How long a provisioner may take, in seconds: clouds take a minute. */
const PROVISIONING_SECONDS = limitSeconds('volumeProvisioning');

const DEFAULT_CLASS = 'storageclass.kubernetes.io/is-default-class';

/** A claim that pods can mount. */
export interface Claim {
  name: string;
  namespace: string;
  storageClass: string;
}

/** @param storageClassName absent: what the API server gives it */
export function claimBody(name: string, accessMode: AccessMode, storageClassName?: string): V1PersistentVolumeClaim {
  return {
    metadata: { name },
    spec: {
      accessModes: [accessMode],
      ...(storageClassName === undefined ? {} : { storageClassName }),
      resources: { requests: { storage: CLAIM_SIZE } },
    },
  };
}

/** An old name of the same annotation, which Kubernetes still reads. */
const BETA_DEFAULT_CLASS = 'storageclass.beta.kubernetes.io/is-default-class';

/**
 * The class that claims without one get: of several default classes the newest, and of equally old ones the first by
 * name (Kubernetes, "Storage Classes", "Default StorageClass"; pkg/volume/util/storageclass.go).
 */
export function defaultOf(classes: V1StorageClass[]): string | undefined {
  const made = ({ metadata }: V1StorageClass): number => new Date(metadata?.creationTimestamp ?? 0).getTime();
  const [first] = classes
    .filter(({ metadata }) =>
      [DEFAULT_CLASS, BETA_DEFAULT_CLASS].some((name) => metadata?.annotations?.[name] === 'true'),
    )
    .toSorted(
      (one, other) => made(other) - made(one) || ((one.metadata?.name ?? '') < (other.metadata?.name ?? '') ? -1 : 1),
    );
  return first?.metadata?.name;
}

const HOW_TO_NAME =
  'name one by storage.readWriteOnce in a target file of role cluster or by storageClassName in --settings, or say `readWriteOnce: false`';

const HOW_TO_SHARE =
  'name one by storage.readWriteMany in a target file of role cluster, or say `readWriteMany: false` there';

/** A StorageClass, or the error that says why there is none to use. */
type FoundClass = { name: string } | { none: NotApplicable | NotTestable | HarnessError };

/**
 * The class for ordinary claims: the one that the target file names, else that of the settings, else the default one,
 * else the only one.
 *
 * @throws NotApplicable where the target file says that there is none; NotTestable where the cluster has none at all;
 * HarnessError where
 *   it has several of which none is the default one, or not the one that is named: which to use is for its owner to say
 */
export async function defaultStorageClass(t: RequirementContext): Promise<string> {
  assertClusterDeclared(t, 'storage');
  const found = await findClass(t);
  if ('none' in found) {
    throw found.none;
  }
  return found.name;
}

/**
 * The same for a requirement that can be evaluated in part without a claim.
 *
 * @returns the name of the class, or why there is none to use
 * @throws HarnessError where the class that is named does not exist
 */
export async function storageClassIfAny(t: RequirementContext): Promise<{ name: string } | { absent: string }> {
  assertClusterDeclared(t, 'storage-if-any');
  const found = await findClass(t);
  return 'none' in found ? { absent: found.none.message } : found;
}

async function findClass(t: RequirementContext): Promise<FoundClass> {
  const { readWriteOnce } = declaredStorage(t);
  if (readWriteOnce === false) {
    return { none: new NotApplicable('the target file says that there is no StorageClass for ordinary claims') };
  }
  const named = readWriteOnce ?? (await t.cluster()).storageClass;
  const classes = await storageClasses(t);
  // Who may not list them can still use the one that is named.
  if (classes === undefined) {
    return named === undefined ? assignedStorageClass(t) : { name: named };
  }
  const names = classes.map(({ metadata }) => metadata?.name ?? '');
  if (named !== undefined) {
    if (names.includes(named)) {
      return { name: named };
    }
    throw new HarnessError(
      `the StorageClass ${named} is named and does not exist; there are ${names.join(', ') || 'none'}`,
    );
  }
  if (names.length === 0) {
    return { none: new NotTestable(`the cluster has no StorageClass at all; ${HOW_TO_NAME}`) };
  }
  const name = defaultOf(classes) ?? (names.length === 1 ? names[0] : undefined);
  const several = `no StorageClass of the cluster is the default one; there are ${names.join(', ')}; ${HOW_TO_NAME}`;
  return name === undefined ? { none: new HarnessError(several) } : { name };
}

/** What the API server gives a claim without a class: asked by a dry run, which needs no right but to create claims. */
async function assignedStorageClass(t: RequirementContext): Promise<FoundClass> {
  const [{ core }, { name: namespace }] = await Promise.all([t.cluster(), t.namespace()]);
  const body = claimBody('dry-run', 'ReadWriteOnce');
  const made = await core.createNamespacedPersistentVolumeClaim({ namespace, body, dryRun: 'All' });
  const name = made.spec?.storageClassName;
  const unknown = `no StorageClass is the default one, and StorageClasses may not be listed; ${HOW_TO_NAME}`;
  return name === undefined ? { none: new HarnessError(unknown) } : { name };
}

/** All of them; undefined where the harness may not list them. */
async function storageClasses(t: RequirementContext): Promise<V1StorageClass[] | undefined> {
  const { kubeConfig } = await t.cluster();
  try {
    return (await kubeConfig.makeApiClient(StorageV1Api).listStorageClass()).items;
  } catch (error) {
    if (error instanceof ApiException && error.code === 403) {
      return undefined;
    }
    throw error;
  }
}

/** Creates a claim and does not wait: it may be bound only when a pod needs it. */
export async function createClaim(
  t: RequirementContext,
  namespace: string,
  name: string,
  accessMode: AccessMode,
  storageClass: string,
): Promise<Claim> {
  assertClusterDeclared(t, 'storage', 'storage-if-any');
  const { core } = await t.cluster();
  await core.createNamespacedPersistentVolumeClaim({ namespace, body: claimBody(name, accessMode, storageClass) });
  return { name, namespace, storageClass };
}

/**
 * The claim that pods share, ReadWriteMany, bound: once per file and subject.
 *
 * A StorageClass does not say which access modes it gives. So each class is asked for a claim; those that bind at once
 * are asked first, and all at the same time, and the first that is bound is taken.
 *
 * @throws NotTestable when no class gives one, with what each answered
 */
export function sharedClaim(t: RequirementContext): Promise<Claim> {
  assertClusterDeclared(t, 'read-write-many');
  const { readWriteMany } = declaredStorage(t);
  if (readWriteMany === false) {
    t.notApplicable('the target file says that no StorageClass gives ReadWriteMany');
  }
  return t.shared('a ReadWriteMany claim', async () => {
    const all = await storageClasses(t);
    if (all === undefined && readWriteMany === undefined) {
      throw new HarnessError(
        'StorageClasses may not be listed: name one by storage.readWriteMany in a target file of role cluster, or say `false`',
      );
    }
    // Of one that cannot be read it is not known whether it waits for a pod: one is given to it.
    const unread = {
      metadata: { name: readWriteMany ?? '' },
      provisioner: '',
      volumeBindingMode: 'WaitForFirstConsumer',
    };
    const classes = (all ?? [unread]).filter(
      ({ metadata }) => readWriteMany === undefined || metadata?.name === readWriteMany,
    );
    if (readWriteMany !== undefined && classes.length === 0) {
      throw new HarnessError(`the StorageClass ${readWriteMany} is named and does not exist`);
    }
    const refusals: string[] = [];
    const found = new AbortController();
    const signal = AbortSignal.any([t.signal, found.signal]);
    for (const mode of ['Immediate', 'WaitForFirstConsumer']) {
      const asked = classes.filter(({ volumeBindingMode = 'Immediate' }) => volumeBindingMode === mode);
      const claims = asked.map(({ metadata }) => boundClaim(t, metadata?.name ?? '', mode !== 'Immediate', signal));
      try {
        const claim = await Promise.any(claims);
        // The others are not waited for any more.
        found.abort(new Error(`${claim.storageClass} was bound first`));
        return claim;
      } catch (error) {
        const { errors } = error as AggregateError & { errors: unknown[] };
        // What could not be asked, for a right or a quota, is no answer of a class.
        const unasked = errors.filter((one) => !(one instanceof NotTestable));
        if (unasked.length > 0) {
          throw new HarnessError('a ReadWriteMany claim could not be asked for', { cause: unasked[0] });
        }
        refusals.push(...errors.map(describeError));
      }
    }
    throw new NotTestable(
      `no StorageClass gives a ReadWriteMany claim: ${refusals.join('; ') || 'there is none'}; ${HOW_TO_SHARE}`,
    );
  });
}

async function boundClaim(
  t: RequirementContext,
  storageClass: string,
  needsConsumer: boolean,
  signal: AbortSignal,
): Promise<Claim> {
  const { name: namespace } = await t.namespace();
  const { core, workloadImage } = await t.cluster();
  const claim = await createClaim(t, namespace, `shared-${storageClass}`, 'ReadWriteMany', storageClass);
  if (needsConsumer) {
    const spec = podSpec(workloadImage, 'default', {
      name: 'consumer',
      command: ['true'],
      volumeMounts: [{ name: 'claim', mountPath: '/claim' }],
    });
    const volumes = [{ name: 'claim', persistentVolumeClaim: { claimName: claim.name } }];
    await core.createNamespacedPod({
      namespace,
      body: { metadata: { name: `consumer-${storageClass}` }, spec: { ...spec, volumes } },
    });
  }
  await untilBound(t, claim, signal);
  return claim;
}

/** @throws NotTestable when it is not in time, with what its events say */
async function untilBound(
  t: RequirementContext,
  { namespace, name, storageClass }: Claim,
  signal: AbortSignal,
): Promise<void> {
  const { kubeConfig } = await t.cluster();
  try {
    await watchUntil<V1PersistentVolumeClaim, true>(
      kubeConfig,
      `/api/v1/namespaces/${namespace}/persistentvolumeclaims`,
      ({ object }) => (object.status?.phase === 'Bound' ? true : undefined),
      {
        what: `the claim ${name} to be bound`,
        fieldSelector: `metadata.name=${name}`,
        deadlineSeconds: PROVISIONING_SECONDS,
        signal,
      },
    );
  } catch (error) {
    if (!(error instanceof DeadlineExceeded)) {
      throw error;
    }
    const messages = (await eventsOf(t, namespace, 'PersistentVolumeClaim', name)).map(({ message }) => message);
    throw new NotTestable(`${storageClass}: ${error.message}; its events: ${messages.join('; ') || 'none'}`);
  }
}

export async function eventsOf(
  t: RequirementContext,
  namespace: string,
  kind: string,
  name: string,
): Promise<CoreV1Event[]> {
  const { core } = await t.cluster();
  const fieldSelector = `involvedObject.kind=${kind},involvedObject.name=${name}`;
  return (await core.listNamespacedEvent({ namespace, fieldSelector })).items;
}

/**
 * Waits for an event of one object.
 *
 * @throws DeadlineExceeded with the event that was seen last
 */
export async function untilEvent(
  t: RequirementContext,
  namespace: string,
  { kind, name }: { kind: string; name: string },
  options: { what: string; deadlineSeconds: number; accept: (event: CoreV1Event) => boolean },
): Promise<CoreV1Event> {
  const { kubeConfig } = await t.cluster();
  return watchUntil<CoreV1Event, CoreV1Event>(
    kubeConfig,
    `/api/v1/namespaces/${namespace}/events`,
    ({ object }) => (options.accept(object) ? object : undefined),
    {
      what: options.what,
      deadlineSeconds: options.deadlineSeconds,
      fieldSelector: `involvedObject.kind=${kind},involvedObject.name=${name}`,
      describe: ({ type, reason, message }) => `${type} ${reason}: ${message}`,
      signal: t.signal,
    },
  );
}
