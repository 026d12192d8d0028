import type { PodFault } from '../../../role-data/job-runner/target-file.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { Target } from '../../../targets/load.ts';
import type { Task } from '../driver.ts';
import { type LaunchedRunner, needsReady, withJobRunner, withReadyJobRunner } from '../launch.ts';
import {
  FAULT_SECONDS,
  GRACE_SECONDS,
  isGone,
  isOver,
  podsOf,
  type RunnerRecord,
  type RunnersRecord,
  runsOrIsOver,
  SLACK_SECONDS,
  type SubmittedTask,
  TASK_SECONDS,
} from '../record.ts';
import { jobRunnerTarget } from '../target.ts';
import { evict } from './evict.ts';
import { extraContainer } from './extra-container.ts';
import { ENDLESS, limitsTasks, shareTasks, TIME_LIMIT_SECONDS, untilNothingRuns, withEvidence } from './tasks.ts';

export interface FaultRecord extends RunnerRecord {
  /** Since when each task cannot succeed. */
  faults: { fault: PodFault; label: string; since: number }[];
}

const NO_SUCH_IMAGE = 'registry.invalid/conformance/none:1';
const NO_SUCH_OBJECT = 'conformance-missing';
const SMALL = { requests: { memory: '32Mi' }, limits: { memory: '64Mi' } };
const TOO_LARGE = { WORKLOAD_MEMORY_MIB: '160' };
/** More than any node has. */
const TOO_MUCH = { requests: { cpu: '1000' }, limits: { cpu: '1000' } };

/** {@link shareFaults}, with how each task went as evidence. */
export async function observeFaults(t: RequirementContext): Promise<RunnersRecord<FaultRecord>> {
  return withEvidence(t, jobRunnerTarget(t), await shareFaults(t));
}

/** What was seen of tasks that ended in any way, for what they leave behind. */
export interface EndsRecord extends RunnersRecord {
  tasks: RunnerRecord;
  faults: FaultRecord[];
}

/** The usual tasks and those that met a fault. */
export async function observeEnds(t: RequirementContext): Promise<EndsRecord> {
  const [tasks, faults] = await Promise.all([shareTasks(t), shareFaults(t)]);
  return { ...withEvidence<RunnerRecord>(t, jobRunnerTarget(t), [tasks, ...faults]), tasks, faults };
}

/**
 * Each fault that can be brought about by what the target declares, one task each; the runner is watched until it has
 * reported all.
 */
function shareFaults(t: RequirementContext): Promise<FaultRecord[]> {
  return t.sharedByAllFiles('job runner: faults', async () => {
    const target = jobRunnerTarget(t);
    const byTask = withReadyJobRunner(t, { purpose: 'faults' }, (runner) => provokeByTask(t, runner));
    const templates = target.capabilities.includes('pod-template')
      ? templateFaults(target, await t.image('workload'))
      : [];
    const byTemplate = templates.map(({ fault, podTemplate, env }) =>
      withJobRunner(t, { purpose: `fault-${fault}`, settings: { podTemplate } }, async (runner) => {
        // A preflight may find out that no pod of the template can run: then no task comes to meet the fault, and no
        // work was accepted.
        const seen = runner.record();
        if (seen.readiness?.ready !== true && target.capabilities.includes('preflight')) {
          return { ...seen, faults: [] };
        }
        needsReady(seen);
        const { at } = await runner.submit(fault, env === undefined ? {} : { env });
        return untilReported(runner, [{ fault, label: fault, since: at }]);
      }),
    );
    const bySettings = limitsBySettings(target) ? [shareTimeout(t)] : [];
    return Promise.all([byTask, ...byTemplate, ...bySettings]);
  });
}

/** True where one time limit holds for all tasks. */
export function limitsBySettings({ capabilities, documented }: Target<'job-runner'>): boolean {
  return capabilities.includes('timeout') && documented.timeout === 'settings';
}

/** A task that exceeds its time limit, and one whose cause becomes known late. */
export interface TimeLimitsRecord extends RunnersRecord {
  inTime: RunnerRecord;
  late: RunnerRecord;
}

/** Both at once: the second takes its time. */
export async function observeTimeLimits(t: RequirementContext): Promise<TimeLimitsRecord> {
  const target = jobRunnerTarget(t);
  const [inTime, late] = await Promise.all([
    limitsBySettings(target) ? shareTimeout(t) : shareTasks(t),
    shareLateTimeout(t),
  ]);
  return { ...withEvidence<RunnerRecord>(t, target, [inTime, late]), inTime, late };
}

