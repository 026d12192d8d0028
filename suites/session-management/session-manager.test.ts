import { describeCall } from '../../harness/roles/session-manager/driver.ts';
import type { ManagerRecord } from '../../harness/roles/session-manager/launch.ts';
import { observeCleanUp } from '../../harness/roles/session-manager/scenarios/clean-up.ts';
import { observeConfiguration } from '../../harness/roles/session-manager/scenarios/configuration.ts';
import { observeConnection } from '../../harness/roles/session-manager/scenarios/connection.ts';
import { observeFailedCommands } from '../../harness/roles/session-manager/scenarios/failed-commands.ts';
import { observeMany } from '../../harness/roles/session-manager/scenarios/many.ts';
import { observeWork } from '../../harness/roles/session-manager/scenarios/work.ts';
import { sessionManagerTarget } from '../../harness/roles/session-manager/target.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';
import { check } from '../../harness/run/worker/check.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import type { Target } from '../../harness/targets/load.ts';
import {
  answersFailedCommands,
  answersManyAtOnce,
  cleansUp,
  keepsItsConfiguration,
  keepsItsLabel,
  knowsItsCallers,
  managesPods,
  managesServices,
  refusesWithReasons,
  runsCommands,
  servesLogs,
  survivesBadKubeconfigs,
  testsItsConnection,
} from './session-manager.checks.ts';

type Documented = Target<'session-manager'>['documented'];

/** An observation that keeps what was called, and every end of the manager's process, as its evidence. */
function seen<R extends ManagerRecord>(
  observe: (t: RequirementContext) => Promise<R>,
): (t: RequirementContext) => Promise<R> {
  return async (t) => {
    const record = await observe(t);
    t.evidence('calls', record.calls.map(describeCall));
    if (record.deaths.length > 0) {
      t.evidence('ends of its process', record.deaths);
    }
    return record;
  };
}

/** A check that holds a record against what the target file documents. */
function documented<R, F>(
  conforms: (record: R, documented: Documented) => F[],
): (record: R, t: RequirementContext) => F[] {
  return (record, t) => conforms(record, sessionManagerTarget(t).documented);
}

requirement('SM-01', check(seen(observeConfiguration), documented(keepsItsConfiguration)));
requirement('SM-02', check(seen(observeConnection), testsItsConnection));
requirement('SM-03', check(seen(observeWork), documented(managesPods)));
requirement('SM-04', check(seen(observeWork), refusesWithReasons));
requirement('SM-05', check(seen(observeWork), servesLogs));
requirement('SM-06', check(seen(observeWork), runsCommands));
requirement('SM-07', check(seen(observeFailedCommands), answersFailedCommands));
requirement('SM-08', check(seen(observeCleanUp), cleansUp));
requirement('SM-09', check(seen(observeWork), documented(managesServices)));
requirement('SM-10', check(seen(observeWork), documented(keepsItsLabel)));
requirement('SM-11', check(seen(observeConfiguration), survivesBadKubeconfigs));
requirement('SM-13', check(seen(observeWork), knowsItsCallers));
requirement('SM-14', check(seen(observeMany), answersManyAtOnce));
