import { packageVersion } from '../../core/package.ts';
import { NODE_IMAGES } from '../../role-data/index.ts';

/** Images that the pods of the harness have on a cluster that it did not start. */
export const LIVE_IMAGE_NAMES = ['node', ...NODE_IMAGES, 'keycloak'] as const;
export type LiveImageName = (typeof LIVE_IMAGE_NAMES)[number];

/** Environment variable that names an image whole, for example by digest. */
export function liveImageVariable(name: LiveImageName): string {
  return `KUBE_AGENT_CONFORMANCE_${name.toUpperCase().replaceAll('-', '_')}_IMAGE`;
}

/** Environment variable of `--registry`. */
export const REGISTRY_VARIABLE = 'KUBE_AGENT_CONFORMANCE_REGISTRY';

/** Where a cluster gets a stock Node from, unless it is told otherwise. */
export const STOCK_NODE_IMAGE = 'node:24-slim';

/** The same of Keycloak, as its project distributes it: the release of fixtures/images/keycloak-base. */
export const STOCK_KEYCLOAK_IMAGE = 'quay.io/keycloak/keycloak:26.7.4';

const STOCK: Partial<Record<LiveImageName, string>> = { node: STOCK_NODE_IMAGE, keycloak: STOCK_KEYCLOAK_IMAGE };

/** What a mirror calls it: below the prefix of a registry, by the version of the harness where it is its own. */
export function mirroredName(name: LiveImageName): string {
  return name === 'node' ? STOCK_NODE_IMAGE : `kube-agent-conformance-${name}:${packageVersion().version}`;
}

/**
 * Where the nodes of a live cluster pull an image: by its own variable, else below the prefix of `--registry`, else
 * from where everybody gets it. Nothing else is pulled for the harness.
 *
 * @returns undefined for an image of the harness's that nobody has said a place of
 */
export function liveImage(name: LiveImageName, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const named = env[liveImageVariable(name)];
  if (named !== undefined && named !== '') {
    return named;
  }
  const registry = env[REGISTRY_VARIABLE];
  if (registry !== undefined && registry !== '') {
    return `${registry.replace(/\/+$/, '')}/${mirroredName(name)}`;
  }
  return STOCK[name];
}
