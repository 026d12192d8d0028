import {
  observeDocumentedRights,
  observeMissingRights,
  observeServiceAccounts,
  observeSmallestRole,
} from '../../harness/roles/session-manager/scenarios/permissions.ts';
import { observeWork } from '../../harness/roles/session-manager/scenarios/work.ts';
import { observeSessionRights } from '../../harness/roles/session-manager/sessions/permissions.ts';
import { check } from '../../harness/run/worker/check.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import { declaresSensitiveRights, documentsKnownVerbs, staysInItsNamespace } from './job-runner.checks.ts';
import {
  choosesNoServiceAccount,
  documentsOnlyWhatItUses,
  namesMissingRights,
  sessionsDeclareSensitiveRights,
  sessionsDocumentKnownVerbs,
  sessionsNeedNoMore,
  sessionsStayInTheirNamespace,
  sessionsUseWhatIsDocumented,
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

requirement('RB-20s', check(observeSessionRights, sessionsNeedNoMore));

requirement('RB-21s', check(observeSessionRights, sessionsUseWhatIsDocumented));

requirement('RB-22s', check(observeSessionRights, sessionsDeclareSensitiveRights));

requirement('RB-23s', check(observeSessionRights, sessionsDocumentKnownVerbs));

requirement('RB-26s', check(observeSessionRights, sessionsStayInTheirNamespace));
