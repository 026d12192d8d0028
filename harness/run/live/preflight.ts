import { roleDefinition } from '../../roles/index.ts';
import type { Lack, PreflightOptions } from './lacks.ts';
import type { Needs } from './needs.ts';
import { clockDifference, missingApis, missingRights, rightLacks, unfitNodes } from './preflight-cluster.ts';
import { missingLevels } from './preflight-levels.ts';
import { refusedNamespace, refusedObjects } from './preflight-objects.ts';
import { missingImages } from './preflight-pods.ts';
import { missingStorage, missingVolume } from './preflight-storage.ts';
import type { NeededRight } from './rights.ts';

/**
 * Finds out in seconds, before the first requirement, what a live cluster lacks for the harness: rights, admission,
 * images, nodes, storage, DNS, clocks. What it makes for that goes with the run.
 *
 * @returns what is missing; nothing for a cluster on which everything that is planned can be evaluated
 */
export async function preflight(options: PreflightOptions): Promise<Lack[]> {
  const { needs, data } = options;
  const [missing, ...before] = await Promise.all([
    missingRights(options),
    missingOnPeer(options),
    refusedNamespace(options),
    unfitNodes(options),
    missingStorage(options),
    missingApis(options),
    clockDifference(options),
  ]);
  const lacks = [...rightLacks(missing, options), ...before.flat()];
  if (data.misreadsTokens !== undefined) {
    lacks.push({
      missing: 'an API server that takes ServiceAccount tokens',
      found: `a fresh token of a ServiceAccount ${data.misreadsTokens} at the server of the kubeconfig`,
      fix: 'use a kubeconfig that leads to the API server itself, and not to a front of it',
      requirements: needs.requirements.filter(presentsTokens).map(({ id }) => id),
    });
  }
  const isBlocked = lacks.some((lack) => lack.missing === 'admission of a Namespace' || lack.missing === 'a node');
  if (needs.requirements.length === 0 || isBlocked || keepOutside(missing.own, needs)) {
    return lacks;
  }
  const namespace = await options.namespace('restricted');
  const [refused, levels] = await Promise.all([refusedObjects(options, namespace), missingLevels(options)]);
  lacks.push(...refused, ...levels);
  // No pod can be made then.
  if (refused.some((lack) => lack.missing === 'admission of a Pod')) {
    return lacks;
  }
  const looks = [missingImages, missingVolume] as const;
  if (options.given === undefined) {
    return [...lacks, ...(await Promise.all(looks.map((look) => look(options, namespace)))).flat()];
  }
  for (const look of looks) {
    lacks.push(...(await look(options, namespace)));
  }
  return lacks;
}

/**
 * What a second cluster lacks: it has no pod of the harness, so that rights, admission of a namespace and the clock are
 * all.
 */
async function missingOnPeer(options: PreflightOptions): Promise<Lack[]> {
  const { peer } = options;
  const { peer: needed } = options.needs;
  if (peer === undefined || needed === undefined || needed.requirements.length === 0) {
    return [];
  }
  const needs = {
    ...options.needs,
    rights: needed.rights,
    rightsToGive: [],
    requirements: options.needs.requirements.filter(({ id }) => needed.requirements.includes(id)),
  };
  const there: PreflightOptions = { ...options, data: peer.cluster, needs };
  const [rights, refused, clock] = await Promise.all([
    missingRights(there),
    refusedNamespace(there),
    clockDifference(there),
  ]);
  const where = `second cluster (context "${peer.context}")`;
  return [
    ...rightLacks(rights, { needs }).map((lack) => ({
      ...lack,
      fix: `conformance plan --peer-context ${peer.context} --output rbac shows the Role that grants it there`,
    })),
    ...refused,
    ...clock,
  ].map((lack) => ({ ...lack, missing: `${where}: ${lack.missing}` }));
}

/**
 * Whether without these rights the harness cannot look into the cluster, or could not remove what it makes for that:
 * those of the run itself, and those to its pods.
 */
function keepOutside(missing: readonly NeededRight[], { requirements }: Needs): boolean {
  return missing.some(({ resource, requirements: ids }) => resource === 'pods' || ids.length === requirements.length);
}

/** Roles and suites whose requirements show a ServiceAccount's token to the API server. */
function presentsTokens({ role, suite }: Needs['requirements'][number]): boolean {
  return (
    roleDefinition(role).isAtApiServer === true ||
    ['audience-isolation', 'rbac-minimal', 'token-rotation'].includes(suite)
  );
}
