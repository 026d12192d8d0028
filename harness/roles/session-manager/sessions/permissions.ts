/** What a controller of sessions as custom resources asks of the API server, beside what it documents. */

import type { Stall } from '../../../../fixtures/workloads/lib/heartbeat.ts';
import type { ApiRecord } from '../../../kubernetes/api-record.ts';
import { PERMISSIONS, permissionDiff } from '../../../kubernetes/permissions.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import { type ResourceTarget, resourceTarget } from '../target.ts';
import { observeExpiry, observeLife, observeSuspend } from './scenarios.ts';

/** The requests of one observation. */
interface SessionRights {
  target: ResourceTarget;
  namespace: string;
  requests: ApiRecord[];
}

export interface SessionRightsRecord {
  observations: SessionRights[];
  stalls: Stall[];
}

/**
 * Sessions that live, rest and expire, as far as the target declares that, under its documented rights.
 *
 * Not applicable where the controller is deployed: what it asks for does not go through the recording proxy.
 */
export async function observeSessionRights(t: RequirementContext): Promise<SessionRightsRecord> {
  const target = resourceTarget(t);
  const { capabilities, start } = target;
  if (start === undefined) {
    return t.notApplicable(
      'the controller is installed by its manifests (`install.deployment`): its requests do not go through the recording proxy',
    );
  }
  const records = await Promise.all([
    observeLife(t),
    ...(capabilities.includes('suspend') ? [observeSuspend(t)] : []),
    ...(capabilities.includes('expiry') ? [observeExpiry(t)] : []),
  ]);
  t.evidence(
    PERMISSIONS,
    permissionDiff(
      target,
      records.flatMap(({ requests }) => requests),
    ),
  );
  return {
    observations: records.map(({ namespace, requests }) => ({ target, namespace, requests })),
    stalls: records.flatMap(({ stalls }) => stalls),
  };
}
