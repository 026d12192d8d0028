import {
  observeDocumentedRights,
  observeMissingRights,
  observeServiceAccounts,
  observeSmallestRole,
} from '../../harness/roles/session-manager/scenarios/permissions.ts';
import { observeWork } from '../../harness/roles/session-manager/scenarios/work.ts';
import { check } from '../../harness/run/worker/check.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import { declaresSensitiveRights, documentsKnownVerbs, staysInItsNamespace } from './job-runner.checks.ts';
import {
  choosesNoServiceAccount,
  documentsOnlyWhatItUses,
  namesMissingRights,
  tellsRefusals,
  worksUnderItsRules,
  worksUnderTheSmallestRole,
} from './session-manager.checks.ts';

requirement('RB-20m', check(observeDocumentedRights, worksUnderItsRules));

requirement('RB-21m', check(observeSmallestRole, documentsOnlyWhatItUses, worksUnderTheSmallestRole));

requirement('RB-22m', check(observeWork, declaresSensitiveRights));

requirement('RB-23m', check(observeWork, documentsKnownVerbs));

requirement('RB-24m', check(observeMissingRights, tellsRefusals));

requirement('RB-25m', check(observeMissingRights, namesMissingRights));

requirement('RB-26m', check(observeWork, staysInItsNamespace));

requirement('RB-31m', check(observeServiceAccounts, choosesNoServiceAccount));
