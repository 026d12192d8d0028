/** Tasks whose pods have other containers than the agent's, of every kind (JL-46). */

import type { KubernetesObject } from '@kubernetes/client-node';
import { HarnessError } from '../../../core/errors.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { ApiFault } from '../../../rpc/target-access.ts';
import { type LaunchedRunner, withReadyJobRunner } from '../launch.ts';
import {
  allOver,
  isRunning,
  type ObservedObject,
  podsOf,
  type RunnerRecord,
  type RunnersRecord,
  runsOrIsOver,
  SECOND_REPORT_SECONDS,
  type SubmittedTask,
  specOf,
  TASK_SECONDS,
} from '../record.ts';
import { jobRunnerTarget } from '../target.ts';
import { extraContainer } from './extra-container.ts';
import { withEvidence } from './tasks.ts';

export interface OtherContainersRecord extends RunnerRecord {
  /** The other containers, as a part of a sentence. */
  alongside: string;
}

/**
 * Seconds from the end of the agent's container to the report of the task's end: the other containers go on for far
 * longer.
 */
export const END_SECONDS = 60;

/** Seconds that the agent works: one other container ends long before it, another one after it. */
const AGENT_SECONDS = 8;
/** The agent starts once the kubelet has seen a native sidecar run, and is still at work when that one ends. */
const CRASH_SECONDS = 5;
/** Long enough to put an ephemeral container into the pod of an agent that runs. */
const AGENT_SECONDS_WITH_EPHEMERAL = 20;

/** Its end comes before the agent begins: whoever takes the first container that has ended takes this one. */
const PREPARES = 'exit 0';

const FOREVER = 'trap "exit 3" TERM; sleep 600 & wait';

interface Template {
  purpose: string;
  alongside: string;
  initContainers?: object[];
  containers?: object[];
}

/**
 * What a pod template adds (Kubernetes, Sidecar Containers; Pod Lifecycle). Statuses of containers are sorted by name,
 * so that the first of them is none of the agent's.
 */
function templatesOf(image: string): Template[] {
  const container = (name: string, script: string): object => extraContainer(name, image, script);
  return [
    {
      purpose: 'sidecar',
      alongside: 'an init container, which ends with 0, and a native sidecar, which goes on and ends with 3 on SIGTERM',
      initContainers: [
        container('a-prepares', PREPARES),
        { ...container('a-sidecar', FOREVER), restartPolicy: 'Always' },
      ],
    },
    {
      purpose: 'goes-on',
      alongside: 'a container that goes on',
      containers: [container('a-goes-on', FOREVER)],
    },
    {
      purpose: 'other-codes',
      alongside:
        'a native sidecar that ends with 4 and starts again, a container that ended with 5 before the agent, ' +
        'and one that ends with 6 after it',
      initContainers: [{ ...container('a-crashes', `sleep ${CRASH_SECONDS}; exit 4`), restartPolicy: 'Always' }],
      containers: [container('a-ends-before', 'exit 5'), container('ends-after', `sleep ${2 * AGENT_SECONDS}; exit 6`)],
    },
  ];
}

/**
 * For each kind of other container a task that succeeds and one that fails with 7. A runner that takes no pod template
 * has them put into its Jobs on their way to the API server, as mutating webhooks do.
 */
export async function observeOtherContainers(t: RequirementContext): Promise<RunnersRecord<OtherContainersRecord>> {
  const target = jobRunnerTarget(t);
  const image = await t.image('workload');
  const takesTemplates = target.capabilities.includes('pod-template');
  const templates = templatesOf(image);
  const [injected, ephemeral] = await t.shared('job runner: other containers', () =>
    Promise.all([
      Promise.all(templates.map((template) => (takesTemplates ? withTemplate : withInjection)(t, template))),
      withEphemeralContainer(t, image),
    ]),
  );
  const seen = [...injected, ephemeral].filter((record) => record !== undefined);
  const notExercised = [
    ...(injected.includes(undefined)
      ? [
          'containers that a webhook puts into pods: the Jobs that the runner makes are no JSON, or are not its own doing',
        ]
      : []),
    ...(ephemeral === undefined ? ['ephemeral containers: the harness may not add them on this cluster'] : []),
  ];
  if (notExercised.length > 0) {
    t.evidence('not exercised', notExercised);
  }
  if (seen.length === 0) {
    t.notApplicable(
      'the target file does not declare the capability `pod-template`, no container can be put into its Jobs, ' +
        'and the harness may not add ephemeral containers here',
    );
  }
  return withEvidence(t, target, seen);
}

