import type { RoleDefinition } from '../definition.ts';

export const cluster: RoleDefinition = { role: 'cluster', usesIdentityProvider: () => false };
