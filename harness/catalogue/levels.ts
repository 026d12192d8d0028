import { capabilitiesOfForms } from '../role-data/index.ts';
import type { Requirement } from './catalogue.ts';

/**
 * Whom a requirement binds. `core`: every implementation of its role. `extended`: those that declare a capability that
 * it is about; for all others it is not applicable. The words are those of the Gateway API's support levels
 * (Conformance, Core and Extended).
 */
export type Support = 'core' | 'extended';

export function supportOf({ role, preconditions }: Pick<Requirement, 'role' | 'preconditions'>): Support {
  const ofForm = capabilitiesOfForms(role);
  return (preconditions?.capabilities ?? []).every((capability) => ofForm.includes(capability)) ? 'core' : 'extended';
}