/** A task that goes on for ever, under settings that give all tasks a time limit. */
function shareTimeout(t: RequirementContext): Promise<FaultRecord> {
  return t.shared('job runner: time limit of the settings', () =>
    withReadyJobRunner(t, { purpose: 'timeout', settings: { timeoutSeconds: TIME_LIMIT_SECONDS } }, async (runner) => {
      const { at } = await runner.submit('runs-out', { env: ENDLESS });
      return untilReported(runner, [{ fault: 'deadline', label: 'runs-out', since: at + TIME_LIMIT_SECONDS * 1000 }]);
    }),
  );
}

/** Long enough that the agent runs before it is over. */
const LATE_LIMIT_SECONDS = 15;
/** So long before the grace period of the pod is over, reads of Jobs begin to return their earlier state. */
const BEFORE_GONE_SECONDS = 3;
/** For so long a runner has no more than a pod that is gone; some look after their pods every half minute. */
const UNKNOWN_SECONDS = 40;

/**
 * A time limit whose cause becomes known late: the agent takes the whole grace period, and when its pod is gone, reads
 * of the Job still return its earlier state, as where the controller has not come to it. The pods of a Job have always
 * ended before its status says that its time is over; how long before is the controller's affair, and a runner that
 * makes up its mind in between is right or wrong by luck.
 */
function shareLateTimeout(t: RequirementContext): Promise<RunnerRecord> {
  const target = jobRunnerTarget(t);
  const limit = { timeoutSeconds: LATE_LIMIT_SECONDS };
  return t.shared('job runner: late time limit', () =>
    withReadyJobRunner(
      t,
      { purpose: 'late-timeout', settings: limitsBySettings(target) ? limit : {} },
      async (runner) => {
        const env = { ...ENDLESS, WORKLOAD_ON_TERM: 'ignore' };
        const task = await runner.submit('runs-out', { env, ...(limitsTasks(target) ? limit : {}) });
        const isOverOrGone = (): boolean => isOver(runner, task) || isGone(runner, task);
        const killedAt = await runner.find(
          () => (isOverOrGone() ? Date.now() : goneBy(runner, task)),
          TASK_SECONDS + LATE_LIMIT_SECONDS,
        );
        if (killedAt !== undefined) {
          await runner.until(isOverOrGone, (killedAt - Date.now()) / 1000 - BEFORE_GONE_SECONDS);
          await runner.access.setFaults([{ kind: 'stale', resources: ['jobs'] }]);
          await runner.until(isOverOrGone, BEFORE_GONE_SECONDS + SLACK_SECONDS);
          await runner.until(() => isOver(runner, task), UNKNOWN_SECONDS);
          await runner.access.setFaults([]);
        }
        await runner.until(() => isOver(runner, task), faultSeconds(target, 'deadline') + SLACK_SECONDS);
        return runner.record();
      },
    ),
  );
}

/** When the grace period of a task's pod is over, by the harness's own clock. */
function goneBy(runner: LaunchedRunner, { marker }: SubmittedTask): number | undefined {
  const deletion = runner.objects.find(
    ({ kind, markers, object }) =>
      kind === 'Pod' && markers.includes(marker) && object.metadata?.deletionTimestamp !== undefined,
  );
  return deletion === undefined
    ? undefined
    : deletion.at + (deletion.object.metadata?.deletionGracePeriodSeconds ?? 0) * 1000;
}

async function provokeByTask(t: RequirementContext, runner: LaunchedRunner): Promise<FaultRecord> {
  const { documented } = runner.target;
  const faults: FaultRecord['faults'] = [];
  const provoke = async (fault: PodFault, task: Partial<Task>): Promise<SubmittedTask> => {
    const submitted = await runner.submit(fault, task);
    faults.push({ fault, label: fault, since: submitted.at });
    return submitted;
  };
  await provoke('image-pull', { image: NO_SUCH_IMAGE });
  if (documented.resources.overriddenBy.includes('task')) {
    await provoke('unschedulable', { resources: TOO_MUCH });
    await provoke('out-of-memory', {
      env: TOO_LARGE,
      resources: SMALL,
    });
  }
  if (limitsTasks(runner.target)) {
    const { at } = await provoke('deadline', { env: { WORKLOAD_SLEEP_SECONDS: '600' }, timeoutSeconds: 3 });
    for (const fault of faults) {
      if (fault.fault === 'deadline') {
        fault.since = at + 3000;
      }
    }
  }
  const evicted = await runner.submit('eviction', { env: { WORKLOAD_SLEEP_SECONDS: '600' } });
  await runner.until(() => runsOrIsOver(runner, evicted), TASK_SECONDS);
  const [pod] = podsOf(runner, evicted);
  if (pod !== undefined) {
    t.progress(`evicting ${pod.name}`);
    await evict(runner, evicted);
    faults.push({ fault: 'eviction', label: 'eviction', since: Date.now() });
    // Its Job says that it has failed when the pod is gone, or a moment before: who asks the pod why is not to find it
    // by luck.
    await runner.access.setFaults([{ kind: 'stale', resources: ['jobs'] }]);
    await runner.until(() => isGone(runner, evicted), GRACE_SECONDS + SLACK_SECONDS);
    await runner.access.setFaults([]);
  }
  return untilReported(runner, faults);
}

