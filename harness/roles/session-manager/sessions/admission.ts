import type { RequirementContext } from '../../../rpc/context.ts';
import { restrictedAdmission, type TriedPod } from '../restricted.ts';
import { podsOfSessions } from './record.ts';
import { LIVING, type LifeRecord, observeLife } from './scenarios.ts';

export interface SessionAdmissionRecord extends LifeRecord {
  tried: TriedPod[];
}

/** Tries the pod of each session under Pod Security `restricted`. */
export async function observeSessionAdmission(t: RequirementContext): Promise<SessionAdmissionRecord> {
  const record = await observeLife(t);
  const pods = podsOfSessions(record, LIVING).map(([who, spec]) => ({ who, spec, from: record.namespace }));
  return { ...record, tried: await restrictedAdmission(t, pods) };
}
