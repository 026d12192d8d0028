import type { KubernetesObject, V1Pod } from '@kubernetes/client-node';
import { HarnessError } from '../../../core/errors.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { Call } from '../driver.ts';
import { observed } from '../evidence.ts';
import { createPods, type LaunchedManager, type ManagerRecord, withSessionManager } from '../launch.ts';
import { deletedAt, hasEnded, latest, untilEnded, untilReady } from '../record.ts';

export interface CleanUpRecord extends ManagerRecord {
  /** With an age that no pod has, and what was gone after it. */
  early: Call;
  goneEarly: string[];
  /** With an age that only the old pods have. */
  call: Call;
  gone: string[];
}

/** What is to go, and what is to stay. */
export const OLD_PODS = ['old-succeeded', 'old-failed'];
export const KEPT_PODS = ['running', 'young', 'foreign'];

/**
 * Between the end of the old pods and the creation of the young one: half of it on either side of the age that is
 * asked.
 */
const APART_SECONDS = 6;
/** By so much the young pod is younger than what is asked for. */
export const YOUNGER_SECONDS = APART_SECONDS / 2;
const AN_HOUR_MS = 3_600_000;
/** After its answer nothing more is deleted. */
const SETTLED_SECONDS = 2;

/**
 * Pods of a manager that have succeeded, failed, run on and just ended, and one of somebody else's; then a clean-up.
 */
export function observeCleanUp(t: RequirementContext): Promise<CleanUpRecord> {
  return observed(t, 'clean-up', () =>
    withSessionManager(t, { purpose: 'clean-up' }, async (manager) => {
      const { namespace, image } = manager;
      const create = (commands: Record<string, string[]>): Promise<void> =>
        createPods(
          manager,
          Object.entries(commands).map(([name, command]) => ({ name, namespace, image, command })),
        );
      await Promise.all([
        create({ 'old-succeeded': ['true'], 'old-failed': ['false'], running: ['sleep', '300'] }),
        createForeign(manager),
      ]);
      await Promise.all([untilEnded(manager, [...OLD_PODS, 'foreign']), untilReady(manager, 'running')]);
      const ends = OLD_PODS.map((name) => endOf(latest(manager.objects, 'Pod', name), manager.target));
      const oldSince = Math.max(...ends);
      await t.clock.until(new Date(oldSince + APART_SECONDS * 1000), 'the next pod is to be younger by some seconds');
      const createdAt = Date.now();
      await create({ young: ['true'] });
      await untilEnded(manager, ['young']);
      const gone = (): string[] =>
        [...OLD_PODS, ...KEPT_PODS].filter((name) => deletedAt(manager.objects, 'Pod', name) !== undefined);
      const early = await manager.call('cleanUp', { namespace, maxAgeMs: AN_HOUR_MS });
      await manager.until(() => undefined, SETTLED_SECONDS);
      const goneEarly = gone();
      const maxAgeMs = Math.round(Date.now() - (oldSince + createdAt) / 2);
      const call = await manager.call('cleanUp', { namespace, maxAgeMs });
      await manager.until(() => undefined, SETTLED_SECONDS);
      return { ...manager.record(), early, goneEarly, call, gone: gone() };
    }),
  );
}

/** When a pod had ended, by its node's clock, to the second. @throws HarnessError where it has not */
function endOf(pod: V1Pod | undefined, { documented }: LaunchedManager['target']): number {
  const statuses = pod?.status?.containerStatuses ?? [];
  const own = statuses.find(({ name }) => name === documented.pod?.container) ?? statuses[0];
  const at = own?.state?.terminated?.finishedAt;
  if (!hasEnded(pod) || at === undefined) {
    throw new HarnessError(`the pod ${pod?.metadata?.name} has not ended: ${pod?.status?.phase ?? 'it is not there'}`);
  }
  return new Date(at).getTime();
}

/** A finished pod that looks like one of the manager's, but for the label that says whose it is. */
async function createForeign({ cluster, namespace, image, target }: LaunchedManager): Promise<void> {
  const { ownerLabel = '', pod } = target.documented;
  const { [ownerLabel]: _, ...labels } = pod?.labels ?? {};
  const foreign: KubernetesObject & { spec: V1Pod['spec'] } = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'foreign', namespace, labels },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: pod?.container ?? 'main',
          image,
          imagePullPolicy: 'IfNotPresent',
          command: ['true'],
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    },
  };
  await cluster.create([foreign]);
}
