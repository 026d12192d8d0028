/** How the manager is installed (WH-07m): what its manifests come to when the API server admits them. */
import { twinFor } from '../../../rpc/candidate.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import { readManifests } from '../../job-runner/manifests.ts';
import { admit, type InstallationRecord } from '../../job-runner/scenarios/installation.ts';
import { type HttpTarget, sessionManagerTarget } from '../target.ts';

export interface ManagerInstallation extends Pick<InstallationRecord, 'workload' | 'pod' | 'refused'> {
  target: HttpTarget;
  stalls: [];
}

/** The manifests by a dry run: nothing of them is ever started. */
export async function observeInstallation(t: RequirementContext): Promise<ManagerInstallation> {
  const target = sessionManagerTarget(t);
  const cluster = await t.cluster();
  const changes = twinFor(t.candidate, 'session-manager')?.sessionManager.manifests ?? [];
  const seen = await t.withNamespace(
    'manager installation',
    t.preconditions.podSecurity ?? 'restricted',
    (namespace) => {
      const image = cluster.workloadImage;
      const values = { namespace, image, 'manager.image': image, token: 'of a dry run' };
      return admit(cluster, namespace, readManifests(target, values, changes).workload);
    },
  );
  t.evidence('its own installation', seen);
  return { ...seen, target, stalls: [] };
}
