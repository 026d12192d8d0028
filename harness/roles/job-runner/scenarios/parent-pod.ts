/** Tasks of a runner that takes things from the pod it runs in, the parent pod (JL-41, JL-43, PV-20 to PV-25). */

import { randomBytes } from 'node:crypto';
import type { KubernetesObject } from '@kubernetes/client-node';
import { NotTestable } from '../../../core/errors.ts';
import type { Finding } from '../../../core/findings.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import { type LaunchedRunner, withJobRunner, withReadyJobRunner } from '../launch.ts';
import {
  aboutOutcome,
  allOver,
  describeOutcome,
  endsOf,
  escaped,
  LAST_OUTPUT_SECONDS,
  leftOvers,
  type RunnerRecord,
  SLACK_SECONDS,
  saidBy,
  specsOfTask,
  summarise,
  TASK_SECONDS,
  taskNamed,
} from '../record.ts';
import { jobRunnerTarget } from '../target.ts';
import { logOf } from './logs.ts';
import type { RefusalRecord } from './refusals.ts';

export interface ParentPodRecord extends RunnerRecord {
  /** The parent pod, as it was created. */
  pod: KubernetesObject;
  /** The claim, as it was seen last; absent where none is shared. */
  claim?: KubernetesObject;
  /** Logs of the agents by the task's label. */
  logs: Record<string, string>;
  /** What an agent wrote on the claim, read from the parent pod. */
  readBack?: string;
  written: { fromParent: string; fromAgent: string };
}

const PARENT_POD_SECONDS = 120;

/** {@link shareParentPod}, with how each task went as evidence. */
export async function observeParentPod(t: RequirementContext): Promise<ParentPodRecord> {
  const record = await shareParentPod(t);
  t.evidence('tasks', summarise(record));
  return record;
}

/** The same, where the target file names the shared claim. */
export async function observeClaim(t: RequirementContext): Promise<ParentPodRecord> {
  if (jobRunnerTarget(t).deployment?.claim === undefined) {
    t.notApplicable('the target file names no shared claim');
  }
  return observeParentPod(t);
}

export interface ClaimRecord extends ParentPodRecord {
  /** The starts where the claim was missing. */
  missing: RefusalRecord[];
}

/** The same, and starts of the runner where the claim is missing. */
export async function observeMissingClaim(t: RequirementContext): Promise<ClaimRecord> {
  const missing = await shareMissingClaim(t);
  t.evidence('without the claim', missing.map(summarise));
  return { ...(await observeParentPod(t)), missing };
}

/** Two agents' tasks of a runner in its parent pod, then a second task of the first agent, in its session. */
function shareParentPod(t: RequirementContext): Promise<ParentPodRecord> {
  return t.sharedByAllFiles('job runner: parent pod', () => {
    const { deployment, capabilities } = jobRunnerTarget(t);
    if (deployment === undefined) {
      throw new NotTestable('the target file declares `inherit`, `shared-claim` or `session`, and has no `deployment`');
    }
    return withParentPod(t, async (runner) => {
      const { pod: name, container, claimMountPath, claim } = deployment;
      const { core } = runner.cluster;
      const pod = await rawPod(runner, name);
      const written = { fromParent: randomBytes(8).toString('hex'), fromAgent: randomBytes(8).toString('hex') };
      const exec = (script: string) =>
        runner.cluster.exec(runner.namespace, name, container, ['/bin/sh', '-c', script]);
      if (claimMountPath !== undefined) {
        await exec(`echo ${written.fromParent} >${claimMountPath}/from-parent`);
      }
      const env = {
        WORKLOAD_PRINT_ENV: 'HOME INHERITED_VALUE INHERITED_SECRET INHERITED_MAP',
        WORKLOAD_SLEEP_SECONDS: '1',
        ...(claimMountPath === undefined
          ? {}
          : {
              WORKLOAD_READ: `${claimMountPath}/from-parent`,
              WORKLOAD_WRITE: `${claimMountPath}/from-agent`,
              WORKLOAD_WRITE_TEXT: written.fromAgent,
            }),
      };
      const first = await runner.submit('first', { agent: 'agent-one', env });
      const other = await runner.submit('other', { agent: 'agent-two', env });
      const logs: ParentPodRecord['logs'] = {};
      await Promise.all(
        [first, other].map(async (task) => {
          logs[task.label] = await logOf(runner, task);
        }),
      );
      await runner.until(() => allOver(runner), TASK_SECONDS);
      const session = endsOf(runner, first)[0]?.session;
      if (capabilities.includes('session') && session !== undefined) {
        const again = await runner.submit('again', { agent: 'agent-one', session, env });
        logs.again = await logOf(runner, again);
        await runner.until(() => allOver(runner), TASK_SECONDS);
      }
      await untilCleanedUp(runner);
      const read = claimMountPath === undefined ? undefined : await exec(`cat ${claimMountPath}/from-agent`);
      const seen =
        claim === undefined
          ? undefined
          : await core.readNamespacedPersistentVolumeClaim({ namespace: runner.namespace, name: claim });
      return {
        ...runner.record(),
        pod,
        ...(seen === undefined ? {} : { claim: seen }),
        logs,
        ...(read === undefined ? {} : { readBack: read.stdout.trim() }),
        written,
      };
    });
  });
}

