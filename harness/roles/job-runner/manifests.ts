/**
 * The runner's own deployment, as manifests: read from its target file, filled in, and made ready for a namespace of
 * the harness's.
 */

import { resolve } from 'node:path';
import type { KubernetesObject } from '@kubernetes/client-node';
import { NotTestable, UsageError } from '../../core/errors.ts';
import { fill, type Values } from '../../core/placeholders.ts';
import type { ManifestChange } from '../../role-data/manifest-change.ts';
import type { Target } from '../../targets/load.ts';
import { readObjects } from '../manifest-files.ts';

/** Label of the runner's own deployment and its pods, which are none of its tasks'. */
export const OWN_LABEL = 'conformance.test/runner-deployment';

/**
 * What the harness brings itself: a ServiceAccount that is bound to the documented rules, in a namespace of its own.
 */
const BROUGHT = ['ServiceAccount', 'Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding', 'Namespace'];

export interface Probe {
  [kind: string]: unknown;
}

export interface WorkloadContainer {
  name: string;
  image?: string;
  env?: { name: string; value?: string; valueFrom?: { secretKeyRef?: object } }[];
  envFrom?: { secretRef?: { name?: string } }[];
  livenessProbe?: Probe;
  readinessProbe?: Probe;
  securityContext?: { runAsNonRoot?: boolean; runAsUser?: number; readOnlyRootFilesystem?: boolean };
}

export interface WorkloadPodSpec {
  serviceAccountName?: string;
  serviceAccount?: string;
  securityContext?: { runAsNonRoot?: boolean; runAsUser?: number };
  containers: WorkloadContainer[];
  initContainers?: WorkloadContainer[];
}

/** A Deployment or StatefulSet. */
export interface Workload extends KubernetesObject {
  spec: {
    replicas?: number;
    template: { metadata?: { labels?: Record<string, string> }; spec: WorkloadPodSpec };
  };
}

type Manifests = NonNullable<Target<'job-runner'>['manifests']>;

/** A target file of any role that gives the manifests of its own deployment. */
export interface WithManifests<M extends Pick<Manifests, 'files' | 'workload'> = Manifests> {
  file: string;
  folder: string;
  manifests?: M | undefined;
}

/** The manifests of a target; `workload` is one of the objects. */
export interface OwnManifests {
  objects: KubernetesObject[];
  workload: Workload;
}

/** @throws UsageError for files that cannot be read or do not hold the workload that the target file names */
export function readManifests(
  target: WithManifests<Pick<Manifests, 'files' | 'workload'>>,
  values: Values,
  changes: ManifestChange[] = [],
): OwnManifests {
  const manifests = manifestsOf(target);
  const objects = manifests.files.flatMap((name) =>
    readObjects(target, { field: 'manifests.files', names: [name] }).map((object) =>
      fill(object, values, resolve(target.folder, name)),
    ),
  );
  const isWorkload = ({ kind, metadata }: KubernetesObject): boolean =>
    (kind === 'Deployment' || kind === 'StatefulSet') && metadata?.name === manifests.workload;
  const workload = objects.find(isWorkload) as Workload | undefined;
  if (workload?.spec?.template?.spec === undefined) {
    const there = objects.map(({ kind, metadata }) => `${kind} ${metadata?.name}`).join(', ');
    throw new UsageError(
      `the manifests of ${target.file} have no Deployment or StatefulSet ${manifests.workload}; ` +
        `there are ${there || 'none'}`,
    );
  }
  for (const change of changes) {
    apply(workload, change);
  }
  return { objects, workload };
}

/** Path of the Deployments or StatefulSets of a namespace, whichever the workload is one of. */
export function workloadsPath({ kind }: Workload, namespace: string): string {
  return `/apis/apps/v1/namespaces/${namespace}/${kind === 'Deployment' ? 'deployments' : 'statefulsets'}`;
}

export function manifestsOf<M extends Pick<Manifests, 'files' | 'workload'>>({ manifests, file }: WithManifests<M>): M {
  if (manifests === undefined) {
    throw new NotTestable(`the target file ${file} gives no \`manifests\``);
  }
  return manifests;
}

/**
 * Objects for a namespace of the harness's, where it brings ServiceAccount and rights; the workload runs as that
 * ServiceAccount.
 */
export function forNamespace(
  { objects, workload }: OwnManifests,
  namespace: string,
  run: { serviceAccount: string; container: string; env?: Record<string, string> },
): KubernetesObject[] {
  const { template } = workload.spec;
  template.metadata = {
    ...template.metadata,
    labels: { ...template.metadata?.labels, [OWN_LABEL]: 'true' },
  };
  template.spec.serviceAccountName = run.serviceAccount;
  delete template.spec.serviceAccount;
  const added = Object.entries(run.env ?? {}).map(([name, value]) => ({ name, value }));
  for (const container of template.spec.containers) {
    if (container.name === run.container) {
      container.env = [...(container.env ?? []), ...added];
    }
  }
  return objects
    .filter(({ kind }) => !BROUGHT.includes(kind ?? ''))
    .map((object) => {
      const labels = { ...object.metadata?.labels, [OWN_LABEL]: 'true' };
      return { ...object, metadata: { ...object.metadata, namespace, labels } };
    });
}

function apply(tree: object, { op, path, value }: ManifestChange): void {
  const keys = path
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = keys.pop() ?? '';
  let at = tree as Record<string, unknown>;
  for (const key of keys) {
    const next = at[key];
    if (typeof next !== 'object' || next === null) {
      throw new UsageError(`the change ${op} ${path} has no place`);
    }
    at = next as Record<string, unknown>;
  }
  if (Array.isArray(at)) {
    const index = last === '-' ? at.length : Number(last);
    at.splice(index, op === 'add' ? 0 : 1, ...(op === 'remove' ? [] : [value]));
  } else if (op === 'remove') {
    delete at[last];
  } else {
    at[last] = value;
  }
}
