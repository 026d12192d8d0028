import type { Requirement } from './catalogue.ts';

/**
 * Whom a requirement binds. `core`: every implementation of its role. `extended`: those that declare a capability that
 * it is about; for all others it is not applicable. The words are those of the Gateway API's support levels
 * (Conformance, Core and Extended).
 */
export type Support = 'core' | 'extended';

export function supportOf({ preconditions }: Pick<Requirement, 'preconditions'>): Support {
  return preconditions?.capabilities === undefined ? 'core' : 'extended';
}
