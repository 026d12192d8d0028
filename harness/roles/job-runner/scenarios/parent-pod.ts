/** The deployment’s own pod and claim (JL-41, JL-43, PV-20 to PV-25). */

import { randomBytes } from 'node:crypto';
import type { KubernetesObject } from '@kubernetes/client-node';
import { NotTestable } from '../../../core/errors.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import { type LaunchedRunner, type RunnerRecord, withJobRunner, withReadyJobRunner } from '../launch.ts';
import { allOver, escaped, logOf, TASK_SECONDS } from '../record.ts';
import { jobRunnerTarget } from '../target.ts';
import type { RefusalRecord } from './refusals.ts';
import { endsOf } from './tasks.ts';

export interface DeploymentRecord extends RunnerRecord {
  /** The deployment's pod, as it was created. */
  pod: KubernetesObject;
  /** The claim, as it was seen last; absent where none is shared. */
  claim?: KubernetesObject;
  /** Logs of the agents by the task's label. */
  logs: Record<string, string>;
  /** What an agent wrote on the claim, read from the deployment's pod. */
  readBack?: string;
  written: { fromDeployment: string; fromAgent: string };
}

const DEPLOYMENT_SECONDS = 120;

/** Two agents' tasks beside the runner's own deployment, then a second task of the first agent, in its session. */
export function observeDeployment(t: RequirementContext): Promise<DeploymentRecord> {
  return t.sharedByAllFiles('job runner: deployment', () => {
    const { deployment, capabilities } = jobRunnerTarget(t);
    if (deployment === undefined) {
      throw new NotTestable('the target file declares `inherit`, `shared-claim` or `session`, and has no `deployment`');
    }
    return withDeployment(t, async (runner) => {
      const { pod: name, container, claimMountPath, claim } = deployment;
      const { core } = runner.cluster;
      const pod = await rawPod(runner, name);
      const written = { fromDeployment: randomBytes(8).toString('hex'), fromAgent: randomBytes(8).toString('hex') };
      const exec = (script: string) =>
        runner.cluster.exec(runner.namespace, name, container, ['/bin/sh', '-c', script]);
      if (claimMountPath !== undefined) await exec(`echo ${written.fromDeployment} >${claimMountPath}/from-deployment`);
      const env = {
        WORKLOAD_PRINT_ENV: 'HOME INHERITED_VALUE INHERITED_SECRET INHERITED_MAP',
        WORKLOAD_SLEEP_SECONDS: '1',
        ...(claimMountPath === undefined
          ? {}
          : {
              WORKLOAD_READ: `${claimMountPath}/from-deployment`,
              WORKLOAD_WRITE: `${claimMountPath}/from-agent`,
              WORKLOAD_WRITE_TEXT: written.fromAgent,
            }),
      };
      const first = await runner.submit('first', { agent: 'agent-one', env });
      const other = await runner.submit('other', { agent: 'agent-two', env });
      const logs: DeploymentRecord['logs'] = {};
      await Promise.all(
        [first, other].map(async (task) => {
          logs[task.label] = await logOf(runner, task);
        }),
      );
      await runner.until(allOver(runner), TASK_SECONDS);
      const session = endsOf(runner, first)[0]?.session;
      if (capabilities.includes('session') && session !== undefined) {
        const again = await runner.submit('again', { agent: 'agent-one', session, env });
        logs.again = await logOf(runner, again);
        await runner.until(allOver(runner), TASK_SECONDS);
      }
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

/** A pod as the API server writes it: to be compared with one that a watch told of. */
async function rawPod({ cluster, namespace }: LaunchedRunner, name: string): Promise<KubernetesObject> {
  const response = await cluster.request(`/api/v1/namespaces/${namespace}/pods/${name}`);
  return (await response.json()) as KubernetesObject;
}

/** Starts the runner beside its deployment's pod, which runs by then. */
async function withDeployment<R>(t: RequirementContext, act: (runner: LaunchedRunner) => Promise<R>): Promise<R> {
  const name = jobRunnerTarget(t).deployment?.pod ?? '';
  return withReadyJobRunner(t, { purpose: 'deployment', deployment: {} }, async (runner) => {
    await runner.cluster.podReady(runner.namespace, name, DEPLOYMENT_SECONDS);
    return act(runner);
  });
}

/** The runner is started where the claim of its deployment's pod is missing. */
export function observeMissingClaim(t: RequirementContext): Promise<RefusalRecord[]> {
  return t.shared('job runner: missing claim', async () => {
    const claim = jobRunnerTarget(t).deployment?.claim ?? '';
    const options = { purpose: 'no-claim', deployment: { without: 'PersistentVolumeClaim' } };
    const seen = await withJobRunner(t, options, async (runner) => ({
      ...runner.record(),
      cause: `the claim ${claim} missing`,
      named: escaped(claim),
    }));
    return [seen];
  });
}
