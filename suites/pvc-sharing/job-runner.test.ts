import {
  observeClaim,
  observeMissingClaim,
  observeParentPod,
} from '../../harness/roles/job-runner/scenarios/parent-pod.ts';
import { check } from '../../harness/run/worker/check.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import {
  checksTheClaim,
  keepsAgentsApart,
  keepsSessions,
  leavesTheClaim,
  mountsTheClaim,
  sharesFiles,
} from './job-runner.checks.ts';

requirement('PV-20', check(observeParentPod, mountsTheClaim));

requirement('PV-21', check(observeParentPod, sharesFiles));

requirement('PV-22', check(observeParentPod, keepsAgentsApart));

requirement('PV-23', check(observeMissingClaim, checksTheClaim));

requirement('PV-24', check(observeClaim, leavesTheClaim));

requirement('PV-25', check(observeParentPod, keepsSessions));
