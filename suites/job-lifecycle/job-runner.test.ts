import { observeBytes } from '../../harness/roles/job-runner/scenarios/bytes.ts';
import {
  observeDisruptions,
  observeRestart,
  observeSignal,
} from '../../harness/roles/job-runner/scenarios/disruptions.ts';
import { observeEnds, observeFaults, observeTimeLimits } from '../../harness/roles/job-runner/scenarios/faults.ts';
import { observeIds, observeLimits } from '../../harness/roles/job-runner/scenarios/ids.ts';
import { observeInterruptions, observeRuns } from '../../harness/roles/job-runner/scenarios/interruptions.ts';
import { observeOtherContainers } from '../../harness/roles/job-runner/scenarios/other-containers.ts';
import {
  observeLongOutput,
  observeMemory,
  observeOutput,
  observeSilence,
} from '../../harness/roles/job-runner/scenarios/output.ts';
import { observeParentPod } from '../../harness/roles/job-runner/scenarios/parent-pod.ts';
import { observePrompts } from '../../harness/roles/job-runner/scenarios/prompts.ts';
import {
  observeBadSettings,
  observePreflight,
  observeRefusals,
} from '../../harness/roles/job-runner/scenarios/refusals.ts';
import {
  observeCleanUp,
  observeResources,
  observeTemplate,
} from '../../harness/roles/job-runner/scenarios/settings.ts';
import { observeRequests, observeTasks } from '../../harness/roles/job-runner/scenarios/tasks.ts';
import { check } from '../../harness/run/worker/check.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import {
  cleansUp,
  keepsToItsOwn,
  namesEveryTask,
  resumesSessions,
  retains,
  runsEachTaskOnce,
} from './job-runner.checks.ts';
import {
  cancels,
  endsWithItsAgent,
  leavesNothingRunning,
  reportsEndsOnce,
  reportsFaults,
  reportsNoInterruptedTaskAsSucceeded,
  timesOut,
  timesOutLate,
  waitsForTheSilent,
} from './job-runner-ends.checks.ts';
import {
  boundsLogs,
  boundsMemory,
  givesLinesWhole,
  streamsOutput,
  survivesDisruptions,
} from './job-runner-output.checks.ts';
import {
  appliesResources,
  deliversOrRefusesLargePrompts,
  deliversPrompts,
  inherits,
  mergesTemplate,
  writesTheSamePod,
} from './job-runner-pods.checks.ts';
import {
  keepsLimits,
  obeysSigterm,
  provesFirst,
  refusesToStart,
  refusesWhatItCannotDo,
  takesUp,
  watchesRatherThanPolls,
} from './job-runner-process.checks.ts';

requirement('JL-20', check(observePreflight, provesFirst));

requirement('JL-21', check(observeRefusals, refusesWhatItCannotDo));

requirement('JL-22', check(observeRuns, runsEachTaskOnce));

requirement('JL-23', check(observeIds, namesEveryTask));

requirement('JL-24', check(observeTasks, keepsToItsOwn));

requirement('JL-25', check(observeTasks, reportsEndsOnce));

requirement('JL-25a', check(observeSilence, waitsForTheSilent));

requirement('JL-26', check(observeFaults, reportsFaults));

requirement('JL-27', check(observeEnds, leavesNothingRunning));

requirement('JL-28', check(observeTasks, cancels));

requirement('JL-29', check(observeTimeLimits, timesOut, timesOutLate));

requirement('JL-30', check(observeCleanUp, cleansUp, retains));

requirement('JL-31', check(observeSignal, obeysSigterm));

requirement('JL-32', check(observeRestart, takesUp));

requirement('JL-33', check(observeLimits, keepsLimits));

requirement('JL-34', check(observeOutput, streamsOutput));

requirement('JL-35', check(observeLongOutput, boundsLogs));

requirement('JL-35a', check(observeMemory, boundsMemory));

requirement('JL-36', check(observeRequests, watchesRatherThanPolls));

requirement('JL-37', check(observeDisruptions, survivesDisruptions));

requirement('JL-38', check(observeTasks, writesTheSamePod));

requirement('JL-39', check(observeTemplate, mergesTemplate));

requirement('JL-40', check(observePrompts, deliversPrompts));

requirement('JL-40a', check(observePrompts, deliversOrRefusesLargePrompts));

requirement('JL-41', check(observeParentPod, resumesSessions));

requirement('JL-42', check(observeResources, appliesResources));

requirement('JL-43', check(observeParentPod, inherits));

requirement('JL-44', check(observeBadSettings, refusesToStart));

requirement('JL-45', check(observeInterruptions, reportsNoInterruptedTaskAsSucceeded));

requirement('JL-46', check(observeOtherContainers, endsWithItsAgent));

requirement('JL-47', check(observeBytes, givesLinesWhole));
