import { expectNone, type Finding } from '../../harness/core/findings.ts';
import {
  boundsLogs,
  boundsMemory,
  deliversOrRefusesLargePrompts,
  deliversPrompts,
  inherits,
  keepsLimits,
  leavesNothingBehindFaults,
  livesThroughTroubles,
  mergesTemplate,
  namesEveryTask,
  obeysSigterm,
  provesFirst,
  refusesToStart,
  reportsFaults,
  resumesSessions,
  streamsOutput,
  takesUp,
} from '../../harness/roles/job-runner/checks/parts.ts';
import {
  appliesOwnDefaults,
  appliesResourceSettings,
  appliesResources,
  cancels,
  cleansUp,
  keepsJobs,
  keepsToItsOwn,
  leavesNothingRunning,
  reportsEndsOnce,
  runsEachTaskOnce,
  timesOut,
  waitsForTheSilent,
  watchesRatherThanPolls,
  writesTheSamePod,
} from '../../harness/roles/job-runner/checks/tasks.ts';
import { needsCapability, type RunnerRecord } from '../../harness/roles/job-runner/launch.ts';
import { observeSignal, observeTroubles } from '../../harness/roles/job-runner/scenarios/disruptions.ts';
import {
  limitsBySettings,
  observeFaults,
  observeLateTimeout,
  observeTimeout,
} from '../../harness/roles/job-runner/scenarios/faults.ts';
import { observeIds, observeLimits } from '../../harness/roles/job-runner/scenarios/ids.ts';
import {
  observeLongOutput,
  observeMemory,
  observeOutput,
  observeSilence,
  SILENT_SECONDS,
} from '../../harness/roles/job-runner/scenarios/output.ts';
import { observeDeployment } from '../../harness/roles/job-runner/scenarios/parent-pod.ts';
import { observePrompts, type PromptsRecord } from '../../harness/roles/job-runner/scenarios/prompts.ts';
import { observeBadSettings, observeRefusals } from '../../harness/roles/job-runner/scenarios/refusals.ts';
import {
  observeDefaultResources,
  observeResourceSettings,
  observeRetained,
  observeTemplate,
} from '../../harness/roles/job-runner/scenarios/settings.ts';
import { observeTasks, summarise, type TasksRecord } from '../../harness/roles/job-runner/scenarios/tasks.ts';
import { jobRunnerTarget } from '../../harness/roles/job-runner/target.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';

/** A row that is judged from the tasks of one runner, which all such rows share. */
async function judgeTasks(
  t: RequirementContext,
  judge: (record: TasksRecord, target: ReturnType<typeof jobRunnerTarget>) => Finding[],
): Promise<void> {
  const record = await observeTasks(t);
  t.evidence('tasks', summarise(record));
  expectNone(judge(record, jobRunnerTarget(t)), record.stalls);
}

requirement('JL-22', (t) => judgeTasks(t, runsEachTaskOnce));

requirement('JL-24', (t) => judgeTasks(t, keepsToItsOwn));

requirement('JL-25', (t) => judgeTasks(t, reportsEndsOnce));

requirement('JL-28', async (t) => {
  needsCapability(t, 'cancel');
  await judgeTasks(t, cancels);
});

requirement('JL-29', async (t) => {
  const target = needsCapability(t, 'timeout');
  // Both at once: the second takes its time.
  const late = observeLateTimeout(t);
  late.catch(() => undefined);
  if (limitsBySettings(target))
    await judgePart(
      t,
      observeTimeout,
      one((record) => timesOut(record)),
    );
  else await judgeTasks(t, (record) => timesOut(record));
  await judgePart(
    t,
    () => late,
    one((record) => timesOut(record, ', when its pod was gone and its Job did not yet say why')),
  );
});

requirement('JL-30', async (t) => {
  if (jobRunnerTarget(t).documented.cleanUp.retain === 'settings') {
    await judgePart(
      t,
      observeRetained,
      one((record, target) => keepsJobs(record, record.tasks, target)),
    );
  }
  await judgeTasks(t, cleansUp);
});

requirement('JL-36', async (t) => {
  const { requests } = await observeTasks(t);
  t.evidence('requests', requests.length);
  await judgeTasks(t, watchesRatherThanPolls);
});

requirement('JL-38', (t) => judgeTasks(t, writesTheSamePod));

requirement('JL-42', async (t) => {
  const { requests, limits, overriddenBy, defaults } = jobRunnerTarget(t).documented.resources;
  if (requests === undefined && limits === undefined && overriddenBy.length === 0) {
    t.notApplicable(
      'the target file documents neither default resources nor who overrides them (`documented.resources`)',
    );
  }
  if (overriddenBy.includes('settings') && !overriddenBy.includes('task')) {
    await judgePart(t, observeResourceSettings, one(appliesResourceSettings));
  }
  if (defaults !== undefined) {
    await judgePart(t, () => observeDefaultResources(t, defaults.settings), one(appliesOwnDefaults));
  }
  await judgeTasks(t, appliesResources);
});

/** A row that is judged from a part of its own. */
async function judgePart<R extends RunnerRecord>(
  t: RequirementContext,
  observe: (t: RequirementContext) => Promise<R | R[]>,
  judge: (observed: R[], target: ReturnType<typeof jobRunnerTarget>) => Finding[],
): Promise<void> {
  const records = [await observe(t)].flat() as R[];
  t.evidence('runners', records.map(summarise));
  expectNone(
    judge(records, jobRunnerTarget(t)),
    records.flatMap(({ stalls }) => stalls),
  );
}

