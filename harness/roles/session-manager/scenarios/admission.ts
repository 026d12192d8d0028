import type { RequirementContext } from '../../../rpc/context.ts';
import { ownPodOf } from '../record.ts';
import { restrictedAdmission, type TriedPod } from '../restricted.ts';
import { observeWork, type WorkRecord } from './work.ts';

export interface AdmissionRecord extends WorkRecord {
  tried: TriedPod[];
}

/** Tries each pod that the manager was called for under Pod Security `restricted`. */
export async function observeAdmission(t: RequirementContext): Promise<AdmissionRecord> {
  const record = await observeWork(t);
  const pods = Object.keys(record.asked).flatMap((name): { who: string; spec: object; from: string }[] => {
    const spec = ownPodOf(record, name);
    return spec === undefined ? [] : [{ who: name, spec, from: record.namespace }];
  });
  return { ...record, tried: await restrictedAdmission(t, pods) };
}
