import { expectNone, type Finding } from '../../harness/core/findings.ts';
import { describeCall } from '../../harness/roles/session-manager/driver.ts';
import { observeWork, type WorkRecord } from '../../harness/roles/session-manager/scenarios/work.ts';
import { sessionManagerTarget } from '../../harness/roles/session-manager/target.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import type { Target } from '../../harness/targets/load.ts';
import {
  keepsItsLabel,
  knowsItsCallers,
  managesPods,
  managesServices,
  refusesWithReasons,
  runsCommands,
  servesLogs,
} from './session-manager.checks.ts';

type Manager = Target<'session-manager'>;

/** A requirement that is evaluated from the work that all such requirements share. */
function work(
  check: (record: WorkRecord, documented: Manager['documented']) => Finding[],
): (t: RequirementContext) => Promise<void> {
  return async (t) => {
    const { documented } = sessionManagerTarget(t);
    const record = await observeWork(t);
    t.evidence('calls', record.calls.map(describeCall));
    if (record.deaths.length > 0) {
      t.evidence('ends of its process', record.deaths);
    }
    expectNone(check(record, documented), record.stalls);
  };
}

requirement('SM-03', work(managesPods));
requirement('SM-04', work(refusesWithReasons));
requirement('SM-05', work(servesLogs));
requirement('SM-06', work(runsCommands));
requirement('SM-09', work(managesServices));
requirement('SM-10', work(keepsItsLabel));
requirement('SM-13', work(knowsItsCallers));
