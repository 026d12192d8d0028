import type { V1Pod } from '@kubernetes/client-node';

/**
 * The Secrets that a pod's containers are given, by environment or volume, as `name (where)`; image pull secrets are
 * not among them.
 */
export function secretsOf({ spec }: V1Pod): string[] {
  const { containers = [], initContainers = [], volumes = [] } = spec ?? {};
  return [
    ...[...containers, ...initContainers].flatMap(({ name, env = [], envFrom = [] }) => [
      ...env.flatMap(({ name: variable, valueFrom }) =>
        valueFrom?.secretKeyRef === undefined
          ? []
          : [`${valueFrom.secretKeyRef.name} (variable ${variable} of container ${name})`],
      ),
      ...envFrom.flatMap(({ secretRef }) =>
        secretRef === undefined ? [] : [`${secretRef.name} (variables of container ${name})`],
      ),
    ]),
    ...volumes.flatMap(({ name, secret, projected }) =>
      [secret?.secretName, ...(projected?.sources ?? []).map((source) => source.secret?.name)].flatMap((found) =>
        found === undefined ? [] : [`${found} (volume ${name})`],
      ),
    ),
  ];
}
