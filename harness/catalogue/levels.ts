import type { Requirement } from './catalogue.ts';

/**
 * Whom a requirement binds. `core`: every implementation of its role. `extended`: those that declare a capability that
 * it is about; for all others it is not applicable. The words are those of the Gateway API's support levels
 * (Conformance, Core and Extended).
 */
export type Support = 'core' | 'extended';

/**
 * What makes an implementation one of its role, where that has several forms: a session manager makes pods when it is
 * called, or sessions from objects.
 */
const OF_A_FORM: Partial<Record<Requirement['role'], readonly string[]>> = { 'session-manager': ['pods', 'sessions'] };

export function supportOf({ role, preconditions }: Pick<Requirement, 'role' | 'preconditions'>): Support {
  const ofForm = OF_A_FORM[role] ?? [];
  return (preconditions?.capabilities ?? []).every((capability) => ofForm.includes(capability)) ? 'core' : 'extended';
}
