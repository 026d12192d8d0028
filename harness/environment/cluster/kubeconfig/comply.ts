import { isDeepStrictEqual } from 'node:util';
import type { V1Container, V1ObjectMeta, V1PodSpec, V1Toleration } from '@kubernetes/client-node';
import { parseQuantity } from '../../../core/quantity.ts';
import { attributesOf } from '../../../kubernetes/request-attributes.ts';
import { OWN_RESOURCES } from '../../../probes/pods.ts';
import type { Settings } from '../../../targets/settings.ts';

interface KubernetesLike {
  metadata?: V1ObjectMeta;
  spec?: Record<string, unknown>;
  [field: string]: unknown;
}

type Template = { metadata?: V1ObjectMeta; spec?: V1PodSpec };

/** Kinds by the resource that they are created at: clients need not send a kind. */
const KINDS: Record<string, string> = {
  namespaces: 'Namespace',
  pods: 'Pod',
  services: 'Service',
  secrets: 'Secret',
  configmaps: 'ConfigMap',
  serviceaccounts: 'ServiceAccount',
  persistentvolumeclaims: 'PersistentVolumeClaim',
  replicationcontrollers: 'ReplicationController',
  'jobs.batch': 'Job',
  'cronjobs.batch': 'CronJob',
  'deployments.apps': 'Deployment',
  'statefulsets.apps': 'StatefulSet',
  'daemonsets.apps': 'DaemonSet',
  'replicasets.apps': 'ReplicaSet',
  'networkpolicies.networking.k8s.io': 'NetworkPolicy',
  'roles.rbac.authorization.k8s.io': 'Role',
  'rolebindings.rbac.authorization.k8s.io': 'RoleBinding',
  'clusterroles.rbac.authorization.k8s.io': 'ClusterRole',
  'clusterrolebindings.rbac.authorization.k8s.io': 'ClusterRoleBinding',
};

/** Questions and not objects. */
const REVIEWS = new Set(['authentication.k8s.io', 'authorization.k8s.io']);

