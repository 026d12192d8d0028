import { observeInstallation } from '../../harness/roles/session-operator/scenarios/installation.ts';
import { check } from '../../harness/run/worker/check.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import { isInstalledSafely } from './job-runner.checks.ts';

requirement('WH-07o', check(observeInstallation, isInstalledSafely));
