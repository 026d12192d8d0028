/** Which ServiceAccounts the pods of tasks have (RB-31). */

import { NotTestable } from '../../../core/errors.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import { withReadyJobRunner } from '../launch.ts';
import { allOver, podsOf, type RunnerRecord, refusalOf, type SubmittedTask, specOf, TASK_SECONDS } from '../record.ts';

/** A ServiceAccount that no task may have: it is there, so that a pod of its would start. */
const FOREIGN = 'conformance-foreign';

/** One task that asks for nothing, and one that asks for a ServiceAccount which the target does not declare. */
export async function observeAccounts(t: RequirementContext): Promise<RunnerRecord> {
  return withReadyJobRunner(
    t,
    {
      purpose: 'accounts',
      objects: [{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: FOREIGN } }],
    },
    async (runner) => {
      const control = await runner.submit('control', {});
      const foreign = await runner.submit('foreign', { serviceAccount: FOREIGN });
      await runner.until(() => allOver(runner), TASK_SECONDS);
      const accounts = (task: SubmittedTask): (string | undefined)[] =>
        podsOf(runner, task).map((pod) => specOf(pod).serviceAccountName);
      t.evidence('ServiceAccounts of the pods', {
        control: accounts(control),
        foreign: accounts(foreign),
        refused: refusalOf(runner, foreign),
        declared: runner.target.serviceAccounts ?? 'nothing',
      });
      if (accounts(control).length === 0) {
        throw new NotTestable('a task that asks for nothing had no pod');
      }
      return runner.record();
    },
  );
}
