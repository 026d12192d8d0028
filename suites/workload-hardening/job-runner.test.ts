import { expectNone, type Finding } from '../../harness/core/findings.ts';
import {
  hidesSecrets,
  mountsNoApiToken,
  runsUnprivileged,
  setsResources,
  specOf,
  specsOf,
  worksWithAnAssignedUid,
} from '../../harness/roles/job-runner/checks/tasks.ts';
import { isDeployedWell, observeOwnDeployment } from '../../harness/roles/job-runner/scenarios/installation.ts';
import { observeTasks, podsOf, summarise, type TasksRecord } from '../../harness/roles/job-runner/scenarios/tasks.ts';
import { jobRunnerTarget } from '../../harness/roles/job-runner/target.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';

async function judgePods(
  t: RequirementContext,
  judge: (record: TasksRecord, target: ReturnType<typeof jobRunnerTarget>) => Finding[],
): Promise<void> {
  const record = await observeTasks(t);
  const specs = record.tasks.flatMap((task) => podsOf(record, task).map(specOf));
  t.evidence('pods', { tasks: summarise(record), first: specs[0] });
  expectNone(judge(record, jobRunnerTarget(t)), record.stalls);
}

requirement('WH-01', (t) => judgePods(t, runsUnprivileged));

type PodSpecOfCluster = ReturnType<typeof specOf> & { nodeName?: string; serviceAccount?: string };

requirement('WH-02', async (t) => {
  const record = await observeTasks(t);
  const [cluster, { name: namespace }] = await Promise.all([t.cluster(), t.namespaceFor('restricted')]);
  const specs = specsOf(record);
  const refused = await Promise.all(
    specs.map(async ({ who, spec }, index) => {
      // The ServiceAccount is another namespace's, and what a pod has of its node is the cluster's.
      const { serviceAccountName: _, nodeName: __, serviceAccount: ___, ...rest } = spec as PodSpecOfCluster;
      const response = await cluster.request(`/api/v1/namespaces/${namespace}/pods?dryRun=All`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: `dry-run-${index}` }, spec: rest }),
      });
      const answer = (await response.json()) as { message?: string };
      return response.status === 201 ? [] : [`the pod of ${who} is refused (${response.status}): ${answer.message}`];
    }),
  );
  t.evidence(
    'dry runs under `restricted`',
    specs.map(({ who }, index) => [who, refused[index]]),
  );
  expectNone(specs.length === 0 ? ['no pod of a task was seen'] : refused.flat(), record.stalls);
});

requirement('WH-03', (t) => judgePods(t, mountsNoApiToken));

requirement('WH-04', (t) => judgePods(t, hidesSecrets));

requirement('WH-05', (t) => judgePods(t, setsResources));

requirement('WH-06a', (t) => judgePods(t, worksWithAnAssignedUid));

requirement('WH-07', async (t) => {
  const target = jobRunnerTarget(t);
  if (target.manifests === undefined)
    t.notApplicable('the target file gives no manifests of the runner’s own deployment (`manifests`)');
  const record = await observeOwnDeployment(t);
  t.evidence('its own deployment', record);
  expectNone(isDeployedWell(record, target), []);
});
