import { observeAdmission } from '../../harness/roles/session-manager/scenarios/admission.ts';
import { observeWork } from '../../harness/roles/session-manager/scenarios/work.ts';
import { check } from '../../harness/run/worker/check.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import { hidesSecrets, isAdmittedUnderRestricted, mountsNoApiToken, setsResources } from './session-manager.checks.ts';

requirement('WH-02m', check(observeAdmission, isAdmittedUnderRestricted));

requirement('WH-03m', check(observeWork, mountsNoApiToken));

requirement('WH-04m', check(observeWork, hidesSecrets));

requirement('WH-05m', check(observeWork, setsResources));
