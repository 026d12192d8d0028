import { roleDefinition } from '../../roles/index.ts';
import type { Lack, PreflightOptions } from './lacks.ts';
import type { Needs } from './needs.ts';
import {
  clockDifference,
  missingApis,
  missingRights,
  missingStorage,
  refusedObjects,
  unfitNodes,
} from './preflight-cluster.ts';
import { missingImages } from './preflight-pods.ts';

/**
 * Finds out in seconds, before the first requirement, what a live cluster lacks for the harness: rights, admission,
 * images, nodes, storage, DNS, clocks. What it makes for that goes with the run.
 *
 * @returns what is missing; nothing for a cluster on which everything that is planned can be evaluated
 */
export async function preflight(options: PreflightOptions): Promise<Lack[]> {
  const { needs, data } = options;
  const before = await Promise.all([
    missingRights(options),
    refusedObjects(options, undefined),
    unfitNodes(options),
    missingStorage(options),
    missingApis(options),
    clockDifference(options),
  ]);
  const lacks = before.flat();
  if (data.refusesServiceAccounts === true) {
    lacks.push({
      missing: 'an API server that takes ServiceAccount tokens',
      found: 'a fresh token of a ServiceAccount is answered with 401 at the server of the kubeconfig',
      fix: 'use a kubeconfig that leads to the API server itself, and not to a front of it',
      requirements: needs.requirements.filter(presentsTokens).map(({ id }) => id),
    });
  }
  const blocked = (resource: string): boolean =>
    lacks.some(
      ({ missing }) =>
        missing === `right: create ${resource}` || missing === 'admission of a namespace' || missing === 'a node',
    );
  if (needs.requirements.length === 0 || blocked('pods') || (options.given === undefined && blocked('namespaces'))) {
    return lacks;
  }
  const namespace = await options.namespace();
  const refused = await refusedObjects(options, namespace);
  lacks.push(...refused);
  if (refused.length === 0) {
    lacks.push(...(await missingImages(options, namespace)));
  }
  return lacks;
}

/** Roles and suites whose requirements show a ServiceAccount's token to the API server. */
function presentsTokens({ role, suite }: Needs['requirements'][number]): boolean {
  return (
    roleDefinition(role).isAtApiServer === true ||
    ['audience-isolation', 'rbac-minimal', 'token-rotation'].includes(suite)
  );
}
