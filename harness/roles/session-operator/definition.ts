import type { RoleDefinition } from '../definition.ts';
import { sessionOperatorTarget } from './target.ts';

export const sessionOperator: RoleDefinition = {
  role: 'session-operator',
  usesIdentityProvider: () => false,
  capabilities(candidate) {
    const declared = sessionOperatorTarget({ candidate }).capabilities;
    return { declared, quoted: `the target file declares the capabilities [${declared.join(', ')}]` };
  },
};
