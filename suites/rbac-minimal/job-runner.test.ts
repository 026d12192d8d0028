import { observeAccounts } from '../../harness/roles/job-runner/scenarios/accounts.ts';
import {
  observeDocumentedRights,
  observeRights,
  observeRules,
  observeSensitiveRights,
  observeSmallestRole,
} from '../../harness/roles/job-runner/scenarios/permissions.ts';
import { observeRefusedCalls, observeStarts } from '../../harness/roles/job-runner/scenarios/withheld-rights.ts';
import { check } from '../../harness/run/worker/check.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import {
  declaresSensitiveRights,
  documentsKnownVerbs,
  documentsOnlyWhatItUses,
  namesWhatIsMissing,
  reportsRefusedCalls,
  staysInItsNamespace,
  usesDeclaredAccounts,
  worksUnderItsRules,
  worksUnderTheSmallestRole,
} from './job-runner.checks.ts';

requirement('RB-20', check(observeDocumentedRights, worksUnderItsRules));

requirement('RB-21', check(observeSmallestRole, documentsOnlyWhatItUses, worksUnderTheSmallestRole));

requirement('RB-22', check(observeSensitiveRights, declaresSensitiveRights));

requirement('RB-23', check(observeRules, documentsKnownVerbs));

requirement('RB-24', check(observeRefusedCalls, reportsRefusedCalls));

requirement('RB-25', check(observeStarts, namesWhatIsMissing));

requirement('RB-26', check(observeRights, staysInItsNamespace));

requirement('RB-31', check(observeAccounts, usesDeclaredAccounts));
