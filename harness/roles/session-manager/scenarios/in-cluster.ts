import { randomBytes } from 'node:crypto';
import { Heartbeat } from '../../../../fixtures/workloads/lib/heartbeat.ts';
import { assertAdmitted } from '../../../kubernetes/refused-objects.ts';
import { twinFor } from '../../../rpc/candidate.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { Call } from '../driver.ts';
import { deployManager } from '../drivers/deployed.ts';
import { observed } from '../evidence.ts';
import type { ManagerRecord } from '../launch.ts';
import { POD_SECONDS } from '../record.ts';
import { sessionManagerTarget } from '../target.ts';

export interface InClusterRecord extends Pick<ManagerRecord, 'calls' | 'deaths' | 'stalls'> {
  configured?: Call;
  created: Call;
  listed: Call;
  deleted: Call;
}

const SERVICE_ACCOUNT = 'session-manager';

/** Installs a manager in the cluster, tells it no kubeconfig, and uses it. */
export function observeInCluster(t: RequirementContext): Promise<InClusterRecord> {
  const { podSecurity } = sessionManagerTarget(t);
  return observed(t, 'in the cluster', () =>
    t.withNamespace('manager in the cluster', podSecurity, (namespace) => useInCluster(t, namespace)),
  );
}

async function useInCluster(t: RequirementContext, namespace: string): Promise<InClusterRecord> {
  const target = sessionManagerTarget(t);
  const heartbeat = new Heartbeat('the harness').start();
  const [cluster, image, managerImage] = await Promise.all([
    t.cluster(),
    t.image('workload'),
    t.image('session-manager'),
  ]);
  const { rules } = target;
  const access = await t.targetAccess({
    namespace,
    serviceAccount: SERVICE_ACCOUNT,
    rules: [...rules.namespaced, ...rules.undocumented],
    clusterRules: rules.cluster,
  });
  try {
    const token = randomBytes(24).toString('hex');
    const client = await deployManager({
      ...{ target, cluster, namespace, serviceAccount: SERVICE_ACCOUNT, signal: t.signal },
      ...(access.inCluster === undefined ? {} : { inCluster: { ...access.inCluster } }),
      values: { namespace, image, token, 'manager.image': managerImage },
      changes: twinFor(t.candidate, 'session-manager')?.sessionManager.manifests ?? [],
      provideImage: (reference) => t.provideImage(reference),
    });
    const name = 'agent';
    const configured =
      target.http.operations.configure === undefined
        ? undefined
        : await client.call('configure', { enabled: true, namespace });
    const created = await client.call('createPod', { name, namespace, image, command: ['true'] });
    assertAdmitted(cluster, 'what the manager makes from its own pod', `${configured?.text ?? ''}\n${created.text}`);
    if (created.status !== undefined && created.status < 300) {
      await cluster.watchPod(namespace, name, ({ object }) => object.metadata?.uid, {
        what: `the pod ${name} to be there`,
        deadlineSeconds: POD_SECONDS,
      });
    }
    const listed = await client.call('listPods', { namespace });
    const deleted = await client.call('deletePod', { name, namespace });
    const calls = [...(configured === undefined ? [] : [configured]), created, listed, deleted];
    return {
      ...{ calls, created, listed, deleted, deaths: [], stalls: heartbeat.stalls() },
      ...(configured === undefined ? {} : { configured }),
    };
  } finally {
    heartbeat.stop();
    await access.close();
  }
}
