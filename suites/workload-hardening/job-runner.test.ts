import { observeAdmission } from '../../harness/roles/job-runner/scenarios/admission.ts';
import { observeInstallation } from '../../harness/roles/job-runner/scenarios/installation.ts';
import { observePods } from '../../harness/roles/job-runner/scenarios/tasks.ts';
import { check } from '../../harness/run/worker/check.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import {
  hidesSecrets,
  isAdmittedUnderRestricted,
  isInstalledSafely,
  mountsNoApiToken,
  runsUnprivileged,
  setsResources,
  worksWithAnAssignedUid,
} from './job-runner.checks.ts';

requirement('WH-01', check(observePods, runsUnprivileged));

requirement('WH-02', check(observeAdmission, isAdmittedUnderRestricted));

requirement('WH-03', check(observePods, mountsNoApiToken));

requirement('WH-04', check(observePods, hidesSecrets));

requirement('WH-05', check(observePods, setsResources));

requirement('WH-06a', check(observePods, worksWithAnAssignedUid));

requirement('WH-07', check(observeInstallation, isInstalledSafely));
