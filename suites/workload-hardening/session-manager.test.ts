import { observeAdmission } from '../../harness/roles/session-manager/scenarios/admission.ts';
import { observeInstallation } from '../../harness/roles/session-manager/scenarios/installation.ts';
import { observeWork } from '../../harness/roles/session-manager/scenarios/work.ts';
import { observeSessionAdmission } from '../../harness/roles/session-manager/sessions/admission.ts';
import { observeLife } from '../../harness/roles/session-manager/sessions/scenarios.ts';
import { check } from '../../harness/run/worker/check.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import { isInstalledSafely } from './job-runner.checks.ts';
import {
  hidesSecrets,
  isAdmittedUnderRestricted,
  mountsNoApiToken,
  sessionsHideSecrets,
  sessionsMountNoApiToken,
  sessionsSetResources,
  setsResources,
} from './session-manager.checks.ts';

requirement('WH-02m', check(observeAdmission, isAdmittedUnderRestricted));

requirement('WH-03m', check(observeWork, mountsNoApiToken));

requirement('WH-04m', check(observeWork, hidesSecrets));

requirement('WH-05m', check(observeWork, setsResources));

requirement('WH-07m', check(observeInstallation, isInstalledSafely));

requirement('WH-02s', check(observeSessionAdmission, isAdmittedUnderRestricted));

requirement('WH-03s', check(observeLife, sessionsMountNoApiToken));

requirement('WH-04s', check(observeLife, sessionsHideSecrets));

requirement('WH-05s', check(observeLife, sessionsSetResources));
