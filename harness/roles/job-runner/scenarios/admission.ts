/** Whether the pods of tasks are admitted where Pod Security is enforced (WH-02). */

import { refusalByPodSecurity } from '../../../kubernetes/pod-security.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import { type PodSpec, specsOf } from '../record.ts';
import { shareTasks, type TasksRecord } from './tasks.ts';

export interface AdmissionRecord extends TasksRecord {
  /** Each pod that was tried under `restricted`, with what Pod Security said where it refused it. */
  tried: { who: string; refused?: string }[];
}

/** What a pod has of its node and namespace, which is the cluster's to say. */
type AdmittedPodSpec = PodSpec & { nodeName?: string; serviceAccount?: string };

/** The pods of the usual tasks, by a dry run in a namespace that enforces `restricted`. */
export async function observeAdmission(t: RequirementContext): Promise<AdmissionRecord> {
  const record = await shareTasks(t);
  const tried = await t.withNamespace('restricted', 'restricted', (namespace) => tryIn(t, namespace, record), {
    enforced: true,
  });
  t.evidence('dry runs under `restricted`', tried);
  return { ...record, tried };
}

async function tryIn(t: RequirementContext, namespace: string, record: TasksRecord): Promise<AdmissionRecord['tried']> {
  const cluster = await t.cluster();
  return Promise.all(
    specsOf(record).map(async ({ who, spec }, index): Promise<AdmissionRecord['tried'][number]> => {
      const { serviceAccountName: _, nodeName: __, serviceAccount: ___, ...rest } = spec as AdmittedPodSpec;
      const refused = await refusalByPodSecurity(cluster, namespace, { name: `dry-run-${index}`, spec: rest });
      return { who, ...(refused === undefined ? {} : { refused }) };
    }),
  );
}
