/** Settings that decide what a pod looks like and how long it stays (JL-30, JL-39, JL-42). */

import type { KubernetesObject } from '@kubernetes/client-node';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { Target } from '../../../targets/load.ts';
import { type RunnerRecord, withReadyJobRunner } from '../launch.ts';
import { allOver, isOver, smallContainer, TASK_SECONDS } from '../record.ts';
import { jobRunnerTarget } from '../target.ts';
import { OVERRIDE, podsOf } from './tasks.ts';

/** A task that succeeds and one that fails, under settings by which their Jobs are kept, until the time for cleaning up has passed. */
export function observeRetained(t: RequirementContext): Promise<RunnerRecord> {
  return t.shared('job runner: retained', () =>
    withReadyJobRunner(t, { purpose: 'retained', settings: { retain: true } }, async (runner) => {
      await runner.submit('succeeds-and-stays', {});
      await runner.submit('fails-and-stays', { env: { WORKLOAD_EXIT_CODE: '7' } });
      await runner.until(allOver(runner), TASK_SECONDS);
      await runner.until(() => undefined, runner.target.documented.cleanUp.withinSeconds);
      return runner.record();
    }),
  );
}

/** A task under settings that override one resource. */
export function observeResourceSettings(t: RequirementContext): Promise<RunnerRecord> {
  return t.shared('job runner: resources', () =>
    withReadyJobRunner(t, { purpose: 'resources', settings: { resources: OVERRIDE } }, async (runner) => {
      await runner.submit('overridden', {});
      await runner.until(allOver(runner), TASK_SECONDS);
      return runner.record();
    }),
  );
}

/** A task under settings that leave all resources to the runner. That its pod is there is enough: a small machine may have no room for it. */
export function observeDefaultResources(
  t: RequirementContext,
  settings: Record<string, unknown>,
): Promise<RunnerRecord> {
  return t.shared('job runner: default resources', () =>
    withReadyJobRunner(t, { purpose: 'defaults', settings: { extra: settings }, needsNoRoom: true }, async (runner) => {
      const task = await runner.submit('plain', {});
      await runner.until(
        () => (isOver(runner, task) || podsOf(runner, task).length > 0 ? true : undefined),
        TASK_SECONDS,
      );
      return runner.record();
    }),
  );
}

export const TEMPLATE_SERVICE_ACCOUNT = 'conformance-template';

/** A task under a template that says something of each kind. */
export function observeTemplate(t: RequirementContext): Promise<RunnerRecord> {
  return t.shared('job runner: template', async () => {
    const target = jobRunnerTarget(t);
    const image = await t.agentImage();
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'conformance-template' },
      stringData: { key: 'v' },
    };
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: TEMPLATE_SERVICE_ACCOUNT } };
    const objects = [secret, account] as KubernetesObject[];
    return withReadyJobRunner(
      t,
      { purpose: 'template', objects, settings: { podTemplate: templateOf(target, image) } },
      async (runner) => {
        await runner.submit('templated', { env: { WORKLOAD_PRINT_ENV: 'FROM_TEMPLATE FROM_SECRET' } });
        await runner.until(allOver(runner), TASK_SECONDS);
        return runner.record();
      },
    );
  });
}

function templateOf({ container: name }: Target<'job-runner'>, image: string): Record<string, unknown> {
  return {
    serviceAccountName: TEMPLATE_SERVICE_ACCOUNT,
    automountServiceAccountToken: false,
    nodeSelector: { 'kubernetes.io/os': 'linux' },
    tolerations: [{ key: 'conformance.test/template', operator: 'Exists', effect: 'NoSchedule' }],
    imagePullSecrets: [{ name: 'conformance-pull' }],
    containers: [
      {
        name,
        env: [
          { name: 'FROM_TEMPLATE', value: 'kept' },
          { name: 'FROM_SECRET', valueFrom: { secretKeyRef: { name: 'conformance-template', key: 'key' } } },
        ],
      },
      smallContainer('conformance-sidecar', image, 'exit 0'),
    ],
  };
}
