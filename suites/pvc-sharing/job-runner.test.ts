import { expectNone, type Finding } from '../../harness/core/findings.ts';
import {
  checksTheClaim,
  keepsAgentsApart,
  leavesTheClaim,
  mountsTheClaim,
  resumesSessions,
  sharesFiles,
} from '../../harness/roles/job-runner/checks/parts.ts';
import { needsCapability } from '../../harness/roles/job-runner/launch.ts';
import {
  type DeploymentRecord,
  observeDeployment,
  observeMissingClaim,
} from '../../harness/roles/job-runner/scenarios/parent-pod.ts';
import { summarise } from '../../harness/roles/job-runner/scenarios/tasks.ts';
import { jobRunnerTarget } from '../../harness/roles/job-runner/target.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';

/** A row that is judged from tasks beside the runner's own deployment. */
async function judgeClaim(
  t: RequirementContext,
  judge: (record: DeploymentRecord, target: ReturnType<typeof jobRunnerTarget>) => Finding[],
): Promise<void> {
  needsCapability(t, 'shared-claim');
  const record = await observeDeployment(t);
  t.evidence('tasks', summarise(record));
  expectNone(judge(record, jobRunnerTarget(t)), record.stalls);
}

requirement('PV-20', (t) => judgeClaim(t, mountsTheClaim));

requirement('PV-21', (t) => judgeClaim(t, sharesFiles));

requirement('PV-22', (t) => judgeClaim(t, keepsAgentsApart));

requirement('PV-23', async (t) => {
  needsCapability(t, 'shared-claim');
  const missing = await observeMissingClaim(t);
  t.evidence('without the claim', missing.map(summarise));
  await judgeClaim(t, (record, target) => checksTheClaim(record, missing, target));
});

requirement('PV-24', async (t) => {
  if (jobRunnerTarget(t).deployment?.claim === undefined) t.notApplicable('the target file names no shared claim');
  await judgeClaim(t, leavesTheClaim);
});

requirement('PV-25', async (t) => {
  needsCapability(t, 'session');
  await judgeClaim(t, resumesSessions);
});
