import {
  observeDocumentedRights,
  observeMissingRights,
  observeSmallestRole,
  observeWork,
} from '../../harness/roles/session-operator/scenarios/permissions.ts';
import { check } from '../../harness/run/worker/check.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import { declaresSensitiveRights, documentsKnownVerbs, staysInItsNamespace } from './job-runner.checks.ts';
import {
  documentsOnlyWhatItUses,
  reportsRefusals,
  worksUnderItsRules,
  worksUnderTheSmallestRole,
} from './session-operator.checks.ts';

requirement('RB-20o', check(observeDocumentedRights, worksUnderItsRules));

requirement('RB-21o', check(observeSmallestRole, documentsOnlyWhatItUses, worksUnderTheSmallestRole));

requirement('RB-22o', check(observeWork, declaresSensitiveRights));

requirement('RB-23o', check(observeWork, documentsKnownVerbs));

requirement('RB-24o', check(observeMissingRights, reportsRefusals));

requirement('RB-26o', check(observeWork, staysInItsNamespace));
