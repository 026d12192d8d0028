/** Settings that decide what a pod looks like and how long it stays (JL-30, JL-39, JL-42). */

import type { KubernetesObject } from '@kubernetes/client-node';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { Target } from '../../../targets/load.ts';
import { withReadyJobRunner } from '../launch.ts';
import {
  allOver,
  isOver,
  podsOf,
  type RunnerRecord,
  type RunnersRecord,
  summarise,
  TASK_SECONDS,
  together,
} from '../record.ts';
import { jobRunnerTarget } from '../target.ts';
import { extraContainer } from './extra-container.ts';
import { OVERRIDE, shareTasks, type TasksRecord } from './tasks.ts';

/** What is left after tasks, and what is kept under settings that say so. */
export interface CleanUpRecord extends RunnersRecord {
  tasks: TasksRecord;
  /** Absent where settings do not decide what is kept. */
  retained?: RunnerRecord;
}

export async function observeCleanUp(t: RequirementContext): Promise<CleanUpRecord> {
  const target = jobRunnerTarget(t);
  const bySettings = target.documented.cleanUp.retain === 'settings';
  const [tasks, retained] = await Promise.all([shareTasks(t), bySettings ? shareRetained(t) : undefined]);
  const records = [tasks, ...(retained === undefined ? [] : [retained])];
  t.evidence('runners', records.map(summarise));
  return { ...together<RunnerRecord>(target, records), tasks, ...(retained === undefined ? {} : { retained }) };
}

/**
 * A task that succeeds and one that fails, under settings by which their Jobs are kept, until the time for cleaning up
 * has passed.
 */
function shareRetained(t: RequirementContext): Promise<RunnerRecord> {
  return t.shared('job runner: retained', () =>
    withReadyJobRunner(t, { purpose: 'retained', settings: { retain: true } }, async (runner) => {
      await runner.submit('succeeds-and-stays', {});
      await runner.submit('fails-and-stays', { env: { WORKLOAD_EXIT_CODE: '7' } });
      await runner.until(() => allOver(runner), TASK_SECONDS);
      await runner.watchFor(runner.target.documented.cleanUp.withinSeconds);
      return runner.record();
    }),
  );
}

/** Tasks whose resources are decided in each documented way. */
export interface ResourcesRecord extends RunnersRecord {
  tasks: TasksRecord;
  /** Under settings that override one resource. */
  overridden?: RunnerRecord;
  /** Under settings that leave all resources to the runner. */
  plain?: RunnerRecord;
}

export async function observeResources(t: RequirementContext): Promise<ResourcesRecord> {
  const target = jobRunnerTarget(t);
  const { requests, limits, overriddenBy, defaults } = target.documented.resources;
  if (requests === undefined && limits === undefined && overriddenBy.length === 0) {
    t.notApplicable(
      'the target file documents neither default resources nor who overrides them (`documented.resources`)',
    );
  }
  const bySettings = overriddenBy.includes('settings') && !overriddenBy.includes('task');
  const [tasks, overridden, plain] = await Promise.all([
    shareTasks(t),
    bySettings ? shareResourceSettings(t) : undefined,
    defaults === undefined ? undefined : shareDefaultResources(t, defaults.settings),
  ]);
  const records = [tasks, overridden, plain].filter((record) => record !== undefined);
  t.evidence('runners', records.map(summarise));
  return {
    ...together<RunnerRecord>(target, records),
    tasks,
    ...(overridden === undefined ? {} : { overridden }),
    ...(plain === undefined ? {} : { plain }),
  };
}

/** A task under settings that override one resource. */
function shareResourceSettings(t: RequirementContext): Promise<RunnerRecord> {
  return t.shared('job runner: resources', () =>
    withReadyJobRunner(t, { purpose: 'resources', settings: { resources: OVERRIDE } }, async (runner) => {
      await runner.submit('overridden', {});
      await runner.until(() => allOver(runner), TASK_SECONDS);
      return runner.record();
    }),
  );
}

/**
 * A task under settings that leave all resources to the runner. That its pod is there is enough: a small machine may
 * have no room for it.
 */
function shareDefaultResources(t: RequirementContext, settings: Record<string, unknown>): Promise<RunnerRecord> {
  return t.shared('job runner: default resources', () =>
    withReadyJobRunner(t, { purpose: 'defaults', settings: { extra: settings }, needsNoRoom: true }, async (runner) => {
      const task = await runner.submit('plain', {});
      await runner.until(() => isOver(runner, task) || podsOf(runner, task).length > 0, TASK_SECONDS);
      return runner.record();
    }),
  );
}

export const TEMPLATE_SERVICE_ACCOUNT = 'conformance-template';

/** A task under a template that says something of each kind. */
export async function observeTemplate(t: RequirementContext): Promise<RunnerRecord> {
  const record = await t.shared('job runner: template', async () => {
    const target = jobRunnerTarget(t);
    const image = await t.image('workload');
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
        await runner.until(() => allOver(runner), TASK_SECONDS);
        return runner.record();
      },
    );
  });
  t.evidence('runners', [summarise(record)]);
  return record;
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
      extraContainer('conformance-sidecar', image, 'exit 0'),
    ],
  };
}
