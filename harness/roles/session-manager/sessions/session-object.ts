import type { V1PodSpec } from '@kubernetes/client-node';
import { fill } from '../../../core/placeholders.ts';
import type { ResourceTarget } from '../target.ts';
import type { OwnedKind } from './launch.ts';

export interface SessionOptions {
  podSpec?: Partial<V1PodSpec>;
  /** Names of volumes that are claims, mounted at `/NAME`. */
  claims?: string[];
  /** Fields by JSON Pointer, set beside the template. */
  fields?: Record<string, unknown>;
}

/** The smallest container that runs, under Pod Security `restricted`. */
export function podSpec(image: string, rest: Partial<V1PodSpec> = {}, command = ['sleep', '3600']): V1PodSpec {
  return {
    terminationGracePeriodSeconds: 1,
    securityContext: { runAsNonRoot: true, fsGroup: 65532, seccompProfile: { type: 'RuntimeDefault' } },
    ...rest,
    containers: rest.containers ?? [
      {
        name: 'agent',
        image,
        imagePullPolicy: 'IfNotPresent',
        command,
        resources: { requests: { cpu: '5m', memory: '8Mi' }, limits: { memory: '32Mi' } },
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      },
    ],
  };
}

/** The object of a session: the target's template, filled in, with the fields that are asked for. */
export function sessionObject(
  { resource, file }: ResourceTarget,
  { name, namespace, image }: { name: string; namespace: string; image: string },
  { podSpec: rest = {}, claims = [], fields = {} }: SessionOptions,
): object {
  const mounts = claims.map((claim) => ({ name: claim, mountPath: `/${claim}` }));
  const spec = podSpec(image, rest);
  const [container] = spec.containers;
  const whole = {
    ...spec,
    containers:
      container === undefined ? [] : [{ ...container, volumeMounts: [...(container.volumeMounts ?? []), ...mounts] }],
  };
  const templates = claims.map((claim) => ({
    metadata: { name: claim },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '16Mi' } } },
  }));
  const values = {
    ...{ name, namespace, podSpec: whole, labels: { 'conformance.test/session': name } },
    claims: templates.length === 0 ? undefined : templates,
  };
  const filled = fill(resource.template, values, `${file}: resource.template`) as Record<string, unknown>;
  const object = { ...filled, apiVersion: resource.apiVersion, kind: resource.kind, metadata: { name, namespace } };
  for (const [field, value] of Object.entries(fields)) {
    put(object, field, value);
  }
  return object;
}

/** Sets the value at a JSON Pointer (RFC 6901), making the objects on the way. */
function put(tree: Record<string, unknown>, pointer: string, value: unknown): void {
  const keys = pointer
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = keys.pop() ?? '';
  let at = tree;
  for (const key of keys) {
    at[key] ??= {};
    at = at[key] as Record<string, unknown>;
  }
  at[last] = value;
}

/** The name of a session's pod, service or claim, as documented; undefined where none is. */
export function documentedName(
  { documented: { names }, file }: ResourceTarget,
  kind: OwnedKind,
  values: { name: string; namespace: string; claim: string },
): string | undefined {
  const template = { Pod: names.pod, Service: names.service, PersistentVolumeClaim: names.claim }[kind];
  return template === undefined ? undefined : fill(template, values, `${file}: documented.names`);
}
