/** Logs of agents, read by the harness itself, and what a runner read of them. */

import type { LaunchedRunner } from '../launch.ts';
import { hasFinished, podsOf, runsOrIsOver, type SubmittedTask, TASK_SECONDS } from '../record.ts';

/** The log of a task's agent, followed by the harness; empty where it never ran. */
export async function logOf(runner: LaunchedRunner, task: SubmittedTask): Promise<string> {
  return (await readLog(runner, task)).bytes.toString();
}

/** @returns `gone`: the pod had been there, and was deleted before it was asked for */
export async function readLog(runner: LaunchedRunner, task: SubmittedTask): Promise<{ bytes: Buffer; gone: boolean }> {
  await runner.until(
    () => runsOrIsOver(runner, task) || podsOf(runner, task).some(({ last }) => hasFinished(last)),
    TASK_SECONDS,
  );
  const [pod] = podsOf(runner, task);
  if (pod === undefined) {
    return { bytes: Buffer.alloc(0), gone: false };
  }
  const query = `container=${runner.target.container}&follow=true`;
  const response = await runner.cluster.request(`/api/v1/namespaces/${runner.namespace}/pods/${pod.name}/log?${query}`);
  return { bytes: Buffer.from(await response.arrayBuffer()), gone: response.status === 404 };
}

/** A request for a log: when, and how many bytes came back. */
export interface LogRequest {
  at: string;
  bytes: number;
  /** The proxy's fault that it met. */
  fault?: string;
}

/** The runner's own requests for logs. */
export async function logRequestsOf(runner: Pick<LaunchedRunner, 'access'>): Promise<LogRequest[]> {
  const records = await runner.access.records();
  return records
    .filter(({ resource, subresource }) => resource === 'pods' && subresource === 'log')
    .map(({ at, bytes, fault }) => ({
      at,
      bytes: bytes ?? 0,
      ...(fault === undefined ? {} : { fault: String(fault) }),
    }));
}