const WITH_TEMPLATE = new Set(['Job', 'Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'ReplicationController']);

/** RFC 7396. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) {
    return patch;
  }
  const base = typeof target === 'object' && target !== null && !Array.isArray(target) ? target : {};
  const result: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) {
      delete result[name];
    } else {
      result[name] = mergePatch(result[name], value);
    }
  }
  return result;
}

interface Marks {
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

function marked(metadata: V1ObjectMeta | undefined, ...marks: Marks[]): V1ObjectMeta {
  const labels = { ...Object.assign({}, ...marks.map((each) => each.labels)), ...metadata?.labels };
  const annotations = { ...Object.assign({}, ...marks.map((each) => each.annotations)), ...metadata?.annotations };
  return {
    ...metadata,
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
}

/**
 * What a container asks for. The harness's own values give way to the settings; a requirement's own do not, but where
 * the settings ask for a limit, each gets one that its request fits.
 */
function resourced(container: V1Container, { requests, limits }: Settings['pods']['resources']): V1Container {
  const { resources } = container;
  const isOwn = resources === undefined || isDeepStrictEqual(resources, OWN_RESOURCES);
  const given = { requests: { ...resources?.requests }, limits: { ...resources?.limits } };
  const all = isOwn
    ? { requests: { ...given.requests, ...requests }, limits: { ...given.limits, ...limits } }
    : { requests: { ...requests, ...given.requests }, limits: { ...limits, ...given.limits } };
  for (const [name, limit] of Object.entries(all.limits)) {
    const request = all.requests[name];
    if (request === undefined || parseQuantity(request) <= parseQuantity(limit)) {
      continue;
    }
    // Whichever of the two was not chosen for this container gives way.
    if (isOwn ? name in limits && !(name in requests) : name in given.limits) {
      all.requests[name] = limit;
    } else {
      all.limits[name] = request;
    }
  }
  return {
    ...container,
    resources: {
      ...resources,
      ...(Object.keys(all.requests).length === 0 ? {} : { requests: all.requests }),
      ...(Object.keys(all.limits).length === 0 ? {} : { limits: all.limits }),
    },
  };
}

function podSpecOf(spec: V1PodSpec, settings: Settings): V1PodSpec {
  const { nodeSelector, tolerations, runtimeClassName, priorityClassName, schedulerName, imagePullSecrets, resources } =
    settings.pods;
  const secrets = [...(spec.imagePullSecrets ?? [])];
  for (const { name } of imagePullSecrets) {
    if (!secrets.some((secret) => secret.name === name)) {
      secrets.push({ name });
    }
  }
  // A pod that names its node is past every choice of one.
  const selected = spec.nodeName === undefined ? { ...nodeSelector, ...spec.nodeSelector } : { ...spec.nodeSelector };
  return {
    ...spec,
    ...(Object.keys(selected).length === 0 ? {} : { nodeSelector: selected }),
    ...(tolerations.length === 0
      ? {}
      : { tolerations: [...(spec.tolerations ?? []), ...(tolerations as V1Toleration[])] }),
    ...(secrets.length === 0 ? {} : { imagePullSecrets: secrets }),
    ...(runtimeClassName === undefined || spec.runtimeClassName !== undefined ? {} : { runtimeClassName }),
    ...(priorityClassName === undefined || spec.priorityClassName !== undefined ? {} : { priorityClassName }),
    ...(schedulerName === undefined || spec.schedulerName !== undefined ? {} : { schedulerName }),
    containers: (spec.containers ?? []).map((container) => resourced(container, resources)),
    ...(spec.initContainers === undefined
      ? {}
      : { initContainers: spec.initContainers.map((container) => resourced(container, resources)) }),
  };
}

/**
 * Gives the objects that the harness makes what the owner of a cluster wants them to have.
 *
 * @returns a function of a request and its body to the body that is sent instead; what is no object to be made passes
 * as it is
 */
export function complying(settings: Settings): (request: { method: string; path: string }, body: unknown) => unknown {
  const { patches, storageClassName } = settings;
  const patched = (kind: string, object: unknown): unknown =>
    patches
      .filter(({ kinds }) => kinds.includes(kind))
      .reduce((before, { merge }) => mergePatch(before, merge), object);
  const template = (given: Template): unknown =>
    patched('Pod', {
      ...given,
      metadata: marked(given.metadata, settings, settings.pods),
      ...(given.spec === undefined ? {} : { spec: podSpecOf(given.spec, settings) }),
    });
  const claim = (given: KubernetesLike): unknown =>
    patched('PersistentVolumeClaim', {
      ...given,
      metadata: marked(given.metadata, settings),
      spec: {
        ...given.spec,
        ...(storageClassName === undefined || given.spec?.storageClassName !== undefined ? {} : { storageClassName }),
      },
    });
  const withTemplate = (given: KubernetesLike): KubernetesLike => {
    const { template: inner, volumeClaimTemplates: claims, ...spec } = given.spec ?? {};
    return {
      ...given,
      spec: {
        ...spec,
        ...(inner === undefined ? {} : { template: template(inner as Template) }),
        ...(Array.isArray(claims) ? { volumeClaimTemplates: (claims as KubernetesLike[]).map(claim) } : {}),
      },
    };
  };
  const object = (kind: string, given: KubernetesLike): unknown => {
    const whole = { ...given, metadata: marked(given.metadata, settings) };
    if (kind === 'Pod') {
      return template(given as unknown as Template);
    }
    if (kind === 'PersistentVolumeClaim') {
      return claim(given);
    }
    if (kind === 'Namespace') {
      return patched(kind, { ...given, metadata: marked(given.metadata, settings, settings.namespaces) });
    }
    if (WITH_TEMPLATE.has(kind)) {
      return patched(kind, withTemplate(whole));
    }
    if (kind === 'CronJob') {
      const { jobTemplate, ...spec } = given.spec ?? {};
      const job = (jobTemplate ?? {}) as KubernetesLike;
      const inner = withTemplate({ ...job, metadata: marked(job.metadata, settings) });
      return patched(kind, { ...whole, spec: { ...spec, jobTemplate: inner } });
    }
    return patched(kind, whole);
  };
  return ({ method, path }, body) => {
    const asked = attributesOf(method, path);
    if (method !== 'POST' || asked === undefined || asked.subresource !== undefined || asked.name !== undefined) {
      return body;
    }
    if (REVIEWS.has(asked.group) || typeof body !== 'object' || body === null || Array.isArray(body)) {
      return body;
    }
    const given = body as KubernetesLike;
    const resource = asked.group === '' ? asked.resource : `${asked.resource}.${asked.group}`;
    const kind = KINDS[resource] ?? (typeof given.kind === 'string' ? given.kind : '');
    return object(kind, given);
  };
}
