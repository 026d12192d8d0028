import type { RoleDefinition } from '../definition.ts';

export const cluster = {
  role: 'cluster',
  usesIdentityProvider: () => false,
  isReachedByKubeconfig: true,
  isAloneInGivenNamespaces: true,
  storageClass: (target) => (target.role === 'cluster' ? target.storage.readWriteOnce : undefined),
} satisfies RoleDefinition;
