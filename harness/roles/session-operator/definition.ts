import type { RoleDefinition } from '../definition.ts';
import { sessionOperatorTarget } from './target.ts';

export const sessionOperator = {
  role: 'session-operator',
  usesIdentityProvider: () => false,
  isAtApiServer: true,
  sharesOneObservation: true,
  furtherApi: {
    api: 'traefik.io/v1alpha1',
    mend: 'install Traefik’s CustomResourceDefinitions: kubectl apply -f fixtures/manifests/traefik-crds.yaml',
  },
  capabilities(candidate) {
    const declared = sessionOperatorTarget({ candidate }).capabilities;
    return { declared, quoted: `the target file declares the capabilities [${declared.join(', ')}]` };
  },
} satisfies RoleDefinition;
