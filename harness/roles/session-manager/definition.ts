import type { RoleDefinition } from '../definition.ts';
import { declaredCapabilities } from './target.ts';

export const sessionManager: RoleDefinition = {
  role: 'session-manager',
  usesIdentityProvider: () => false,
  isAtApiServer: true,
  sharesOneObservation: true,
  capabilities(candidate) {
    const declared = declaredCapabilities(candidate);
    return { declared, quoted: `the target file declares the capabilities [${declared.join(', ')}]` };
  },
};
