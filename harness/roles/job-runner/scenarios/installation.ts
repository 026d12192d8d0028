/**
 * How the runner is installed (WH-07): what its manifests come to when the API server admits them, and when they run.
 */

import type { KubernetesObject, V1Pod } from '@kubernetes/client-node';
import { DeadlineExceeded, HarnessError } from '../../../core/errors.ts';
import { fill, type Values } from '../../../core/placeholders.ts';
import { lastErrorLines, quoting } from '../../../core/quotation.ts';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import { describePod, isReady } from '../../../kubernetes/pod-status.ts';
import { assertAdmitted, refuserOf } from '../../../kubernetes/refused-objects.ts';
import { watchUntil } from '../../../kubernetes/watch.ts';
import { twinFor } from '../../../rpc/candidate.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { Target } from '../../../targets/load.ts';
import { inNamespace } from '../launch.ts';
import {
  forNamespace,
  OWN_LABEL,
  readManifests,
  type Workload,
  type WorkloadPodSpec,
  workloadsPath,
} from '../manifests.ts';
import { jobRunnerTarget } from '../target.ts';

/** What was seen of it. Plain data. */
export interface InstallationRecord {
  target: Target<'job-runner'>;
  stalls: [];
  /** The workload, as the API server would store it; or why it would not. */
  workload?: Workload;
  /** Its pod likewise. */
  pod?: WorkloadPodSpec;
  refused: string[];
  /** Of a real pod, where it was run. */
  ran?: {
    ready: boolean;
    /** Why it is not ready, or how it runs. */
    state: string;
    /** Absent where its image has no shell to ask. */
    uid?: string;
    wroteToRoot?: boolean;
  };
}

const START_SECONDS = 90;
/** ServiceAccount of a pod that is tried by a dry run. */
const ACCOUNT = 'default';

/** The manifests by a dry run, and, where they can be run as they are, by a pod. */
export async function observeInstallation(t: RequirementContext): Promise<InstallationRecord> {
  const target = jobRunnerTarget(t);
  if (target.manifests === undefined) {
    t.notApplicable('the target file gives no manifests of the runner’s own installation (`manifests`)');
  }
  const seen = await shareInstallation(t, target);
  t.evidence('its own installation', seen);
  return { ...seen, target, stalls: [] };
}

type Seen = Omit<InstallationRecord, 'target' | 'stalls'>;

function shareInstallation(t: RequirementContext, target: Target<'job-runner'>): Promise<Seen> {
  return t.shared('job runner: installation', () =>
    t.withNamespace('installation', t.preconditions.podSecurity ?? 'restricted', (namespace) =>
      install(t, target, namespace),
    ),
  );
}

async function install(t: RequirementContext, target: Target<'job-runner'>, namespace: string): Promise<Seen> {
  const [cluster, image] = await Promise.all([t.cluster(), t.image('workload')]);
  const config = { namespace, workerId: 'installation', image };
  const values = {
    namespace,
    'worker.id': config.workerId,
    image,
    serviceAccount: ACCOUNT,
    'runner.image': await t.image('job-runner'),
    config: JSON.stringify(config),
  };
  const read = () => readManifests(target, values, twinFor(t.candidate, 'job-runner')?.jobRunner.manifests ?? []);
  const admitted = await admit(cluster, namespace, read().workload);
  const ran = target.manifests?.run === true ? await run(t, target, values, read()) : undefined;
  return {
    ...admitted,
    ...(ran === undefined ? {} : { ran }),
  };
}

/**
 * A workload, and a pod of its template, as the API server would store them: by dry runs. `refused` is what it says of
 * manifests that are not well-formed.
 *
 * @throws HarnessError where a policy of the cluster, or its authorizer, says no: that is nothing about the manifests
 */
