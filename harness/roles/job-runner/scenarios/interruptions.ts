/** Tasks that are ended from outside, and whose agents end with 0 on SIGTERM (JL-45). */

import type { KubernetesObject } from '@kubernetes/client-node';
import { HarnessError } from '../../../core/errors.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import { type LaunchedRunner, withReadyJobRunner } from '../launch.ts';
import {
  allOver,
  type ContainerStatus,
  endOfPod,
  GRACE_SECONDS,
  isOver,
  isRunning,
  podsOf,
  type RunnerRecord,
  type RunnersRecord,
  runsOrIsOver,
  SECOND_REPORT_SECONDS,
  SLACK_SECONDS,
  type SubmittedTask,
  statusOf,
  TASK_SECONDS,
} from '../record.ts';
import { jobRunnerTarget } from '../target.ts';
import { evict } from './evict.ts';
import { faultSeconds, limitsBySettings } from './faults.ts';
import { limitsTasks, shareTasks, withEvidence } from './tasks.ts';

/** What ends a task from outside, as a sentence has it. */
export const INTERRUPTIONS = [
  'time limit',
  'eviction',
  'eviction by its node',
  'cancellation',
  'shutdown of its node',
] as const;
export type Interruption = (typeof INTERRUPTIONS)[number];

export interface InterruptionRecord extends RunnerRecord {
  /** By the task's label; those that were not brought about are left out. */
  interrupted: { label: string; by: Interruption }[];
  /** Why an interruption was not brought about. */
  notTried: string[];
}

/** An agent that works until SIGTERM, and has then saved what there is. */
const SAVES_ITS_WORK = { WORKLOAD_LINES: '1', WORKLOAD_SLEEP_SECONDS: '600', WORKLOAD_TERM_EXIT_CODE: '0' };

/** Long enough that the agent runs before the limit. */
const LIMIT_SECONDS = 15;

/** One task for each interruption that can be brought about. */
function shareInterruptions(t: RequirementContext): Promise<InterruptionRecord[]> {
  return t.shared('job runner: interruptions', () =>
    Promise.all([
      withReadyJobRunner(t, { purpose: 'interruptions' }, (runner) => interruptEach(t, runner)),
      ...(limitsBySettings(jobRunnerTarget(t)) ? [limitBySettings(t)] : []),
    ]),
  );
}

/** What was seen of the usual tasks, and of those that were ended from outside. */
export interface RunsRecord extends RunnersRecord {
  tasks: RunnerRecord;
  interrupted: RunnerRecord[];
}

/** The same, alongside the usual tasks: what was ended from outside must not run again either. */
export async function observeRuns(t: RequirementContext): Promise<RunsRecord> {
  const [tasks, interrupted] = await Promise.all([shareTasks(t), shareInterruptions(t)]);
  return { ...withEvidence<RunnerRecord>(t, jobRunnerTarget(t), [tasks, ...interrupted]), tasks, interrupted };
}

/** {@link shareInterruptions}, with how each task went, and what was not tried, as evidence. */
export async function observeInterruptions(t: RequirementContext): Promise<RunnersRecord<InterruptionRecord>> {
  const target = jobRunnerTarget(t);
  const records = await shareInterruptions(t);
  const notTried = records.flatMap((record) => record.notTried);
  if (notTried.length > 0) {
    t.evidence('not exercised', notTried);
  }
  return withEvidence(t, target, records);
}

function limitBySettings(t: RequirementContext): Promise<InterruptionRecord> {
  const options = { purpose: 'interruption-limit', settings: { timeoutSeconds: LIMIT_SECONDS } };
  return withReadyJobRunner(t, options, async (runner) => {
    await runner.submit('time-limit', { env: SAVES_ITS_WORK });
    await untilReported(runner, LIMIT_SECONDS);
    return { ...runner.record(), interrupted: [{ label: 'time-limit', by: 'time limit' }], notTried: [] };
  });
}

async function interruptEach(t: RequirementContext, runner: LaunchedRunner): Promise<InterruptionRecord> {
  const { target } = runner;
  const interrupted: InterruptionRecord['interrupted'] = [];
  const notTried: string[] = [];
  const hasLimit = limitsTasks(target);
  if (hasLimit) {
    await runner.submit('time-limit', { env: SAVES_ITS_WORK, timeoutSeconds: LIMIT_SECONDS });
    interrupted.push({ label: 'time-limit', by: 'time limit' });
  }
  const evicted = await runner.submit('evicted', { env: SAVES_ITS_WORK });
  const byItsNode = [];
  for (const end of KUBELET_ENDS) {
    byItsNode.push({ end, task: await runner.submit(end.label, { env: SAVES_ITS_WORK }) });
  }
  const cancelled = target.capabilities.includes('cancel')
    ? await runner.submit('cancelled', { env: SAVES_ITS_WORK })
    : undefined;
  if (await agentIsAtWork(runner, evicted)) {
    t.progress('evicting a pod whose agent ends with 0 on SIGTERM');
    await evict(runner, evicted);
    interrupted.push({ label: 'evicted', by: 'eviction' });
  }
  for (const { end, task } of byItsNode) {
    if (!(await agentIsAtWork(runner, task))) {
      continue;
    }
    const refused = await reportEnd(runner, task, end);
    if (refused === undefined) {
      interrupted.push({ label: end.label, by: end.by });
    } else {
      notTried.push(`the ${end.by}: ${refused}`);
    }
  }
  if (cancelled !== undefined && (await agentIsAtWork(runner, cancelled))) {
    await runner.cancel('cancelled');
    interrupted.push({ label: 'cancelled', by: 'cancellation' });
  }
  const without = notTried.length === 0 ? [] : byItsNode.map(({ task }) => task);
  await untilReported(runner, hasLimit ? LIMIT_SECONDS : 0, without);
  return { ...runner.record(), interrupted, notTried };
}

