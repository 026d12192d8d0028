import { observeCleanUp } from '../../harness/roles/session-manager/scenarios/clean-up.ts';
import { observeConfiguration } from '../../harness/roles/session-manager/scenarios/configuration.ts';
import { observeConnection } from '../../harness/roles/session-manager/scenarios/connection.ts';
import { observeFailedCommands } from '../../harness/roles/session-manager/scenarios/failed-commands.ts';
import { observeInCluster } from '../../harness/roles/session-manager/scenarios/in-cluster.ts';
import { observeMany } from '../../harness/roles/session-manager/scenarios/many.ts';
import { observeWork } from '../../harness/roles/session-manager/scenarios/work.ts';
import {
  observeExpiry,
  observeLife,
  observeManySessions,
  observeRestarts,
  observeSuspend,
} from '../../harness/roles/session-manager/sessions/scenarios.ts';
import { check } from '../../harness/run/worker/check.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
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
  worksInTheCluster,
} from './session-manager.checks.ts';
import {
  endsAtItsTime,
  givesIdentityAsAsked,
  leavesForeignObjects,
  makesNothingTwice,
  managesManySessions,
  removesAllOfASession,
  reportsByConditions,
  saysWhenReady,
  survivesALostPod,
  suspendsAndResumes,
} from './sessions.checks.ts';

requirement('SM-01', check(observeConfiguration, keepsItsConfiguration));
requirement('SM-02', check(observeConnection, testsItsConnection));
requirement('SM-03', check(observeWork, managesPods));
requirement('SM-04', check(observeWork, refusesWithReasons));
requirement('SM-05', check(observeWork, servesLogs));
requirement('SM-06', check(observeWork, runsCommands));
requirement('SM-07', check(observeFailedCommands, answersFailedCommands));
requirement('SM-08', check(observeCleanUp, cleansUp));
requirement('SM-09', check(observeWork, managesServices));
requirement('SM-10', check(observeWork, keepsItsLabel));
requirement('SM-11', check(observeConfiguration, survivesBadKubeconfigs));
requirement('SM-12', check(observeInCluster, worksInTheCluster));
requirement('SM-13', check(observeWork, knowsItsCallers));
requirement('SM-14', check(observeMany, answersManyAtOnce));

requirement('SM-20', check(observeLife, saysWhenReady));

requirement('SM-21', check(observeLife, removesAllOfASession));

requirement('SM-22', check(observeSuspend, suspendsAndResumes));

requirement('SM-23', check(observeExpiry, endsAtItsTime));

requirement('SM-24', check(observeLife, survivesALostPod));

requirement('SM-25', check(observeLife, leavesForeignObjects));

requirement('SM-26', check(observeRestarts, makesNothingTwice));

requirement('SM-27', check(observeLife, givesIdentityAsAsked));

requirement('SM-28', check(observeManySessions, managesManySessions));

requirement('SM-29', check(observeSuspend, reportsByConditions));