export async function admit(
  cluster: Pick<ClusterHandle, 'request'>,
  namespace: string,
  workload: Workload,
): Promise<Pick<InstallationRecord, 'workload' | 'pod' | 'refused'>> {
  const dryRun = async (path: string, body: object): Promise<{ object?: KubernetesObject; refused?: string }> => {
    const response = await cluster.request(`${path}?dryRun=All`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const answer = (await response.json()) as KubernetesObject & { message?: string };
    if (response.status === 201) {
      return { object: answer };
    }
    const refused = answer.message ?? `${response.status}`;
    if (response.status >= 500 || refuserOf(response.status, refused) !== undefined) {
      throw new HarnessError(`the cluster refused a dry run of the manifests, which says nothing of them: ${refused}`);
    }
    return { refused };
  };
  const metadata = { ...workload.metadata, namespace };
  const { serviceAccount: _, ...spec } = workload.spec.template.spec;
  const stored = await dryRun(workloadsPath(workload, namespace), { ...workload, metadata });
  const pod = await dryRun(`/api/v1/namespaces/${namespace}/pods`, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: workload.metadata?.name, namespace },
    spec: { ...spec, serviceAccountName: ACCOUNT },
  });
  return {
    ...(stored.object === undefined ? {} : { workload: stored.object as Workload }),
    ...(pod.object === undefined ? {} : { pod: (pod.object as { spec?: unknown }).spec as WorkloadPodSpec }),
    refused: [stored.refused, pod.refused].filter((message) => message !== undefined),
  };
}

async function run(
  t: RequirementContext,
  target: Target<'job-runner'>,
  values: { namespace: string; 'runner.image': string } & Values,
  manifests: ReturnType<typeof readManifests>,
): Promise<NonNullable<InstallationRecord['ran']>> {
  const { namespace, 'runner.image': runnerImage } = values;
  const cluster = await t.cluster();
  const container = target.manifests?.container ?? '';
  const serviceAccount = 'job-runner';
  const access = await t.targetAccess({
    namespace,
    serviceAccount,
    rules: [...target.rules.namespaced, ...target.rules.undocumented],
    clusterRules: target.rules.cluster,
  });
  try {
    const { containers } = manifests.workload.spec.template.spec;
    for (const { image } of containers) {
      if (image !== undefined && image !== runnerImage) {
        await t.provideImage(image);
      }
    }
    const alongside = (fill(target.objects, { ...values, serviceAccount }, target.file) as KubernetesObject[]).map(
      (object) => inNamespace(object, namespace),
    );
    const own = forNamespace(manifests, namespace, {
      serviceAccount,
      container,
      ...(access.inCluster === undefined ? {} : { env: access.inCluster }),
    });
    await cluster.create([...alongside, ...own]);
    const { pod, state } = await readyPod(t, namespace);
    if (pod === undefined) {
      const log = await logTailOf(t, namespace, container);
      assertAdmitted(cluster, 'what the runner makes from its own pod', log);
      return { ready: false, state: quoting(state, lastErrorLines(log.split('\n'))) };
    }
    const ask = (script: string) =>
      cluster.exec(namespace, pod.metadata?.name ?? '', container, ['/bin/sh', '-c', script]);
    const uid = await ask('id -u');
    const write = await ask('echo conformance >/conformance-probe');
    return {
      ready: true,
      state,
      ...(uid.exitCode === 0 ? { uid: uid.stdout.trim(), wroteToRoot: write.exitCode === 0 } : {}),
    };
  } finally {
    await access.close();
  }
}

async function readyPod(t: RequirementContext, namespace: string): Promise<{ pod?: V1Pod; state: string }> {
  const { kubeConfig } = await t.cluster();
  try {
    const pod = await watchUntil<V1Pod, V1Pod>(
      kubeConfig,
      `/api/v1/namespaces/${namespace}/pods`,
      ({ object }) => (isReady(object) ? object : undefined),
      {
        what: 'a pod of the runner’s installation to be Ready',
        labelSelector: `${OWN_LABEL}=true`,
        deadlineSeconds: START_SECONDS,
        describe: describePod,
        signal: t.signal,
      },
    );
    return { pod, state: describePod(pod) };
  } catch (error) {
    if (error instanceof DeadlineExceeded) {
      return { state: error.message };
    }
    throw error;
  }
}

/** The end of what its container printed, before it ended last or now. */
async function logTailOf(t: RequirementContext, namespace: string, container: string): Promise<string> {
  const cluster = await t.cluster();
  const { items } = await cluster.core.listNamespacedPod({ namespace, labelSelector: `${OWN_LABEL}=true` });
  const name = items[0]?.metadata?.name;
  if (name === undefined) {
    return '';
  }
  const path = `/api/v1/namespaces/${namespace}/pods/${name}/log?container=${container}&tailLines=5`;
  const [before, now] = await Promise.all(
    [`${path}&previous=true`, path].map(async (each) => {
      const response = await cluster.request(each);
      const text = await response.text();
      return response.status === 200 ? text.trim() : '';
    }),
  );
  return before || now || '';
}
