import type { RoleDefinition } from '../definition.ts';
import { declaredCapabilities } from './target.ts';

export const sessionManager = {
  role: 'session-manager',
  usesIdentityProvider: () => false,
  isAtApiServer: true,
  sharesOneObservation: true,
  nodeImages: ['workload'],
  referenceImage: { name: 'session-manager', requirements: ['SM-12'] },
  capabilities(candidate) {
    const declared = declaredCapabilities(candidate);
    return { declared, quoted: `the target file declares the capabilities [${declared.join(', ')}]` };
  },
} satisfies RoleDefinition;