/** The only record of a part that has one. */
const one =
  <R extends RunnerRecord>(judge: (record: R, target: ReturnType<typeof jobRunnerTarget>) => Finding[]) =>
  ([record]: R[], target: ReturnType<typeof jobRunnerTarget>): Finding[] =>
    record === undefined ? ['nothing was observed'] : judge(record, target);

requirement('JL-20', async (t) => {
  needsCapability(t, 'preflight');
  const [good, refusals] = await Promise.all([observeTasks(t), observeRefusals(t)]);
  t.evidence('runners', [good, ...refusals].map(summarise));
  expectNone(provesFirst(good, refusals), good.stalls);
});

requirement('JL-21', async (t) => {
  needsCapability(t, 'preflight');
  await judgePart(t, observeRefusals, refusesToStart);
});

requirement('JL-23', async (t) => {
  await judgePart(
    t,
    async () => {
      const record = await observeIds(t);
      t.evidence('seed of fast-check', record.seed);
      return record;
    },
    one(namesEveryTask),
  );
});

requirement('JL-26', (t) => judgePart(t, observeFaults, reportsFaults));

requirement('JL-25a', (t) =>
  judgePart(
    t,
    observeSilence,
    one((record) => waitsForTheSilent(record, SILENT_SECONDS)),
  ),
);

requirement('JL-27', async (t) => {
  const [tasks, faults] = await Promise.all([observeTasks(t), observeFaults(t)]);
  t.evidence('runners', [tasks, ...faults].map(summarise));
  expectNone(
    [...leavesNothingRunning(tasks), ...leavesNothingBehindFaults(faults)],
    [tasks, ...faults].flatMap(({ stalls }) => stalls),
  );
});

requirement('JL-31', async (t) => {
  if (jobRunnerTarget(t).documented.onSigterm.jobs === 'undocumented')
    t.notApplicable('the target file says that it documents nothing of SIGTERM (`onSigterm.jobs: undocumented`)');
  await judgePart(t, observeSignal, one(obeysSigterm));
});

requirement('JL-32', async (t) => {
  const { onSigterm, reattaches } = jobRunnerTarget(t).documented;
  if (onSigterm.jobs !== 'preserve')
    t.notApplicable(`the target file documents \`onSigterm.jobs: ${onSigterm.jobs}\`: nothing is preserved`);
  if (!reattaches) t.notApplicable('the target file documents `reattaches: false`');
  await judgePart(t, observeSignal, one(takesUp));
});

requirement('JL-33', async (t) => {
  if (jobRunnerTarget(t).documented.limits.length === 0)
    t.notApplicable('the target file documents no limit (`documented.limits`)');
  await judgePart(
    t,
    async () => {
      const records = await observeLimits(t);
      t.evidence(
        'seeds of fast-check',
        records.map(({ seed }) => seed),
      );
      return records;
    },
    keepsLimits,
  );
});

requirement('JL-34', async (t) => {
  needsCapability(t, 'stream');
  await judgePart(t, observeOutput, one(streamsOutput));
});

requirement('JL-35', async (t) => {
  const { capabilities } = jobRunnerTarget(t);
  const { logs } = await observeLongOutput(t);
  if (logs.length === 0 && !capabilities.includes('stream')) {
    t.notApplicable(
      'the target file does not declare the capability `stream`, and the runner read no log of a task that failed',
    );
  }
  await judgePart(t, observeLongOutput, one(boundsLogs));
});

requirement('JL-35a', async (t) => {
  const record = (await observeMemory(t)) ?? t.notApplicable('the memory of the runner cannot be read where it runs');
  const { printed, memory, logs } = record;
  t.evidence('memory', { printed, ...memory, read: logs.reduce((sum, { bytes }) => sum + bytes, 0) });
  await judgePart(t, async () => record, one(boundsMemory));
});

requirement('JL-37', (t) => judgePart(t, observeTroubles, one(livesThroughTroubles)));

requirement('JL-39', async (t) => {
  needsCapability(t, 'pod-template');
  await judgePart(t, observeTemplate, one(mergesTemplate));
});

const judgePrompts = async (t: RequirementContext, judge: (record: PromptsRecord) => Finding[]): Promise<void> => {
  if (jobRunnerTarget(t).prompt === 'none') {
    t.notApplicable('the target file says `prompt: none`: the runner does not deliver prompts');
  }
  await judgePart(
    t,
    async () => {
      const record = await observePrompts(t);
      t.evidence('seed of fast-check', record.seed);
      t.evidence('prompts', record.prompts);
      return record;
    },
    one(judge),
  );
};

requirement('JL-40', (t) => judgePrompts(t, deliversPrompts));

requirement('JL-40a', (t) => judgePrompts(t, deliversOrRefusesLargePrompts));

requirement('JL-44', async (t) => {
  const { contradictions, unknownKeys } = jobRunnerTarget(t).documented;
  if (contradictions.length === 0 && unknownKeys === 'ignored') {
    t.notApplicable(
      'the target file documents no contradicting settings (`documented.contradictions`) and that unknown keys are ignored',
    );
  }
  await judgePart(t, observeBadSettings, refusesToStart);
});

requirement('JL-41', async (t) => {
  needsCapability(t, 'session');
  await judgePart(t, observeDeployment, one(resumesSessions));
});

requirement('JL-43', async (t) => {
  needsCapability(t, 'inherit');
  await judgePart(t, observeDeployment, one(inherits));
});
