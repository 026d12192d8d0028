import { createHash } from 'node:crypto';
import type { Catalogue, Requirement } from '../../catalogue/catalogue.ts';
import type { Role } from '../../role-data/index.ts';

/** All that the catalogue asks of a role: less than it is never called certified. */
export interface CanonicalPlan {
  /** Undefined: the references, in every role. */
  role?: Role | undefined;
  requirements: Pick<Requirement, 'id' | 'level'>[];
  /** SHA-256 over ids and levels, sorted; hexadecimal. */
  digest: string;
}

/** The canonical plan of some roles together; none: of every role. */
export function canonicalPlan(
  { requirements }: Pick<Catalogue, 'requirements'>,
  roles: readonly Role[] = [],
): CanonicalPlan {
  const rows = requirements
    .filter(({ role }) => roles.length === 0 || roles.includes(role))
    .map(({ id, level }) => ({ id, level }))
    .sort((one, other) => (one.id < other.id ? -1 : 1));
  const lines = rows.map(({ id, level }) => `${id} ${level}\n`).join('');
  return {
    ...(roles.length === 1 ? { role: roles[0] } : {}),
    requirements: rows,
    digest: createHash('sha256').update(lines).digest('hex'),
  };
}

/** Ids of a plan that were not planned in a run. */
export function missingFrom({ requirements }: CanonicalPlan, planned: readonly string[]): string[] {
  const ids = new Set(planned);
  return requirements.map(({ id }) => id).filter((id) => !ids.has(id));
}