function withTemplate(
  t: RequirementContext,
  { purpose, alongside, initContainers, containers = [] }: Template,
): Promise<OtherContainersRecord> {
  const { container: name } = jobRunnerTarget(t);
  const podTemplate = {
    containers: [...containers, { name }],
    ...(initContainers === undefined ? {} : { initContainers }),
  };
  return withReadyJobRunner(t, { purpose: `alongside-${purpose}`, settings: { podTemplate } }, async (runner) => {
    await submitBoth(runner, AGENT_SECONDS);
    await untilReported(runner, AGENT_SECONDS);
    return { ...runner.record(), alongside };
  });
}

/** @returns undefined where no pod of the tasks has the containers */
function withInjection(
  t: RequirementContext,
  { purpose, alongside, initContainers = [], containers = [] }: Template,
): Promise<OtherContainersRecord | undefined> {
  const given = { initContainers, containers } as Pick<ApiFault, 'initContainers' | 'containers'>;
  const [first] = [...initContainers, ...containers] as { name: string }[];
  return withReadyJobRunner(t, { purpose: `injected-${purpose}` }, async (runner) => {
    // Its preflight, before, is as it is.
    await runner.access.setFaults([{ kind: 'inject-containers', resources: ['jobs', 'pods'], ...given }]);
    const tasks = await submitBoth(runner, AGENT_SECONDS);
    await untilReported(runner, AGENT_SECONDS);
    const pods = tasks.flatMap((task) => podsOf(runner, task));
    const hasIt = (pod: ObservedObject): boolean =>
      [...specOf(pod).containers, ...(specOf(pod).initContainers ?? [])].some(({ name }) => name === first?.name);
    return pods.length > 0 && !pods.some(hasIt) ? undefined : { ...runner.record(), alongside };
  });
}

async function submitBoth(runner: LaunchedRunner, seconds: number): Promise<SubmittedTask[]> {
  const env = { WORKLOAD_LINES: '1', WORKLOAD_SLEEP_SECONDS: String(seconds) };
  return [
    await runner.submit('succeeds', { env }),
    await runner.submit('fails', { env: { ...env, WORKLOAD_EXIT_CODE: '7' } }),
  ];
}

async function untilReported(runner: LaunchedRunner, seconds: number): Promise<void> {
  await runner.until(() => allOver(runner), TASK_SECONDS + seconds + END_SECONDS);
  await runner.watchFor(SECOND_REPORT_SECONDS);
}

/** @returns undefined where the harness may not add ephemeral containers */
function withEphemeralContainer(t: RequirementContext, image: string): Promise<OtherContainersRecord | undefined> {
  return withReadyJobRunner(t, { purpose: 'alongside-ephemeral' }, async (runner) => {
    const tasks = await submitBoth(runner, AGENT_SECONDS_WITH_EPHEMERAL);
    for (const task of tasks) {
      await runner.until(() => runsOrIsOver(runner, task), TASK_SECONDS);
      if (isRunning(runner, task) && !(await addEphemeral(runner, task, image))) {
        return undefined;
      }
    }
    await untilReported(runner, AGENT_SECONDS_WITH_EPHEMERAL);
    return { ...runner.record(), alongside: 'an ephemeral container, which goes on' };
  });
}

/**
 * Adds a container as `kubectl debug` does (Kubernetes, Ephemeral Containers). @returns false where the harness has no
 * right to
 */
async function addEphemeral(runner: LaunchedRunner, task: SubmittedTask, image: string): Promise<boolean> {
  const [pod] = podsOf(runner, task);
  const { resources: _, ...container } = extraContainer('debugger', image, FOREVER) as KubernetesObject & {
    resources: object;
  };
  const path = `/api/v1/namespaces/${runner.namespace}/pods/${pod?.name}/ephemeralcontainers`;
  const response = await runner.cluster.request(path, {
    method: 'PATCH',
    headers: { 'content-type': 'application/strategic-merge-patch+json' },
    body: JSON.stringify({ spec: { ephemeralContainers: [container] } }),
  });
  const answer = await response.text();
  if (response.status !== 200 && response.status !== 403) {
    throw new HarnessError(`${pod?.name} got no ephemeral container: ${response.status}: ${answer.slice(0, 300)}`);
  }
  return response.status === 200;
}
