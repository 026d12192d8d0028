import type { RequirementContext } from '../../harness/run/context.ts';
import { requirement } from '../../harness/run/requirement.ts';
import { expectNone, type Finding } from '../../harness/target/findings.ts';
import { jobRunnerTarget, needsCapability } from '../../harness/target/job-runner-launch.ts';
import {
  type DeploymentRecord,
  observeDeployment,
  observeMissingClaim,
} from '../../harness/target/job-runner-own-pod.ts';
import {
  checksTheClaim,
  keepsAgentsApart,
  leavesTheClaim,
  mountsTheClaim,
  resumesSessions,
  sharesFiles,
} from '../../harness/target/job-runner-part-judgements.ts';
import { summarise } from '../../harness/target/job-runner-session.ts';

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
