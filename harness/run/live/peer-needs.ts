import type { Requirement } from '../../catalogue/catalogue.ts';
import { type NeededRight, type Right, RightSet } from './rights.ts';

/** Requirements that see the tokens of a second cluster, where a run has one. */
export const ACROSS_CLUSTERS: readonly string[] = ['AI-01', 'AI-06', 'AI-11'];

/** What the harness needs on the second cluster of a run, and makes there. */
export interface PeerNeeds {
  /** Ids of the requirements that are planned and see its tokens. */
  requirements: string[];
  rights: NeededRight[];
  /** As those of the first cluster. */
  objects: { resource: string; count: number }[];
}

/** @param given the run is kept to namespaces that exist, in the second cluster, too */
export function peerNeedsOf(rows: readonly Requirement[], given: boolean): PeerNeeds {
  const requirements = rows.map(({ id }) => id).filter((id) => ACROSS_CLUSTERS.includes(id));
  const rights = new RightSet();
  for (const id of requirements) {
    rights.add(id, ...(given ? IN_GIVEN : IN_OWN), ...EVERYWHERE);
  }
  const accounts = { resource: 'serviceaccounts', count: requirements.length };
  const namespaces = given ? [] : [{ resource: 'namespaces', count: 1 }];
  return { requirements, rights: rights.sorted(), objects: requirements.length === 0 ? [] : [...namespaces, accounts] };
}

const EVERYWHERE: Right[] = [
  { verb: 'create', group: '', resource: 'serviceaccounts', scope: 'namespace' },
  { verb: 'create', group: '', resource: 'serviceaccounts/token', scope: 'namespace' },
  // The providers that trust it are given its keys.
  { verb: 'get', group: '', resource: '/openid/v1/jwks', scope: 'path' },
];

const IN_OWN = ['create', 'delete', 'watch'].map(
  (verb): Right => ({ verb, group: '', resource: 'namespaces', scope: 'cluster' }),
);

const IN_GIVEN: Right[] = [{ verb: 'delete', group: '', resource: 'serviceaccounts', scope: 'namespace' }];