/** True when the agent has printed its line, from which on it obeys SIGTERM; false where it is over before that. */
async function agentIsAtWork(runner: LaunchedRunner, task: SubmittedTask): Promise<boolean> {
  await runner.until(() => runsOrIsOver(runner, task), TASK_SECONDS);
  const [pod] = podsOf(runner, task);
  if (pod === undefined || !isRunning(runner, task)) {
    return false;
  }
  const { namespace, target } = runner;
  const path = `/api/v1/namespaces/${namespace}/pods/${pod.name}/log?container=${target.container}&follow=true`;
  const reading = new AbortController();
  const deadline = AbortSignal.any([reading.signal, AbortSignal.timeout(TASK_SECONDS * 1000)]);
  const response = await runner.cluster.request(path, { signal: deadline });
  try {
    for await (const chunk of response.body ?? []) {
      if ((chunk as Uint8Array).length > 0) {
        return !isOver(runner, task);
      }
    }
    return false;
  } finally {
    reading.abort();
  }
}

/** How a kubelet ends a pod of its own accord, as it says in the pod's status. */
interface KubeletEnd {
  /** Of the task. */
  label: string;
  by: Interruption;
  reason: string;
  message: string;
}

/** Kubernetes: Node Shutdowns; Node-pressure Eviction. */
export const KUBELET_ENDS: readonly KubeletEnd[] = [
  {
    label: 'shut-down',
    by: 'shutdown of its node',
    reason: 'Terminated',
    message: 'Pod was terminated in response to imminent node shutdown.',
  },
  {
    label: 'low-on-memory',
    by: 'eviction by its node',
    reason: 'Evicted',
    message: 'The node was low on resource: memory. Threshold quantity: 100Mi, available: 93Mi. ',
  },
];

/**
 * Writes into the pod's status what a kubelet writes when it has ended the pod and the agent has ended with 0: the pod
 * has failed, and stays. The kubelet ends the agent by SIGTERM then, since no pod comes back from a terminal phase.
 *
 * @returns the API server's message where the harness may not write there
 */
async function reportEnd(runner: LaunchedRunner, task: SubmittedTask, end: KubeletEnd): Promise<string | undefined> {
  const [pod] = podsOf(runner, task);
  const path = `/api/v1/namespaces/${runner.namespace}/pods/${pod?.name}/status`;
  const now = (await (await runner.cluster.request(path)).json()) as KubernetesObject;
  const response = await runner.cluster.request(path, {
    method: 'PATCH',
    headers: { 'content-type': 'application/strategic-merge-patch+json' },
    body: JSON.stringify({ status: statusByKubelet(now, runner.target.container, new Date(), end) }),
  });
  const answer = await response.text();
  if (response.status === 403) {
    return (JSON.parse(answer) as { message?: string }).message ?? '403';
  }
  if (response.status !== 200) {
    throw new HarnessError(`the status of ${pod?.name} was not written: ${response.status}: ${answer.slice(0, 300)}`);
  }
  return undefined;
}

/** The status of a pod that runs, as it is when its kubelet has ended it. */
export function statusByKubelet(
  pod: KubernetesObject,
  container: string,
  at: Date,
  { reason, message }: Pick<KubeletEnd, 'reason' | 'message'>,
): object {
  const finishedAt = `${at.toISOString().slice(0, 19)}Z`;
  const ended = (status: ContainerStatus & { containerID?: string }): object => ({
    ...status,
    ready: false,
    started: false,
    state: {
      terminated: {
        exitCode: 0,
        reason: 'Completed',
        startedAt: (status.state?.running as { startedAt?: string } | undefined)?.startedAt ?? finishedAt,
        finishedAt,
        ...(status.containerID === undefined ? {} : { containerID: status.containerID }),
      },
    },
  });
  return {
    phase: 'Failed',
    reason,
    message,
    conditions: [
      {
        type: 'DisruptionTarget',
        status: 'True',
        reason: 'TerminationByKubelet',
        message,
        lastTransitionTime: finishedAt,
      },
    ],
    containerStatuses: (statusOf(pod).containerStatuses ?? []).map((status) =>
      status.name === container ? ended(status) : status,
    ),
  };
}

/**
 * Waits until every task is over, or its documented time has passed; then until the agents have ended, too, and for a
 * report that comes of that.
 *
 * @param without tasks that nothing may end
 */
async function untilReported(
  runner: LaunchedRunner,
  limitSeconds: number,
  without: readonly SubmittedTask[] = [],
): Promise<void> {
  const { target } = runner;
  const seconds = Math.max(faultSeconds(target, 'eviction'), faultSeconds(target, 'deadline'));
  const tasks = runner.tasks.filter((task) => !without.includes(task));
  await runner.until(() => allOver({ events: runner.events, tasks }), limitSeconds + seconds + 2 * SLACK_SECONDS);
  // An agent may end when its task was reported to have: what the runner makes of that code is the question.
  const haveEnded = (): boolean =>
    tasks.every((task) => podsOf(runner, task).every((pod) => endOfPod(runner, pod) !== undefined));
  await runner.until(haveEnded, GRACE_SECONDS + SLACK_SECONDS);
  await runner.watchFor(SECOND_REPORT_SECONDS);
}