/** Seconds for which is looked on after the clean-up. */
const AFTERMATH_SECONDS = 3;

/**
 * Waits until the runner has cleaned up after its tasks, or its time for that is over: a claim may be deleted with
 * them.
 */
async function untilCleanedUp(runner: LaunchedRunner): Promise<void> {
  const { withinSeconds } = runner.target.documented.cleanUp;
  await runner.until(() => leftOvers(runner, []).length === 0, withinSeconds + SLACK_SECONDS);
  await runner.watchFor(AFTERMATH_SECONDS);
}

/** A pod as the API server writes it: to be compared with one that a watch reported. */
async function rawPod({ cluster, namespace }: LaunchedRunner, name: string): Promise<KubernetesObject> {
  const response = await cluster.request(`/api/v1/namespaces/${namespace}/pods/${name}`);
  return (await response.json()) as KubernetesObject;
}

/** Starts the runner with its parent pod, which runs by then. */
async function withParentPod<R>(t: RequirementContext, act: (runner: LaunchedRunner) => Promise<R>): Promise<R> {
  const name = jobRunnerTarget(t).deployment?.pod ?? '';
  return withReadyJobRunner(t, { purpose: 'parent-pod', parentPod: {} }, async (runner) => {
    await runner.cluster.podReady(runner.namespace, name, PARENT_POD_SECONDS);
    return act(runner);
  });
}

/** The runner is started where the claim of its parent pod is missing. */
function shareMissingClaim(t: RequirementContext): Promise<RefusalRecord[]> {
  return t.shared('job runner: missing claim', async () => {
    const claim = jobRunnerTarget(t).deployment?.claim ?? '';
    const options = { purpose: 'no-claim', parentPod: { without: 'PersistentVolumeClaim' } };
    const named = escaped(claim);
    const seen = await withJobRunner(t, options, async (runner) => {
      // A line of its log may come later than its report, which takes another way.
      await runner.until(() => new RegExp(named, 'i').test(saidBy(runner.record())), LAST_OUTPUT_SECONDS);
      return { ...runner.record(), cause: `the claim ${claim} missing`, named };
    });
    return [seen];
  });
}

/** The parts of a PodSpec that a parent pod hands down. */
export interface AgentPodSpec {
  containers: {
    name: string;
    image?: string;
    env?: { name: string; value?: string; valueFrom?: object }[];
    envFrom?: object[];
    volumeMounts?: { name: string; mountPath: string; subPath?: string; readOnly?: boolean }[];
  }[];
  volumes?: { name: string; secret?: { secretName?: string }; persistentVolumeClaim?: { claimName?: string } }[];
  imagePullSecrets?: { name?: string }[];
  dnsConfig?: object;
}

/** The specification of a task's pod as the runner asks for it, and its agent's container; undefined without one. */
export function agentOf(
  record: RunnerRecord,
  label: string,
): { spec: AgentPodSpec | undefined; agent: AgentPodSpec['containers'][number] | undefined } {
  const task = taskNamed(record, label);
  const [asked] = task === undefined ? [] : specsOfTask(record, task);
  const spec = asked?.spec as AgentPodSpec | undefined;
  return { spec, agent: spec?.containers.find(({ name }) => name === record.target.container) };
}

/** How the second task failed to go on with the session of the first; undefined: it did go on. */
export function describeResumption(record: ParentPodRecord): [Finding] | undefined {
  const first = taskNamed(record, 'first');
  const session = first === undefined ? undefined : endsOf(record, first)[0]?.session;
  if (first === undefined || session === undefined) {
    const what = first === undefined ? 'was not submitted' : describeOutcome(record, first);
    const text = `no session was named: the task ${what}`;
    return [first === undefined ? text : aboutOutcome(record, first, text)];
  }
  const again = taskNamed(record, 'again');
  const turn = new RegExp(`session ${escaped(session)} turn (\\d+)`).exec(record.logs.again ?? '')?.[1];
  if (again === undefined || turn === undefined) {
    const what = again === undefined ? 'was not submitted' : describeOutcome(record, again);
    const text = `the second task did not go on with the session ${session}: it ${what}`;
    return [again === undefined ? text : aboutOutcome(record, again, text)];
  }
  return turn === '2'
    ? undefined
    : [`the session ${session} knew nothing of the first task: this was its turn ${turn}`];
}