async function untilReported(runner: LaunchedRunner, faults: FaultRecord['faults']): Promise<FaultRecord> {
  await Promise.all(
    faults.map(async (entry) => {
      const task = runner.tasks.find(({ label }) => label === entry.label);
      if (task === undefined) {
        return;
      }
      const isShown = (): boolean => isOver(runner, task) || shownAt(runner, entry.fault, task) !== undefined;
      await runner.until(isShown, TASK_SECONDS);
      // Until then it is the cluster that takes its time.
      entry.since = Math.max(entry.since, shownAt(runner, entry.fault, task) ?? 0);
      const limit = entry.since + (faultSeconds(runner.target, entry.fault) + SLACK_SECONDS) * 1000;
      await runner.until(() => isOver(runner, task), (limit - Date.now()) / 1000);
    }),
  );
  // A pod that is left behind is given the time that it may take.
  await untilNothingRuns(runner);
  return { ...runner.record(), faults };
}

/**
 * What the pod's status says of each fault when it has happened; of a volume that is missing no more than that the pod
 * has a node.
 */
const SHOWN: Record<PodFault, RegExp> = {
  'image-pull': /"reason":"(ErrImagePull|ImagePullBackOff)"/,
  unschedulable: /"reason":"Unschedulable"/,
  config: /"reason":"CreateContainerConfigError"/,
  mount: /"type":"PodReadyToStartContainers"|"status":"True","type":"PodScheduled"/,
  init: /"terminated":/,
  'out-of-memory': /"terminated":/,
  deadline: /"deletionTimestamp":/,
  eviction: /"deletionTimestamp":/,
};

function shownAt(runner: LaunchedRunner, fault: PodFault, { marker }: SubmittedTask): number | undefined {
  return runner.objects.find(
    ({ kind, markers, object }) =>
      kind === 'Pod' &&
      markers.includes(marker) &&
      SHOWN[fault].test(JSON.stringify([object.status, { deletionTimestamp: object.metadata?.deletionTimestamp }])),
  )?.at;
}

export function faultSeconds(target: Target<'job-runner'>, fault: PodFault): number {
  return target.documented.faultSeconds[fault] ?? FAULT_SECONDS;
}

function templateFaults(
  { container: name, documented }: Target<'job-runner'>,
  image: string,
): { fault: PodFault; podTemplate: Record<string, unknown>; env?: Record<string, string> }[] {
  const missing = { name: NO_SUCH_OBJECT };
  const byTask = documented.resources.overriddenBy.includes('task');
  return [
    ...(byTask
      ? []
      : ([
          {
            fault: 'unschedulable',
            podTemplate: { nodeSelector: { 'conformance.test/no-such-node': 'true' }, containers: [{ name }] },
          },
          {
            fault: 'out-of-memory',
            podTemplate: { containers: [{ name, resources: SMALL }] },
            env: TOO_LARGE,
          },
        ] as const)),
    {
      fault: 'config',
      podTemplate: {
        containers: [{ name, env: [{ name: 'MISSING', valueFrom: { secretKeyRef: { ...missing, key: 'none' } } }] }],
      },
    },
    {
      fault: 'mount',
      podTemplate: {
        containers: [{ name, volumeMounts: [{ name: 'missing', mountPath: '/missing' }] }],
        volumes: [{ name: 'missing', configMap: missing }],
      },
    },
    {
      fault: 'init',
      podTemplate: {
        containers: [{ name }],
        initContainers: [extraContainer('fails', image, 'exit 3')],
      },
    },
  ];
}
