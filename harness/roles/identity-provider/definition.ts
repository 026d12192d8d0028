import type { RoleDefinition } from '../definition.ts';

export const identityProvider = {
  role: 'identity-provider',
  // Each twin of a provider is a provider of its own.
  usesIdentityProvider: (mode) => mode === 'run',
  needsNoPods: true,
  // One process serves all embedded providers, and a JVM those of Keycloak.
  twinsPerCore: 1,
  // They need no pod: on two cores one after another, from the start, beside those that wait.
  twinsAtLeastPerCore: 0.5,
  environmentOptions: (target) => (target.role === 'identity-provider' ? { identityProviderTarget: target } : {}),
} satisfies RoleDefinition;
