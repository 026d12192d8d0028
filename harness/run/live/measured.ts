import { readFileSync } from 'node:fs';
import type { Requirement } from '../../catalogue/catalogue.ts';
import type { LedgerEntry } from '../../environment/cluster/kubeconfig/ledger.ts';
import { roleDefinition } from '../../roles/index.ts';
import { type Right, withGroup } from './rights.ts';

/**
 * Requests of each requirement on a live cluster with every right, measured at the harness's door to it: how often
 * each. `cluster list nodes` is about the whole cluster, `get /version` about a path, everything else is in a
 * namespace. `give get secrets` is a right of a Role that it makes. Written by `npm run measure-rights`, and held
 * against the real requests by `npm test`.
 */
export type Measured = Record<string, Record<string, number>>;

export function readMeasured(): Measured {
  return JSON.parse(readFileSync(new URL('./measured.json', import.meta.url), 'utf8')) as Measured;
}

/**
 * What was measured of requirements of the same suite and role, else of the same role: for one that was never measured.
 * Where all requirements of a role share one observation, any of them may be the one that makes it.
 */
export function ofOthers(
  row: Requirement,
  measured: Measured,
  requirements: readonly Requirement[],
): Record<string, number> {
  const measuredRows = requirements.filter(({ id, role }) => role === row.role && measured[id] !== undefined);
  const isShared = roleDefinition(row.role).sharesOneObservation === true;
  const near = isShared ? [] : measuredRows.filter(({ suite }) => suite === row.suite);
  // How often cannot be told from others.
  return Object.fromEntries(
    (near.length > 0 ? near : measuredRows).flatMap(({ id }) =>
      Object.keys(measured[id] ?? {}).map((right) => [right, 1]),
    ),
  );
}

/** The words of {@link Measured} for what a ledger holds. */
export function measuredOf(entries: readonly LedgerEntry[]): Measured {
  const measured: Measured = {};
  for (const { requirement, verb, group, resource, path, namespaced, isGiven, count } of entries) {
    if (requirement === undefined) {
      continue;
    }
    const what = resource === undefined ? `${verb} ${path}` : `${verb} ${withGroup(resource, group)}`;
    const asked = resource === undefined || namespaced ? what : `cluster ${what}`;
    const key = isGiven === true ? `${GIVE}${what}` : asked;
    const row = measured[requirement] ?? {};
    row[key] = (row[key] ?? 0) + count;
    measured[requirement] = row;
  }
  return measured;
}

/**
 * Rights that a run asked for and that no requirement of the same role was measured to need. What they share is asked
 * for by whichever comes first, and some things are asked only when something goes wrong.
 */
export function unmeasured(entries: readonly LedgerEntry[], requirements: readonly Requirement[]): string[] {
  const measured = readMeasured();
  const asked = measuredOf(entries);
  const roleOf = new Map(requirements.map(({ id, role }): [string, string] => [id, role]));
  const known = new Map<string, Set<string>>();
  for (const [id, row] of Object.entries(measured)) {
    const role = roleOf.get(id) ?? '';
    known.set(role, new Set([...(known.get(role) ?? []), ...Object.keys(row)]));
  }
  return Object.entries(asked).flatMap(([id, row]) =>
    Object.keys(row)
      .filter((right) => known.get(roleOf.get(id) ?? '')?.has(right) !== true)
      .map((right) => `${id} asks to ${right}, which \`conformance plan\` does not know: npm run measure-rights`),
  );
}

/** Before a right that is given to somebody. */
export const GIVE = 'give ';

/** A right in the words of {@link Measured}, without {@link GIVE}. */
export function parseMeasured(text: string): Right {
  const isCluster = text.startsWith('cluster ');
  const [verb = '', what = ''] = (isCluster ? text.slice('cluster '.length) : text).split(' ');
  if (what.startsWith('/')) {
    return { verb, group: '', resource: what, scope: 'path' };
  }
  const [named = '', subresource] = what.split('/');
  const [resource = '', ...group] = named.split('.');
  return {
    verb,
    group: group.join('.'),
    resource: subresource === undefined ? resource : `${resource}/${subresource}`,
    scope: isCluster ? 'cluster' : 'namespace',
  };
}
