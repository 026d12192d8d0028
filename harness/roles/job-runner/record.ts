/** What the parts of a job runner's contract that need a start of their own have in common. */

import type { KubernetesObject } from '@kubernetes/client-node';
import type { LaunchedRunner, RunnerRecord, SubmittedTask } from './launch.ts';
import { endsOf, isRunning, podsOf, refusalOf } from './scenarios/tasks.ts';

/** From submission to end of a task that does nothing, on a small machine that many share. */
export const TASK_SECONDS = 90;

/** True when a task has ended or was refused. */
export const isOver = (runner: Pick<RunnerRecord, 'events'>, task: SubmittedTask): boolean =>
  endsOf(runner, task).length > 0 || refusalOf(runner, task) !== undefined;

export const allOver = (runner: LaunchedRunner) => (): true | undefined =>
  runner.tasks.every((task) => isOver(runner, task)) ? true : undefined;

/** Text that stands for itself in a regular expression. */
export function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** The log of a task's agent, followed by the harness itself; empty where it never ran. */
export async function logOf(runner: LaunchedRunner, task: SubmittedTask): Promise<string> {
  return (await readLog(runner, task)).text;
}

/** @returns `gone`: the pod had been there, and was deleted before it was asked for */
export async function readLog(runner: LaunchedRunner, task: SubmittedTask): Promise<{ text: string; gone: boolean }> {
  await runner.until(
    () =>
      isOver(runner, task) || isRunning(runner, task) || podsOf(runner, task).some(({ last }) => hasRun(last))
        ? true
        : undefined,
    TASK_SECONDS,
  );
  const [pod] = podsOf(runner, task);
  if (pod === undefined) return { text: '', gone: false };
  const query = `container=${runner.target.container}&follow=true`;
  const response = await runner.cluster.request(`/api/v1/namespaces/${runner.namespace}/pods/${pod.name}/log?${query}`);
  return { text: await response.text(), gone: response.status === 404 };
}

function hasRun(object: KubernetesObject): boolean {
  const { phase } = ((object as { status?: unknown }).status ?? {}) as { phase?: string };
  return phase === 'Succeeded' || phase === 'Failed';
}

/** Under which a container of the harness's own goes into an agent's pod. */
const RESTRICTED = {
  allowPrivilegeEscalation: false,
  runAsNonRoot: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};

/** A small container beside an agent, or before it. */
export function smallContainer(name: string, image: string, script: string): object {
  return {
    name,
    image,
    imagePullPolicy: 'IfNotPresent',
    command: ['/bin/sh', '-c', script],
    securityContext: RESTRICTED,
    resources: { requests: { cpu: '10m', memory: '16Mi' }, limits: { cpu: '100m', memory: '32Mi' } },
  };
}
