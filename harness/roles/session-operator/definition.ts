import type { RoleDefinition } from '../definition.ts';
import { sessionOperatorTarget } from './target.ts';

/** The same for all: sessions come and go, and routes are watched. */
const ASKED: Record<string, number> = Object.fromEntries(
  [
    ...['create', 'delete', 'list', 'watch'].flatMap((verb) => [`${verb} pods`, `${verb} persistentvolumeclaims`]),
    ...['list', 'watch'].flatMap((verb) => [`${verb} ingressroutes.traefik.io`, `${verb} middlewares.traefik.io`]),
    'create middlewares.traefik.io',
    'get /apis/traefik.io/v1alpha1',
  ].map((right) => [right, 1]),
);

export const sessionOperator = {
  role: 'session-operator',
  usesIdentityProvider: () => false,
  isAtApiServer: true,
  sharesOneObservation: true,
  furtherApi: {
    api: 'traefik.io/v1alpha1',
    fix: 'install Traefik’s CustomResourceDefinitions: kubectl apply -f fixtures/manifests/traefik-crds.yaml',
  },
  askedOnLiveClusters: () => ASKED,
  filesOf(target) {
    if (target.role !== 'session-operator') {
      return {};
    }
    return {
      manifests: { field: 'manifests.files', names: target.manifests?.files ?? [] },
      command: 'command' in target.start ? target.start.command : undefined,
    };
  },
  capabilities(candidate) {
    const declared = sessionOperatorTarget({ candidate }).capabilities;
    return { declared, quoted: `the target file declares the capabilities [${declared.join(', ')}]` };
  },
} satisfies RoleDefinition;
